"""Which conversations a crew will have, and which tools each can put on the wire."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from crewai import Agent, Crew, Process, Task
from crewai.tools.agent_tools.agent_tools import AgentTools
from crewai.utilities.agent_utils import convert_tools_to_openai_schema

__all__ = ["CANONICAL", "Conversation", "benches", "conversations", "late_tools"]

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
    if _plans(agent):
        found.append(Conversation(_system(agent), "", tuple(planning_tools())))
    return found


def benches(holder: Any, crew: Crew | None) -> Iterator[Any]:
    """Whose `tools` CrewAI offers in a holder's conversations: tasks', or the agent's own.

    Only of conversations in which tools are offered. A manager may have no tools but those that
    CrewAI adds, and is offered those of its tasks.
    """
    manages = crew is not None and (holder is crew or holder is crew.manager_agent)
    hierarchical = crew is not None and crew.process == Process.hierarchical
    for task in () if crew is None or hierarchical > manages else crew.tasks:
        if manages or task.agent is holder:
            own = task.tools or (() if manages else holder.tools)
            if own or _adds(holder, crew, task):
                yield task if manages or task.tools or not own else holder
    if not manages and (holder.tools or _adds(holder, None, None)):
        yield holder


def late_tools() -> list[Schema]:
    """The reader of deferred tool results, which crewai >= 1.15.29 adds in the middle of a run."""
    try:
        from crewai.tools.agent_tools.deferred_tool_result_reader import (  # noqa: PLC0415
            DeferredToolResultReader,
        )
    except ImportError:
        return []
    return _schemas([DeferredToolResultReader()])


def planning_tools() -> list[Schema]:
    """The tool through which CrewAI has an agent write its plan, before it begins."""
    try:
        from crewai.utilities.reasoning_handler import FUNCTION_SCHEMA  # noqa: PLC0415
    except ImportError:
        return []
    return [FUNCTION_SCHEMA]


def _plans(agent: Any) -> bool:
    """Whether an agent plans by its own model before it begins."""
    kept: dict[str, Any] = agent.__dict__  # reading a deprecated field as an attribute warns
    config = kept.get("planning_config")
    wants = config is not None or kept.get("planning") or kept.get("reasoning")
    return bool(wants) and getattr(config, "llm", None) is None


def _with(holder: Any, crew: Crew | None, task: Task | None, tools: Any) -> Conversation:
    own = list(tools or ())  # once a crew ran, its tasks hold what CrewAI added to them
    known = {tool.name for tool in own}
    mine = [*own, *(tool for tool in _added(holder, crew, task) if tool.name not in known)]
    text = "" if task is None else task.prompt()
    return Conversation(_system(holder), text, tuple(_schemas(mine)))


def _added(holder: Any, crew: Crew | None, task: Task | None) -> Iterator[Any]:
    """What CrewAI adds to a holder's own tools. What a server lists is known when it is asked."""
    if crew is not None:
        coworkers = _coworkers(holder, crew, task)
        if coworkers:
            yield from AgentTools(agents=coworkers).tools()
    kept: dict[str, Any] = holder.__dict__  # reading a deprecated field as an attribute warns
    if kept.get("multimodal") and not _sees(holder.llm):
        yield from holder.get_multimodal_tools()
    memory = getattr(holder, "memory", None) or getattr(crew, "_memory", None)
    if memory and memory is not True:
        with suppress(ImportError):
            from crewai.tools.memory_tools import create_memory_tools  # noqa: PLC0415 - moves about

            yield from create_memory_tools(memory)
    if getattr(holder, "skills", None) or getattr(crew, "skills", None):
        with suppress(ImportError):
            from crewai.skills.tool import LoadSkillTool  # noqa: PLC0415 - crewai >= 1.15

            yield LoadSkillTool()


def _adds(holder: Any, crew: Crew | None, task: Task | None) -> bool:
    """Whether CrewAI adds tools to a holder's own, be it only once it asked a server."""
    asks = getattr(holder, "mcps", None) or getattr(holder, "apps", None)
    return bool(asks) or next(_added(holder, crew, task), None) is not None


def _coworkers(holder: Any, crew: Crew, task: Task | None) -> list[Any]:
    """Whom a holder may delegate to; its tools name them. A manager: whose task it is."""
    manager = crew.manager_agent
    others = [agent for agent in crew.agents if agent is not manager]
    if holder is crew or (manager is not None and holder is manager):
        mine = None if task is None else task.agent
        return others if mine is None or mine is manager else [mine]
    if crew.process == Process.hierarchical or not getattr(holder, "allow_delegation", False):
        return []
    return others if len(others) > 1 else []


def _sees(llm: Any) -> bool:
    """Whether a model is given images as they are, and no tool to add them."""
    asks = getattr(llm, "supports_multimodal", None)
    return bool(asks()) if callable(asks) else False


def _system(holder: Any) -> str:
    if isinstance(holder, Crew):
        return "You are Crew Manager."
    return f"You are {holder.role}. {holder.backstory}\nYour personal goal is: {holder.goal}"


def _schemas(tools: list[Any]) -> list[Schema]:
    return list(convert_tools_to_openai_schema(tools)[0]) if tools else []


def _name(schema: Schema) -> str:
    return str(schema["function"]["name"])
