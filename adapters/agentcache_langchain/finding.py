"""The walk from a program to its models: what leads on, what holds one, what must be reported."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType, MethodType
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from agentcache_langchain.agents import Agent, dynamic_model, globals_of, learn
from agentcache_langchain.kinds import (
    Use,
    graph_name,
    is_aside,
    is_graph,
    is_part,
    leads_on,
    makes_models,
    part_of_agent,
    why_not,
)
from agentcache_langchain.leaves import Leaf, Slot, held, is_composed, leaves
from agentcache_langchain.walk import Ref, is_a, loaded, refs, walkable, written_by_user

__all__ = ["Finder", "Holding"]

_MOST_THINGS = 50_000
_NAMELESS = "agent"
_TOOL_NODES = "langgraph.prebuilt.tool_node langchain.tools.tool_node"


@dataclass(eq=False)
class Holding:
    """One reference to a model, and the agents that reach it."""

    slot: Slot
    leaf: Leaf
    agents: list[Agent]

    @property
    def model(self) -> BaseChatModel:
        """The model that was found here."""
        model: BaseChatModel = self.leaf.thing
        return model

    @property
    def use(self) -> Use:
        """An agent's own, if it is any agent's own."""
        return "agent" if any(agent.use == "agent" for agent in self.agents) else "side"

    @cached_property
    def tools(self) -> tuple[dict[str, Any], ...]:
        """The tools bound here, else those that the agent's maker binds for each call."""
        maker = next((agent.tools_of for agent in self.agents if agent.tools_of), None)
        return self.leaf.tools or (maker(self.model) if maker else ())

    @property
    def system(self) -> str:
        """The prompt put before the model here, else the agent's."""
        return self.leaf.system or next((a.system for a in self.agents if a.system), "")

    @property
    def varies(self) -> bool:
        """Whether a middleware may change what is sent here."""
        return any(agent.varies for agent in self.agents)

    @property
    def name(self) -> str:
        """The agents that share this reference, and what the program calls this use of it."""
        whose = " + ".join(dict.fromkeys(agent.name for agent in self.agents))
        own = self.leaf.name
        return own if own and whose == _NAMELESS else f"{whose} {own}".strip()

    def identity(self) -> tuple[Any, ...]:
        """What two references of one place have in common."""
        return (*map(id, self.agents), self.name, id(self.model), repr(self.tools))


