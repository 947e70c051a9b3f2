"""Where a crew keeps its models, and how they are replaced and restored."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crewai import Agent, BaseLLM, Crew, Process
from crewai.utilities.llm_utils import create_llm

from agentcache.attach import Attachment, Options
from agentcache.errors import (
    AgentcacheWarning,
    FrozenError,
    NothingToForkError,
    OptionError,
    UnknownObjectError,
)
from agentcache.parent import CacheDomain, freeze, union_tools
from agentcache.rules import Rule
from agentcache.sessions import Fork, Session
from agentcache_crewai.forked import forked_copy, stand_of
from agentcache_crewai.tools import CANONICAL, manager_tools, own_tools
from agentcache_crewai.turns import Stand
from agentcache_crewai.wires import Wire, wire_of

__all__ = ["attachments", "unwrap", "wrap"]


@dataclass(slots=True)
class _Place:
    """One attribute that holds a model: `holder.attribute`, the model, and whose it is."""

    holder: Any
    attribute: str
    name: str
    llm: BaseLLM
    schemas: list[dict[str, Any]]


@dataclass(slots=True)
class _Domain:
    """The places whose calls can share one cache."""

    wire: Wire
    rule: Rule
    domain: CacheDomain
    places: list[_Place]


def wrap(x: object, options: Options) -> object:
    """Fork every model of a Crew or an Agent, in place."""
    places = list(_places(x))
    if not places:
        raise NothingToForkError(
            f"{_name(x)} has no agent with a model. Give at least one agent an llm=LLM(...)."
        )
    if any(stand_of(p.llm) for p in places):
        return x
    attachment = Attachment(options)
    domains = _by_domain(places, options)
    sessions = [(group, _session(group, options)) for group in domains]
    for group, session in sessions:
        attachment.sessions.append(session)
        _place_forks(group, session, attachment)
    _say(x, sessions, options)
    return x


def unwrap(x: object) -> object:
    """Put every model of a Crew or an Agent back."""
    for holder, attribute in _holders(x):
        stand = stand_of(getattr(holder, attribute, None))
        if stand is not None:
            was = stand.before if attribute == "manager_llm" else stand.original
            _put(holder, attribute, was)
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `wrap` attached, found through the forked models."""
    found: list[Attachment] = []
    for holder, attribute in _holders(x):
        stand = stand_of(getattr(holder, attribute, None))
        if stand is not None and stand.attachment not in found:
            found.append(stand.attachment)
    return found


def _holders(x: object) -> Iterator[tuple[Any, str]]:
    if isinstance(x, Agent):
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
            "Wrap the Crew that holds it."
        )


def _places(x: object) -> Iterator[_Place]:
    crew = x if isinstance(x, Crew) else None
    names: dict[str, int] = {}
    for holder, attribute in _holders(x):
        value = getattr(holder, attribute, None)
        if attribute == "manager_llm":
            if crew is None or crew.process != Process.hierarchical or crew.manager_agent:
                continue
            value = create_llm(value)
        if not isinstance(value, BaseLLM):
            continue
        name = "Crew Manager" if attribute == "manager_llm" else str(holder.role)
        names[name] = names.get(name, 0) + 1
        label = name if names[name] == 1 else f"{name} ({names[name]})"
        yield _Place(holder, attribute, label, value, _schemas(holder, attribute, crew))


def _schemas(holder: Any, attribute: str, crew: Crew | None) -> list[dict[str, Any]]:
    if attribute == "manager_llm" or (crew is not None and holder is crew.manager_agent):
        return manager_tools(crew, holder) if crew is not None else []
    return own_tools(holder, crew)


def _by_domain(places: list[_Place], options: Options) -> list[_Domain]:
    groups: dict[tuple[Wire, CacheDomain], _Domain] = {}
    for place in places:
        wire = wire_of(place.llm)
        rule = wire.rule(place.llm, options.provider)
        domain = wire.domain(place.llm, rule)
        group = groups.setdefault((wire, domain), _Domain(wire, rule, domain, []))
        group.places.append(place)
    return list(groups.values())


