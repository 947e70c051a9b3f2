"""Which tools a crew can put on the wire, gathered before it runs."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from crewai import Agent, Crew, Task
from crewai.tools.agent_tools.agent_tools import AgentTools
from crewai.utilities.agent_utils import convert_tools_to_openai_schema

__all__ = ["CANONICAL", "manager_tools", "own_tools"]

CANONICAL: Final = ("delegate_work_to_coworker", "ask_question_to_coworker")
"""Delegation tools: CrewAI lists other coworkers for every agent, so one form is frozen."""


def own_tools(agent: Agent, crew: Crew | None) -> list[dict[str, Any]]:
    """Every tool the agent may ever send, as CrewAI's own schemas.

    Agent and task tools, delegation to all coworkers, memory, and the reader of deferred tool
    results that crewai >= 1.15.29 adds in the middle of a run.
    """
    mine = [*(agent.tools or ())]
    if crew is not None:
        for task in crew.tasks:
            if task.agent is agent:
                mine += task_tools(task)
        if agent.allow_delegation and len(crew.agents) > 1:
            mine += AgentTools(agents=_coworkers(crew)).tools()
        mine += _memory_tools(agent, crew)
    if mine:
        mine += _deferred_reader()
    return schemas(mine)


def manager_tools(crew: Crew, manager: Agent | Crew) -> list[dict[str, Any]]:
    """Every tool the manager of a hierarchical crew may ever send: all tasks' tools pass by it."""
    own = list(manager.tools or ()) if isinstance(manager, Agent) else []
    tasks = [tool for task in crew.tasks for tool in task_tools(task)]
    delegation = AgentTools(agents=_coworkers(crew)).tools()
    return schemas([*own, *tasks, *delegation, *_deferred_reader()])


def task_tools(task: Task) -> list[Any]:
    """A task's own tools."""
    return list(task.tools or ())


def schemas(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """CrewAI's schemas of tools, one per object."""
    unique: Sequence[Any] = list({id(tool): tool for tool in tools}.values())
    found: dict[str, dict[str, Any]] = {}
    for tool in unique:
        for schema in convert_tools_to_openai_schema([tool])[0]:
            found.setdefault(repr(schema), schema)
    return list(found.values())


def _coworkers(crew: Crew) -> list[Any]:
    return [agent for agent in crew.agents if agent is not crew.manager_agent]


def _memory_tools(agent: Agent, crew: Crew) -> list[Any]:
    memory = getattr(agent, "memory", None) or getattr(crew, "_memory", None)
    if not memory:
        return []
    try:
        from crewai.tools.memory_tools import create_memory_tools  # noqa: PLC0415 - moves about
    except ImportError:
        return []
    return list(create_memory_tools(memory))


def _deferred_reader() -> list[Any]:
    try:
        from crewai.tools.agent_tools.deferred_tool_result_reader import (  # noqa: PLC0415
            DeferredToolResultReader,
        )
    except ImportError:  # before 1.15.29
        return []
    return [DeferredToolResultReader()]