@dataclass
class Finder:
    """Depth first, each object once for each agent; the order of places is the graph's.

    `runners` are what runs tools, `asides` middleware by the names of those who call models there.
    """

    is_fork: Callable[[BaseChatModel], bool]
    holdings: dict[Any, Holding] = field(default_factory=dict[Any, Holding])
    missed: dict[str, None] = field(default_factory=dict[str, None])
    runners: dict[int, Any] = field(default_factory=dict[int, Any])
    asides: dict[str, Any] = field(default_factory=dict[str, Any])
    _slots: dict[Any, Slot] = field(default_factory=dict[Any, Slot])
    _agents: dict[int, Agent] = field(default_factory=dict[int, Agent])
    _seen: set[tuple[int, int, str]] = field(default_factory=set[tuple[int, int, str]])
    _kept: list[Any] = field(default_factory=list[Any])  # so that no id is given twice
    _next: list[tuple[Any, Agent, str]] = field(default_factory=list[tuple[Any, Agent, str]])

    def walk(self, x: object) -> None:
        """Find what one program holds."""
        root = Agent(_NAMELESS)
        if isinstance(x, BaseChatModel):
            self._miss(
                f"{type(x).__name__} is a chat model that nothing here holds: use the model that "
                "`agentcache.wrap(llm)` returns in its stead."
            )
            return
        self._next.append((x, root, ""))
        while self._next and len(self._kept) < _MOST_THINGS:
            thing, agent, fixed = self._next.pop()
            if (id(thing), id(agent), fixed) in self._seen:
                continue
            self._seen.add((id(thing), id(agent), fixed))
            self._kept.append(thing)
            waiting = self._next
            self._next = []
            self._open(thing, agent, fixed)
            self._next = waiting + self._next[::-1]
        if self._next:
            self._miss(
                f"The search stopped after {_MOST_THINGS} objects: wrap the agents one by one."
            )

    def _open(self, x: Any, agent: Agent, fixed: str) -> None:
        """Hold the models of one object, and queue what may lead to others."""
        if is_a(x, *loaded("langgraph.pregel.remote", "RemoteGraph")):
            self._miss(
                f"Agent {x.name!r} runs on another server (RemoteGraph), where its models are: "
                "wrap the graph there."
            )
        elif is_graph(x):
            self._open_graph(x, agent)
        elif is_composed(x):
            for ref, leaf in held(x):
                self._hold(ref, leaf, agent, fixed)
        elif isinstance(x, MethodType):
            self._next += [(x.__self__, agent, fixed), (x.__func__, agent, fixed)]
        elif is_a(x, tuple, set, frozenset):
            self._next += [(each, agent, fixed) for each in x]
        elif walkable(x):
            self._open_holder(x, agent, fixed)

    def _open_graph(self, graph: Any, agent: Agent) -> None:
        own = self._agent(graph, Agent(graph_name(graph) or agent.name))
        first = ("agent", "model")  # before the tools, so that an agent stands before its helpers
        for name, node in sorted(graph.nodes.items(), key=lambda item: item[0] not in first):
            use = part_of_agent(name, graph.nodes)
            if use == "agent":
                self._next.append((node, own, ""))
            else:
                label = f"{own.name} {name.partition('.')[0]}" if use else str(name)
                self._next.append((node, self._agent(node, Agent(label, use or "agent")), ""))
        for name, branches in getattr(graph, "branches", {}).items():
            self._next.append((branches, self._agent(graph.nodes.get(name), own), ""))

    def _agent(self, thing: Any, fresh: Agent) -> Agent:
        """The agent that an object is, the same wherever it is reached from."""
        return self._agents.setdefault(id(thing), fresh)

    def _open_holder(self, x: Any, agent: Agent, fixed: str) -> None:
        if is_a(x, *loaded(_TOOL_NODES, "ToolNode")):
            self.runners[id(x)] = x
        if isinstance(x, BaseTool):
            agent = self._agent(x, Agent(x.name))
        elif is_aside(x) and agent.use == "agent":
            agent = self._agent(x, Agent(f"{agent.name} {type(x).__name__.strip('_')}", "side"))
        elif isinstance(x, FunctionType):
            learn(agent, x)
            fixed = ""
            self._open_dynamic(x, agent)
            self._open_globals(x, agent)
        if is_aside(x):
            self.asides[agent.name] = x
        for ref in refs(x):
            for leaf in leaves(ref.value):
                self._hold(ref, leaf, agent, fixed)
        self._open_class(x, agent)

    def _hold(self, ref: Ref, leaf: Leaf, agent: Agent, fixed: str) -> None:
        """Note a model, report what cannot be one's place, follow the rest."""
        thing = leaf.thing
        if isinstance(thing, BaseChatModel):
            if not fixed:
                self._note(ref, leaf, agent)
            elif not self.is_fork(thing):
                self._miss(f"{agent.name!r} calls the {type(thing).__name__} in {fixed}")
        elif why := why_not(thing):
            self._miss(f"{agent.name!r} {why}")
        elif leads_on(thing):
            self._next.append((thing, agent, fixed))

    def _note(self, ref: Ref, leaf: Leaf, agent: Agent) -> None:
        slot = self._slots.setdefault(ref.key, Slot(ref))
        holding = self.holdings.setdefault((ref.key, leaf.path), Holding(slot, leaf, []))
        if agent not in holding.agents:
            holding.agents.append(agent)

    def _open_dynamic(self, function: FunctionType, agent: Agent) -> None:
        choose = dynamic_model(function)
        if choose is None:
            return
        inner = Finder(self.is_fork)
        inner.walk(choose)
        if not inner.holdings and not inner.missed:
            self._miss(
                f"{agent.name!r} chooses its model by {choose!r:.80} for each call, and that holds "
                "none: let it return a model made by `agentcache.wrap(llm)`."
            )

    def _open_globals(self, function: FunctionType, agent: Agent) -> None:
        for name, value in globals_of(function):
            if makes_models(value):
                self._miss(
                    f"{agent.name!r} may make a model for each call in {function.__qualname__} "
                    f"({name}): make it once outside, `llm = agentcache.wrap(llm)`."
                )
            elif is_part(value):
                self._next.append((value, agent, ""))
            elif isinstance(value, FunctionType):
                if written_by_user(value.__module__):
                    self._next.append((value, agent, ""))
            else:
                where = f"the global {name!r} of module {function.__module__!r}"
                self._open_fixed(name, where, value, agent)

    def _open_class(self, x: Any, agent: Agent) -> None:
        """Read the methods and class attributes of an object of the user's own class."""
        for cls in type(x).__mro__:
            members: dict[str, Any] = dict(vars(cls)) if written_by_user(cls.__module__) else {}
            for name, member in members.items():
                function = _function_of(member)
                if function is not None:
                    self._next.append((function, agent, ""))
                elif not name.startswith("__"):
                    where = f"the class attribute {name!r} of {cls.__qualname__}"
                    self._open_fixed(f"{cls.__qualname__}.{name}", where, member, agent)

    def _open_fixed(self, name: str, where: str, value: Any, agent: Agent) -> None:
        """Look for models in what other code shares: they stay where they are."""
        cure = "Wrap the model where it is made: `llm = agentcache.wrap(llm)`."
        if isinstance(value, BaseChatModel) or is_composed(value):
            cure = f"Wrap it where it is made: `{name} = agentcache.wrap({name})`."
        fixed = f"{where}, which other code may call too. {cure}"
        for leaf in leaves(value):
            self._hold(Ref((id(value), name), value, _refuse), leaf, agent, fixed)

    def _miss(self, sentence: str) -> None:
        self.missed[sentence] = None


def _function_of(member: Any) -> FunctionType | None:
    if isinstance(member, classmethod | staticmethod):
        member = cast("Any", member).__func__
    elif isinstance(member, property):
        member = member.fget
    return member if isinstance(member, FunctionType) else None


def _refuse(_value: Any) -> None:
    """Nothing is set where others hold the same reference."""