def _session(group: _Domain, options: Options) -> Session:
    """The parent of one cache domain: made from its agents, or the one the user gave."""
    owned = {p.name: group.wire.tools(p.llm, p.schemas) for p in group.places}
    if options.session is not None:
        _check_joins(options.session, group)
        return options.session
    parent = freeze(
        group.wire.dialect,
        group.rule,
        group.domain,
        system=options.system,
        context=options.context,
        tools=union_tools(group.wire.dialect, owned, CANONICAL),
        params=group.wire.params(group.places[0].llm),
        canonical=CANONICAL,
        ttl=options.ttl,
    )
    return Session(parent, fork=options.layout == "fork")


def _check_joins(session: Session, group: _Domain) -> None:
    if session.domain != group.domain:
        names = ", ".join(p.name for p in group.places)
        raise OptionError(
            f"session= belongs to {session.domain}, but {names} would call {group.domain}: they "
            "share no cache. Wrap them without session=, or give them the same model and endpoint."
        )


def _place_forks(group: _Domain, session: Session, attachment: Attachment) -> None:
    """Check all, then replace: a refusal must leave the crew as it was."""
    dialect = session.parent.dialect
    made: list[tuple[_Place, BaseLLM]] = []
    for place in group.places:
        tools = group.wire.tools(place.llm, place.schemas)
        fork = session.fork(place.name, [dialect.tool_name(t) for t in tools])
        _check_params(fork, group.wire.params(place.llm), attachment.options)
        before = getattr(place.holder, place.attribute)
        label = place.name if place.name != getattr(place.holder, "role", place.name) else ""
        stand = Stand(place.llm, before, fork, attachment, group.wire, label)
        made.append((place, forked_copy(place.llm, stand)))
    for place, llm in made:
        _put(place.holder, place.attribute, llm)


def _put(holder: Any, attribute: str, llm: Any) -> None:
    """Set a model where it is kept, and in an executor that has run already.

    CrewAI should read the agent's model for every task; before 1.15 the executor keeps the one it
    was built with.
    """
    setattr(holder, attribute, llm)
    executor: Any = getattr(holder, "agent_executor", None)
    if isinstance(getattr(executor, "llm", None), BaseLLM):
        executor.llm = llm


def _check_params(fork: Fork, params: dict[str, Any], options: Options) -> None:
    reason = fork.differs_in_params(params)
    if reason and options.strict:
        raise FrozenError(reason)
    if reason:
        warnings.warn(f"{reason} Until then it is sent unforked.", AgentcacheWarning, stacklevel=5)


def _say(x: object, sessions: list[tuple[_Domain, Session]], options: Options) -> None:
    """Say what a user would otherwise find out from the bill."""
    ledger = options.ledger
    if len(sessions) > 1:
        domains = "; ".join(str(s.domain) for _, s in sessions)
        ledger.note(f"{len(sessions)} sessions, one per cache domain: {domains}")
    for group, session in sessions:
        if not group.rule.known:
            _warn(
                f"No caching rule for {session.domain}: the safe common denominator is used "
                "(no marks, no extra parameters). Pass provider='llama.cpp' or alike to wrap."
            )
        if not group.wire.native:
            kinds = ", ".join(sorted({type(p.llm).__name__ for p in group.places}))
            ledger.note(f"{kinds}: forked in the messages only, without marks or tool_choice.")
        keys = {group.wire.params(p.llm).get("prompt_cache_key") for p in group.places}
        if len(keys) > 1:
            ledger.note(f"Agents send different prompt_cache_key ({keys}): they may land apart.")
        why = session.why_not()
        if why:
            ledger.note(f"Not forked, {session.domain}: {why}")
    if isinstance(x, Crew):
        ledger.note(*_left_alone(x))


def _left_alone(crew: Crew) -> Iterator[str]:
    for slot in ("planning_llm", "chat_llm", "function_calling_llm"):
        if vars(crew).get(slot) is not None:  # reading a deprecated field as attribute warns
            yield f"Passes through untouched: crew.{slot} (its calls have their own format)."
    for agent in crew.agents:
        if not isinstance(getattr(agent, "llm", None), BaseLLM):
            yield f"Passes through untouched: {agent.role!r} has no CrewAI model to fork."


def _warn(text: str) -> None:
    warnings.warn(text, AgentcacheWarning, stacklevel=5)


def _name(x: object) -> str:
    return f"This {type(x).__name__}"
