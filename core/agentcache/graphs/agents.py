"""Agents of frameworks as tasks: each adapter knows how its own are asked."""

from collections.abc import Callable
from typing import Any

from agentcache.errors import UnknownObjectError
from agentcache.wrapping import adapter_for

__all__ = ["runner_of"]


def runner_of(agent: object) -> Callable[[str], Any]:
    """How an agent is asked: a function of a prompt, sync or async, that returns its answer.

    Raises UnknownObjectError where no adapter knows that.
    """
    runs: Any = getattr(adapter_for(agent), "runner", None)
    if runs is None:
        raise UnknownObjectError(
            f"{type(agent).__name__} cannot be asked as a task. Pass a prompt or a function."
        )
    made: Callable[[str], Any] = runs(agent)
    return made
