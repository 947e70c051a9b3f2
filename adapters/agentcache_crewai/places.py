"""Where a crew keeps its models: found, replaced, and put back."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from crewai import Agent, BaseLLM, Crew, Flow, Process
from crewai.lite_agent import LiteAgent  # pyright: ignore[reportDeprecated]
from crewai.utilities.llm_utils import create_llm

from agentcache.errors import UnknownObjectError
from agentcache_crewai.asides import put_back_asides
from agentcache_crewai.classes import wire_of
from agentcache_crewai.forked import stand_of
from agentcache_crewai.tools import Conversation, conversations, late_tools
from agentcache_crewai.wires import Wire

__all__ = ["Place", "holders", "models", "places", "put", "put_back", "writes_its_tools"]

_WRAP_THE_CREW = "Wrap the Crew that holds it."
_WRAP_WHAT_RUNS = (
    "A Flow makes its crews while it runs: wrap each Crew or Agent where it is made, and those "
    "after the first with session=agentcache.session(first)."
)


@dataclass(slots=True)
class Place:
    """One attribute that holds a model: `holder.attribute`, the model, and whose it is.

    `tools` are all it may ever send, `params` those it sends with every request, as its model
    sends them.
    """

    holder: Any
    attribute: str
    name: str
    llm: BaseLLM
    wire: Wire
    talks: list[Conversation]
    tools: list[dict[str, Any]] = field(init=False)
    params: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Ask the model's class once how it writes tools and parameters."""
        schemas = {repr(tool): tool for talk in self.talks for tool in talk.tools}
        late = late_tools() if schemas else []
        self.tools = self.wire.tools(self.llm, [*schemas.values(), *late])
        self.params = self.wire.params(self.llm)

    def texts(self) -> str:
        """Everything the program itself says here."""
        return "\n".join(f"{talk.system}\n{talk.user}" for talk in self.talks)


def holders(x: object) -> Iterator[tuple[Any, str]]:
    """Attributes of a Crew or an Agent that hold a model, or may hold one later."""
    if isinstance(x, Agent) or writes_its_tools(x):
        yield x, "llm"
    elif isinstance(x, Crew):
        for agent in x.agents:
            yield agent, "llm"
        if x.manager_agent is not None:
            yield x.manager_agent, "llm"
        yield x, "manager_llm"
    else:
        raise UnknownObjectError(
            f"agentcache wraps crewai's Crew and Agent, not {type(x).__qualname__} ({x!r:.80}). "
            + (_WRAP_WHAT_RUNS if isinstance(x, Flow) else _WRAP_THE_CREW)
        )


def models(x: object) -> Iterator[tuple[Any, str, BaseLLM]]:
    """Every model of a Crew or an Agent, and where it is kept; a manager's may be a name yet."""
    crew = x if isinstance(x, Crew) else None
    for holder, attribute in holders(x):
        value = getattr(holder, attribute, None)
        if attribute == "manager_llm":
            if crew is None or crew.process != Process.hierarchical or crew.manager_agent:
                continue
            value = create_llm(value)
        if isinstance(value, BaseLLM):
            yield holder, attribute, value


def places(x: object) -> Iterator[Place]:
    """Every model of a Crew or an Agent, with the conversations it will have."""
    crew = x if isinstance(x, Crew) else None
    names: dict[str, int] = {}
    for holder, attribute, value in models(x):
        name = "Crew Manager" if attribute == "manager_llm" else str(holder.role)
        names[name] = names.get(name, 0) + 1
        label = name if names[name] == 1 else f"{name} ({names[name]})"
        talks = conversations(holder, crew)
        if writes_its_tools(holder):
            talks = [replace(talk, tools=()) for talk in talks]
        yield Place(holder, attribute, label, value, wire_of(value), talks)


def writes_its_tools(x: object) -> bool:
    """Whether an agent's tools stand in its prompt, whatever its model takes."""
    return isinstance(x, LiteAgent)  # pyright: ignore[reportDeprecated]


def put(holder: Any, attribute: str, llm: Any) -> None:
    """Set a model where it is kept, and in an executor that has run already.

    CrewAI should read the agent's model for every task; before 1.15 the executor keeps the one it
    was built with.
    """
    setattr(holder, attribute, llm)
    executor: Any = getattr(holder, "agent_executor", None)
    if isinstance(getattr(executor, "llm", None), BaseLLM):
        executor.llm = llm


def put_back(x: object) -> None:
    """Restore every model, also in the memory that CrewAI rebuilt with a forked one."""
    for holder, attribute in holders(x):
        stand = stand_of(getattr(holder, attribute, None))
        if stand is not None:
            put(holder, attribute, stand.before if attribute == "manager_llm" else stand.original)
    put_back_asides(x)
