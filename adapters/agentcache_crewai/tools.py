"""Which conversations a crew will have, and which tools each can put on the wire."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from crewai import Agent, Crew, Process, Task
from crewai.tools.agent_tools.agent_tools import AgentTools
from crewai.utilities.agent_utils import convert_tools_to_openai_schema

__all__ = ["CANONICAL", "Conversation", "conversations", "late_tools"]

CANONICAL: Final = ("delegate_work_to_coworker", "ask_question_to_coworker")
"""Delegation tools: CrewAI lists other coworkers for every agent, so one form is frozen."""

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One talk with a model: `texts` are what the program says first, `tools` CrewAI's schemas."""

    system: str
    user: str
    tools: tuple[Schema, ...]


def conversations(holder: Any, crew: Crew | None) -> list[Conversation]:
    """Every conversation that an agent, or a crew's manager, will have.

    A task's own tools stand in for the agent's, delegation and memory tools are added, and equal
    names are numbered, all as CrewAI does it.
    """
    if crew is not None and (holder is crew or holder is crew.manager_agent):
        found = [_with(holder, crew, task, task.tools) for task in crew.tasks]
        return found or [_with(holder, crew, None, None)]
    agent: Agent = holder
    tasks = [] if crew is None else [t for t in crew.tasks if t.agent is agent]
    hierarchical = crew is not None and crew.process == Process.hierarchical
    found = [_with(agent, crew, t, None if hierarchical else t.tools or agent.tools) for t in tasks]
    alone = _with(agent, crew, None, agent.tools)  # as in Agent.kickoff
    known = {_name(tool) for one in found for tool in one.tools}
    if not found or {_name(tool) for tool in alone.tools} - known:
        found.append(alone)
    return found


def late_tools() -> list[Schema]:
    """The reader of deferred tool results, which crewai >= 1.15.29 adds in the middle of a run."""
    try:
        from crewai.tools.agent_tools.deferred_tool_result_reader import (  # noqa: PLC0415
            DeferredToolResultReader,
        )
    except ImportError:
        return []
    return _schemas([DeferredToolResultReader()])


def _with(holder: Any, crew: Crew | None, task: Task | None, tools: Any) -> Conversation:
    mine = [*(tools or ()), *_added(holder, crew)]
    text = "" if task is None else f"{task.description}\n{task.expected_output}"
    return Conversation(_system(holder), text, tuple(_schemas(mine)))


def _added(holder: Any, crew: Crew | None) -> Iterator[Any]:
    """What CrewAI adds to a holder's own tools."""
    if crew is None:
        return
    coworkers = [agent for agent in crew.agents if agent is not crew.manager_agent]
    manages = holder is crew or holder is crew.manager_agent
    delegates = getattr(holder, "allow_delegation", False) and len(coworkers) > 1
    if manages or (delegates and crew.process != Process.hierarchical):
        yield from AgentTools(agents=coworkers).tools()
    memory = getattr(holder, "memory", None) or getattr(crew, "_memory", None)
    if memory and memory is not True:
        try:
            from crewai.tools.memory_tools import create_memory_tools  # noqa: PLC0415 - moves about
        except ImportError:
            return
        yield from create_memory_tools(memory)


def _system(holder: Any) -> str:
    if isinstance(holder, Crew):
        return "You are Crew Manager."
    return f"You are {holder.role}. {holder.backstory}\nYour personal goal is: {holder.goal}"


def _schemas(tools: list[Any]) -> list[Schema]:
    return list(convert_tools_to_openai_schema(tools)[0]) if tools else []


def _name(schema: Schema) -> str:
    return str(schema["function"]["name"])
