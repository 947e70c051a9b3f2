"""wrap, unwrap, attachments: check everything, then replace, then say what a bill would say."""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from crewai import BaseLLM, Crew

from agentcache.attach import Attachment, Options
from agentcache.compaction import RECALL
from agentcache.differences import in_params
from agentcache.errors import AgentcacheWarning, FrozenError, NothingToForkError, OptionError
from agentcache.parent import CacheDomain, freeze, union_tools
from agentcache.rules import Rule
from agentcache.sessions import Session
from agentcache.worth import Sample
from agentcache_crewai.asides import Aside, added_up, asides, put_aside, uncounted
from agentcache_crewai.classes import wire_of
from agentcache_crewai.forked import forked_copy, stand_of
from agentcache_crewai.outlook import Outlook, samples
from agentcache_crewai.places import Place, holders, places, put, put_back
from agentcache_crewai.recalling import giving, levels, take_back, told
from agentcache_crewai.tools import CANONICAL
from agentcache_crewai.turns import Stand
from agentcache_crewai.wires import Wire

__all__ = ["attachments", "unwrap", "wrap"]

_PLACEHOLDER = re.compile(r"\{[A-Za-z_][\w-]*\}")


@dataclass(slots=True)
class _Group:
    """Places whose calls can share one cache: one domain, and one set of rendering parameters."""

    wire: Wire
    rule: Rule
    domain: CacheDomain
    params: dict[str, Any]
    places: list[Place] = field(default_factory=list[Place])


def wrap(x: object, options: Options) -> object:
    """Fork every model of a Crew or an Agent, in place; those added since the last time join."""
    earlier = attachments(x)
    attachment = earlier[-1] if earlier else Attachment(options)
    with giving(x, attachment.options):
        _wrap(x, attachment)
    return x


def _wrap(x: object, attachment: Attachment) -> None:
    found = list(places(x))
    if not found:
        raise NothingToForkError(
            f"This {type(x).__name__} has no agent with a model. Give an agent an llm=LLM(...)."
        )
    rest = [place for place in found if stand_of(place.llm) is None]
    beside = list(asides(x))
    if not rest and not beside:
        return
    groups = _grouped(rest, attachment.options)
    made = [
        made
        for group in groups
        for made in _forks(x, group, _session(x, group, attachment), attachment)
    ]
    _say(x, groups, attachment)
    counted = [(a, _counted(a, [llm for _, llm in made], attachment)) for a in beside]
    for aside, llm in counted:
        put_aside(aside, llm)
    for place, llm in made:
        put(place.holder, place.attribute, llm)


