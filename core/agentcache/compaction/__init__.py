"""Compaction: a context that shrinks in rare steps, without a byte lost."""

from agentcache.compaction.compacting import RECALL, Compacted, Compaction, compact
from agentcache.compaction.decisions import Decision, DecisionLog
from agentcache.compaction.live import Compactor, Shrunk
from agentcache.compaction.recalling import recall, recall_tool
from agentcache.compaction.stores import ContentStore, MemoryStore, SqliteStore

__all__ = [
    "RECALL",
    "Compacted",
    "Compaction",
    "Compactor",
    "ContentStore",
    "Decision",
    "DecisionLog",
    "MemoryStore",
    "Shrunk",
    "SqliteStore",
    "compact",
    "recall",
    "recall_tool",
]
