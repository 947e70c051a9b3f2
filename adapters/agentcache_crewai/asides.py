"""Models whose calls are no agent's own conversation: counted, and sent as the program made them.

CrewAI keeps them beside its agents: planners, guardrails, the analysis of memories.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crewai import BaseLLM, Crew
from crewai.utilities.llm_utils import create_llm

from agentcache_crewai.forked import stand_of

__all__ = ["Aside", "added_up", "asides", "put_aside", "put_back_asides", "uncounted"]

_OF_A_CREW: Final = {
    "planning_llm": "it plans for the crew",
    "chat_llm": "it chats about the crew",
    "function_calling_llm": "it reads tool calls",
}


@dataclass(frozen=True, slots=True)
class Aside:
    """One attribute that holds such a model: `holder.attribute`, whose it is, and what for."""

    holder: Any
    attribute: str
    name: str
    use: str
    llm: BaseLLM

    @property
    def before(self) -> Any:
        """What stands there now: the model, or its name."""
        return _kept(self.holder, self.attribute)


def asides(x: Any) -> Iterator[Aside]:
    """Every such model of a Crew or an agent that is not counted yet, each once."""
    seen: set[tuple[int, str]] = set()
    for holder, attribute, name, use in _slots(x):
        value = _kept(holder, attribute)
        if attribute == "planning_llm" and isinstance(value, str):
            value = create_llm(value)
        if (
            isinstance(value, BaseLLM)
            and not stand_of(value)
            and (id(holder), attribute) not in seen
        ):
            seen.add((id(holder), attribute))
            yield Aside(holder, attribute, name, f"{use} ({attribute})", value)


def added_up(twin: BaseLLM, forks: Sequence[BaseLLM]) -> BaseLLM:
    """Let a copy add its tokens up with the fork whose model it shared its counters with."""
    counters = _counters_of_original(twin)
    for fork in forks:
        if _counters_of_original(fork) is counters:
            _plain(twin)._token_usage = _plain(fork)._token_usage
            break
    return twin


def put_aside(aside: Aside, llm: BaseLLM) -> None:
    """Replace the model where it is kept."""
    _put(aside.holder, aside.attribute, llm)


def put_back_asides(x: Any) -> None:
    """Restore every one of them."""
    for holder, attribute, _, _ in _slots(x):
        stand = stand_of(_kept(holder, attribute))
        if stand is not None:
            _put(holder, attribute, stand.before)


def uncounted(crew: Crew) -> Iterator[str]:
    """Calls that no model object of the program makes: CrewAI makes the model itself."""
    if crew.planning and crew.planning_llm is None:
        yield "Crew(planning=True) plans with a model of CrewAI's own: pass planning_llm="
    for memory in _memories(crew):
        if isinstance(getattr(memory, "llm", None), str):
            yield f"memory is analysed by {memory.llm!r}: pass Memory(llm=)"
    if any(t.output_json and (t.tools or getattr(t.agent, "tools", ())) for t in crew.tasks):
        yield "output_json beside tools: CrewAI converts answers through a client of its own"


def _slots(x: Any) -> Iterator[tuple[Any, str, str, str]]:
    if isinstance(x, Crew):
        yield from ((x, attribute, "Crew", use) for attribute, use in _OF_A_CREW.items())
        tasks: list[Any] = x.tasks
        for task in tasks:
            yield from _judges(task._guardrail, *task._guardrails)
    for agent in _staff(x):
        yield from _of_agent(agent)
    for memory in _memories(x):
        for attribute in ("llm", "_llm_instance"):
            yield memory, attribute, "Memory", "it analyses memories"


def _of_agent(agent: Any) -> Iterator[tuple[Any, str, str, str]]:
    yield agent, "function_calling_llm", str(agent.role), "it reads tool calls"
    planning = getattr(agent, "planning_config", None)
    if planning is not None:
        yield planning, "llm", str(agent.role), "it plans for the agent"
    yield from _judges(getattr(agent, "_guardrail", None))


def _judges(*guardrails: Any) -> Iterator[tuple[Any, str, str, str]]:
    """Guardrails given as text: CrewAI binds them to a model when their task is made."""
    for guardrail in guardrails:
        if hasattr(guardrail, "llm"):
            yield guardrail, "llm", "Guardrail Agent", "it judges an answer"


def _memories(x: Any) -> Iterator[Any]:
    """The memories of a Crew or an agent, also those behind a view of a part of them."""
    holders = [x, *_staff(x)] if isinstance(x, Crew) else [x]
    for holder in holders:
        for attribute in ("memory", "_memory"):
            found = getattr(holder, attribute, None)
            inner = getattr(found, "_memory", None)
            yield from (m for m in (found, inner) if hasattr(m, "_llm_instance"))


def _staff(x: Any) -> list[Any]:
    if not isinstance(x, Crew):
        return [x]
    return [*x.agents, *([x.manager_agent] if x.manager_agent is not None else [])]


def _counters_of_original(fork: BaseLLM) -> Any:
    stand = stand_of(fork)
    return None if stand is None else _plain(stand.original)._token_usage


def _plain(llm: Any) -> Any:
    """The model, as one whose private counters may be touched."""
    return llm


def _kept(holder: Any, attribute: str) -> Any:
    if attribute.startswith("_"):
        return getattr(holder, attribute, None)
    fields: dict[str, Any] = holder.__dict__
    return fields.get(attribute)  # reading a deprecated field as an attribute warns


def _put(holder: Any, attribute: str, llm: Any) -> None:
    setattr(holder, attribute, llm)
    executor: Any = getattr(holder, "agent_executor", None)
    if attribute == "function_calling_llm" and executor is not None:
        executor.function_calling_llm = llm
