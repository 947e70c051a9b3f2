"""Agents and teams as tasks: each task has a copy of its own."""

from collections.abc import Callable
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import TaskResult, Team
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat

from agentcache.errors import OptionError, UnknownObjectError
from agentcache_autogen.agentchat.copying import copied

__all__ = ["in_parallel", "runner"]


def runner(agent: object) -> Callable[[str], Any]:
    """How an agent or a team answers a prompt: the text of its last message.

    A copy for each prompt: a team refuses a second run, and an agent would read the first one's. An
    agent begins with what it has heard until now, a team anew.
    """
    if not isinstance(agent, BaseChatAgent | BaseGroupChat):
        raise UnknownObjectError(
            f"A task of a graph can be an AgentChat agent or team, not {type(agent).__qualname__}."
        )

    async def ask(prompt: str) -> str:
        one: Any = copied(agent)
        if getattr(agent, "_initialized", False):
            await one.reset()
        result: TaskResult = await one.run(task=prompt)
        said = [m for m in result.messages if isinstance(m, BaseChatMessage)]
        return said[-1].to_model_text() if said else ""

    return ask


def in_parallel(x: object, _inputs: object, _run: object) -> Any:
    """Refuse, with what to do instead."""
    what = "a team is one conversation" if isinstance(x, Team) else "it has no tasks of its own"
    raise OptionError(
        f"{type(x).__name__} cannot run in parallel: {what}. In a graph it is a task itself: "
        "TaskGraph().add(name, agent, prompt)."
    )