def unwrap(x: object) -> object:
    """Put every model of a Crew or an Agent back."""
    put_back(x)
    take_back(x)
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `wrap` attached, found through the forked models."""
    found: list[Attachment] = []
    for holder, attribute in holders(x):
        stand = stand_of(getattr(holder, attribute, None))
        if stand is not None and stand.attachment not in found:
            found.append(stand.attachment)
    return found


def _grouped(rest: list[Place], options: Options) -> list[_Group]:
    groups: list[_Group] = []
    for place in rest:
        rule = place.wire.rule(place.llm, options.provider)
        domain = place.wire.domain(place.llm, rule)
        frozen = {
            k: v for k, v in place.params.items() if k in rule.freeze and k != "prompt_cache_key"
        }
        twin = _Group(place.wire, rule, domain, frozen)
        same = [g for g in groups if (g.wire, g.domain) == (twin.wire, twin.domain)]
        group = next((g for g in same if g.params == frozen), None)
        if group is None:
            if same:
                _parted(same[0], place, frozen, options)
            groups.append(twin)
        (group or twin).places.append(place)
    return groups


def _parted(group: _Group, place: Place, params: dict[str, Any], options: Options) -> None:
    """Two agents of one model that cannot share, because they render differently."""
    name = next(k for k in {**group.params, **params} if group.params.get(k) != params.get(k))
    text = (
        f"Agent {place.name!r} sends {name}={params.get(name)!r}, {group.places[0].name!r} sends "
        f"{group.params.get(name)!r}: they share no prefix. Give all agents the same {name}."
    )
    if options.strict:
        raise FrozenError(text)
    _warn(text)


def _session(x: object, group: _Group, attachment: Attachment) -> Session:
    """The parent of one group: made from its agents, the one given, or the one they join."""
    options = attachment.options
    if options.compact is not None:
        attachment.compact = levels(options.compact, group.places)
    given = options.session or next(
        (s for s in attachment.sessions if s.domain == group.domain and _accepts(s, group)), None
    )
    if given is not None:
        _check_joins(given, group)
        attachment.join(given, _samples(group))
        return given
    owned = {p.name: p.tools for p in group.places}
    parent = freeze(
        group.wire.spoken(group.rule),
        group.rule,
        group.domain,
        system=options.system,
        context=options.context,
        tools=union_tools(group.wire.spoken(group.rule), owned, CANONICAL),
        params=group.params,
        canonical=CANONICAL,
        ttl=options.ttl,
    )
    return attachment.open(parent, _samples(group), judge=isinstance(x, Crew))


def _samples(group: _Group) -> list[Sample]:
    return [s for p in group.places for s in samples(group.wire, p.name, p.llm, p.talks)]


def _accepts(session: Session, group: _Group) -> bool:
    return not in_params(session.parent, "?", group.params)


def _check_joins(session: Session, group: _Group) -> None:
    names = ", ".join(p.name for p in group.places)
    if session.domain != group.domain:
        raise OptionError(
            f"This session belongs to {session.domain}, but {names} would call {group.domain}: "
            "they share no cache. Wrap them without session=, or give them that model and endpoint."
        )
    name_of, known = session.parent.dialect.tool_name, session.standing.names
    missing = [name_of(t) for p in group.places for t in p.tools if name_of(t) not in known]
    if missing:
        raise OptionError(
            f"{names} cannot join: the parent froze its tools without {', '.join(missing)}. "
            "Unwrap and wrap again, so that the union is gathered anew."
        )


def _forks(
    x: object, group: _Group, session: Session, attachment: Attachment
) -> Iterator[tuple[Place, BaseLLM]]:
    name_of = session.parent.dialect.tool_name
    outlook = Outlook(session, attachment, group.wire, _session_of)
    if isinstance(x, Crew):
        outlook.news(x)  # all that can be seen now has been told
    for place in group.places:
        names = [name_of(tool) for tool in place.tools]
        told = not names and any(talk.tools for talk in place.talks)  # as text, in its prompt
        fork = session.fork(place.name, names, told_of_tools=told)
        before = getattr(place.holder, place.attribute)
        label = place.name if place.name != getattr(place.holder, "role", place.name) else ""
        stand = Stand(place.llm, before, fork, attachment, group.wire, outlook, label)
        stand.recalls = RECALL in names
        yield place, forked_copy(place.llm, stand)


def _counted(aside: Aside, forks: Sequence[BaseLLM], attachment: Attachment) -> BaseLLM:
    """A copy of a model that is only counted."""
    wire = wire_of(aside.llm)
    rule = wire.rule(aside.llm, attachment.options.provider)
    session = Session(freeze(wire.spoken(rule), rule, wire.domain(aside.llm, rule)))
    stand = Stand(
        aside.llm,
        aside.before,
        session.fork(aside.name, ()),
        attachment,
        wire,
        Outlook(session, attachment, wire, _session_of),
        aside=aside.use,
    )
    return added_up(forked_copy(aside.llm, stand), forks)


def _session_of(holder: Any) -> Session | None:
    stand = stand_of(getattr(holder, "llm", None))
    return None if stand is None else stand.fork.session


def _say(x: object, groups: list[_Group], attachment: Attachment) -> None:
    """Say what a user would otherwise find out from the bill."""
    ledger, sessions = attachment.ledger, attachment.sessions
    for group in (g for g in groups if not g.rule.known):
        _warn(
            f"No caching rule for {group.domain}: the safe common denominator is used "
            "(no marks, no extra parameters). Pass provider='llama.cpp' or alike to wrap."
        )
    ledger.note(*_about_groups(groups))
    if len(sessions) > 1:
        domains = "; ".join(str(s.domain) for s in sessions)
        ledger.note(f"{len(sessions)} sessions, one per cache domain: {domains}")
    if not all(session.why_not() for session in sessions):
        ledger.note(*_about_context(groups, attachment.options))
    if not isinstance(x, Crew) and attachment.options.session is None:
        ledger.note("An agent alone shares with nobody: wrap its crew, or others with session=.")
    if isinstance(x, Crew):
        ledger.note(*_left_alone(x))
    wish = attachment.options.compact
    if wish is not None:
        ledger.note(*(line for group in groups for line in told(wish, group.places)))


def _about_groups(groups: list[_Group]) -> Iterator[str]:
    for group in groups:
        kinds = ", ".join(sorted({type(p.llm).__name__ for p in group.places}))
        missing = group.wire.missing(group.rule)
        if missing:
            how = "" if group.wire.native else "forked in the messages only, "
            yield f"{kinds}: {how}without {', '.join(missing)}."
        keys = {str(p.params.get("prompt_cache_key")) for p in group.places}
        if len(keys) > 1:
            yield f"Agents send different prompt_cache_key ({keys}): they may land apart."


def _about_context(groups: list[_Group], options: Options) -> Iterator[str]:
    said = "\n".join(p.texts() for group in groups for p in group.places)
    for n, text in enumerate(options.context):
        if text not in said:
            yield (
                f"context[{n}] stands word for word in no task or backstory (whitespace counts): "
                "it is added to every fork."
            )
        elif _PLACEHOLDER.search(text):
            yield (
                f"context[{n}] holds a {{placeholder}} that CrewAI fills in later: it is not found "
                "in the prompts then, and is sent twice. Pass the filled-in text."
            )


def _left_alone(crew: Crew) -> Iterator[str]:
    for agent in crew.agents:
        if not isinstance(getattr(agent, "llm", None), BaseLLM):
            yield f"Passes through untouched: {agent.role!r} has no CrewAI model to fork."
    for what in uncounted(crew):
        yield f"Passes through uncounted: {what}."


def _warn(text: str) -> None:
    warnings.warn(text, AgentcacheWarning, stacklevel=6)
