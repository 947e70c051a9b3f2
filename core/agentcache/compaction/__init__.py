"""Compaction: a context that shrinks in rare steps, without a byte lost."""

from agentcache.compaction.compacting import Compacted, Compaction, compact
from agentcache.compaction.decisions import Decision, DecisionLog
from agentcache.compaction.recalling import RECALL, recall, recall_tool
from agentcache.compaction.stores import ContentStore, MemoryStore, SqliteStore

__all__ = [
    "RECALL",
    "Compacted",
    "Compaction",
    "ContentStore",
    "Decision",
    "DecisionLog",
    "MemoryStore",
    "SqliteStore",
    "compact",
    "recall",
    "recall_tool",
]
