"""`agentcache demo compaction` under LangGraph: one agent, one tool, many turns."""

from collections.abc import Callable
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import StructuredTool

from agentcache.demo.scenario import Endpoint
from agentcache_langchain.demo import made_agent, model_at, text_of

__all__ = ["build", "run"]


def build(endpoint: Endpoint, tool: Callable[[int], str], system: str, turns: int) -> Any:
    """An agent of LangGraph's."""

    def run_step(step: int) -> str:
        """Take one step and say what came of it."""
        return tool(step)

    agent = made_agent(
        model_at(endpoint), [StructuredTool.from_function(run_step)], system, "engineer"
    )
    return agent.with_config(recursion_limit=_EACH * turns)


_EACH = 4
"""Steps of the graph for each turn, at most."""


def run(program: object, asked: str) -> str:
    """Invoke the agent."""
    agent: Any = program
    return text_of(agent.invoke({"messages": [HumanMessage(asked)]})["messages"][-1])
