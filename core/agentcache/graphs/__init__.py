"""Task graphs: tasks with dependencies over forks of one session."""

from agentcache.graphs.budgets import Budget
from agentcache.graphs.graph import TaskGraph
from agentcache.graphs.outcomes import Event, GraphResult, Outcome
from agentcache.graphs.plans import Engine, Plan
from agentcache.graphs.store import RunStore

__all__ = [
    "Budget",
    "Engine",
    "Event",
    "GraphResult",
    "Outcome",
    "Plan",
    "RunStore",
    "TaskGraph",
]
