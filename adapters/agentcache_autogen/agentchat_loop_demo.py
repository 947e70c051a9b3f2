"""`agentcache demo compaction` under AgentChat: one agent, one tool, many turns."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

from agentcache.demo.scenario import Endpoint
from agentcache_autogen.agentchat_demo import AUTOGENS_OWN, AssistantAgent, client_at

__all__ = ["build", "run"]


def build(endpoint: Endpoint, tool: Callable[[int], str], system: str, turns: int) -> Any:
    """An agent that calls its tool until it is done."""

    def run_step(step: int) -> str:
        """Take one step and say what came of it."""
        return tool(step)

    return AssistantAgent(
        "engineer",
        client_at(endpoint),
        system_message=system,
        tools=[run_step],
        max_tool_iterations=turns,
    )


def run(program: object, asked: str) -> str:
    """Run the agent on its task."""
    agent: Any = program
    with warnings.catch_warnings():
        for message in AUTOGENS_OWN:
            warnings.filterwarnings("ignore", message)
        return str(asyncio.run(_asked(agent, asked)))


async def _asked(agent: Any, asked: str) -> str:
    result = await agent.run(task=asked)
    await agent._model_client.close()
    return str(result.messages[-1].content)
