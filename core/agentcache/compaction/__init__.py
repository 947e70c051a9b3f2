"""Compaction: a context that shrinks in rare steps, without a byte lost."""

from agentcache.compaction.compacting import RECALL, Compacted, Compaction, compact
from agentcache.compaction.decisions import Decision, DecisionLog
from agentcache.compaction.live import Compactor, Shrunk
from agentcache.compaction.recalling import RECALL_SAYS, recall, recall_tool
from agentcache.compaction.stores import ContentStore, MemoryStore, SqliteStore
from agentcache.compaction.windows import dropped, gap, opening

__all__ = [
    "RECALL",
    "RECALL_SAYS",
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
    "dropped",
    "gap",
    "opening",
    "recall",
    "recall_tool",
]
