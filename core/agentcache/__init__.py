"""Every agent of a crew becomes a fork of one shared, frozen parent.

    import agentcache
    agentcache.wrap(crew, context=[brief])
    crew.kickoff()
    agentcache.report(crew).show()

Nothing heavy is imported before it is used, and no framework is imported by this package at all.

PYTEST_DONT_REWRITE: it holds no test's asserts, and our plugin is loaded before pytest's.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentcache.breaks import CacheBreak, find_break
    from agentcache.compaction import Compaction, MemoryStore, SqliteStore, compact
    from agentcache.errors import AgentcacheError, AgentcacheWarning, CacheBreakWarning
    from agentcache.forks import Fork
    from agentcache.gate import Gate
    from agentcache.graphs import Budget, TaskGraph
    from agentcache.ledger import Call, Ledger
    from agentcache.parallels import aparallel, parallel
    from agentcache.parent import CacheDomain, Parent, freeze
    from agentcache.reports import Report
    from agentcache.rules import Rule, rule_for
    from agentcache.sessions import Session
    from agentcache.usage import Usage
    from agentcache.wrapping import observe, report, session, unwrap, wrap, wrapped

__all__ = [
    "AgentcacheError",
    "AgentcacheWarning",
    "Budget",
    "CacheBreak",
    "CacheBreakWarning",
    "CacheDomain",
    "Call",
    "Compaction",
    "Fork",
    "Gate",
    "Ledger",
    "MemoryStore",
    "Parent",
    "Report",
    "Rule",
    "Session",
    "SqliteStore",
    "TaskGraph",
    "Usage",
    "aparallel",
    "compact",
    "find_break",
    "freeze",
    "observe",
    "parallel",
    "report",
    "rule_for",
    "session",
    "unwrap",
    "wrap",
    "wrapped",
]

_HOME = {
    "AgentcacheError": "errors",
    "AgentcacheWarning": "errors",
    "Budget": "graphs",
    "CacheBreak": "breaks",
    "CacheBreakWarning": "errors",
    "CacheDomain": "parent",
    "Call": "ledger",
    "Compaction": "compaction",
    "Fork": "forks",
    "Gate": "gate",
    "Ledger": "ledger",
    "MemoryStore": "compaction",
    "Parent": "parent",
    "Report": "reports",
    "Rule": "rules",
    "Session": "sessions",
    "SqliteStore": "compaction",
    "TaskGraph": "graphs",
    "Usage": "usage",
    "aparallel": "parallels",
    "compact": "compaction",
    "find_break": "breaks",
    "freeze": "parent",
    "observe": "wrapping",
    "parallel": "parallels",
    "report": "wrapping",
    "rule_for": "rules",
    "session": "wrapping",
    "unwrap": "wrapping",
    "wrap": "wrapping",
    "wrapped": "wrapping",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module at first use."""
    if name == "__version__":
        return import_module("importlib.metadata").version("agentcache")
    if name not in _HOME:
        raise AttributeError(f"module 'agentcache' has no attribute {name!r}")
    value = getattr(import_module(f"agentcache.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
