"""wrap, unwrap, attachments: check everything, then replace, then say what a bill would say."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import Runnable

from agentcache.attach import Attachment, Options
from agentcache.blocks import dumps
from agentcache.compaction import RECALL, recall_tool
from agentcache.dialects import dialect
from agentcache.differences import in_params
from agentcache.errors import (
    AgentcacheWarning,
    NothingToForkError,
    OptionError,
    UnknownObjectError,
)
from agentcache.parent import CacheDomain, common_tools, freeze, union_tools
from agentcache.rules import Rule
from agentcache.sessions import Session
from agentcache.worth import Agent, Sample
from agentcache_langchain import recalling
from agentcache_langchain.forked import forked_copy, stand_of, streams_silently
from agentcache_langchain.places import Found, Place, find
from agentcache_langchain.summing import Summed
from agentcache_langchain.turns import Alone, Stand
from agentcache_langchain.wires import Wire, payload_of, wire_of

__all__ = ["attachments", "fork_model", "unwrap", "wrap"]


@dataclass(slots=True)
class _Group:
    """Places whose calls can share one cache: one domain, and one set of rendering parameters."""

    wire: Wire
    rule: Rule
    domain: CacheDomain
    params: dict[str, Any]
    places: list[Place] = field(default_factory=list[Place])


def wrap(x: object, options: Options) -> object:
    """Fork every model of a graph or runnable in place, or return a forked copy of a model.

    A list of them shares one parent; models in it come back as forked copies.
    """
    if isinstance(x, BaseChatModel):
        return x if stand_of(x) else _wrap_all([x], options)[0]
    every = _several(x)
    if every is not None:
        made = _wrap_all(every, options)
        return x if _alike(every, made) else made
    _wrap_all([x], options)
    return x


def unwrap(x: object) -> object:
    """Put every model back; a forked model is exchanged for the one it copies."""
    every = _several(x)
    if every is not None:
        plain = [unwrap(one) for one in every]
        return x if _alike(every, plain) else plain
    if isinstance(x, BaseChatModel):
        stand = stand_of(x)
        return x if stand is None else stand.original
    found = _found([x])
    for place in found.places:
        stand = stand_of(place.model)
        if stand is not None:
            place.put(stand.original)
    recalling.take(found.runners, found.asides.values())
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `wrap` attached, found through the forked models."""
    every = _several(x) or [x]
    return _attached(every, _found(every))


def _attached(every: Sequence[object], found: Found) -> list[Attachment]:
    models = [one for one in every if isinstance(one, BaseChatModel)]
    models += [place.model for place in found.places]
    stands = [stand for model in models if (stand := stand_of(model)) is not None]
    return list({id(s.attachment): s.attachment for s in stands}.values())


def _several(x: object) -> list[object] | None:
    return list(cast("Sequence[object]", x)) if isinstance(x, list | tuple) else None


def _alike(one: Sequence[object], other: Sequence[object]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def _found(every: Sequence[object]) -> Found:
    """The places of graphs and runnables; raises UnknownObjectError for anything else."""
    held = [one for one in every if not isinstance(one, BaseChatModel)]
    for one in held:
        if not isinstance(one, Runnable):
            raise UnknownObjectError(
                "agentcache wraps LangChain's chat models, runnables and compiled graphs, not "
                f"{type(one).__qualname__} ({one!r:.80}). Compile a StateGraph first."
            )
    found = [find(one, is_fork=_is_fork) for one in held]
    places = [place for each in found for place in each.places]
    missed = [sentence for each in found for sentence in each.missed]
    runners = tuple(runner for each in found for runner in each.runners)
    asides = {name: aside for each in found for name, aside in each.asides.items()}
    named = tuple(_named_apart(places))
    return Found(named, tuple(dict.fromkeys(missed)), runners, asides)


def _named_apart(places: Sequence[Place]) -> Iterator[Place]:
    """Number agents of one name, where several programs are wrapped together."""
    seen: dict[str, int] = {}
    for place in places:
        seen[place.name] = seen.get(place.name, 0) + 1
        if seen[place.name] > 1:
            place.name = f"{place.name} ({seen[place.name]})"
        yield place


def _is_fork(model: BaseChatModel) -> bool:
    return stand_of(model) is not None


def fork_model(model: BaseChatModel, attachment: Attachment) -> BaseChatModel:
    """A fork of one more model, on the sessions of an attachment there is."""
    if stand_of(model) is not None:
        return model
    return cast("BaseChatModel", _wrap_all([model], attachment.options, attachment)[0])


def _wrap_all(
    every: list[object], options: Options, attachment: Attachment | None = None
) -> list[object]:
    found = _found(every)
    made = dict[int, object]()
    places = [*found.places, *_loose(every, made)]
    if not places:
        why = " ".join(found.missed)
        raise NothingToForkError(f"No chat model was found to fork. {why}".strip())
    _check_free(places, options)
    rest = [place for place in places if stand_of(place.model) is None]
    earlier = _attached(every, found)
    attachment = attachment or (earlier[-1] if earlier else Attachment(options))
    recalling.give(found.runners, found.asides.values(), attachment)
    shared = _share_history(every)
    alone = Alone(alone=_is_alone(places, every, attachment.options))
    groups = _grouped(rest, attachment.options)
    peers: dict[str, Stand] = {}
    for group in groups:
        session = _session(group, attachment, found)
        company = _company(group, session)
        for place in group.places:
            stand = _stand(place, group, session, attachment, alone)
            stand.recalls = _recalls(place, group, attachment, found)
            _say_kept(place, stand)
            stand.summed = Summed.of(place.name, found.asides.get(place.name))
            stand.peers = peers
            peers.setdefault(place.name, stand)
            apart = not shared and group.rule.matching == "prefix"
            stand.company = company
            stand.follows = "found" if apart else "history"
            place.put(forked_copy(place.model, stand))
    if rest:
        _say(groups, found, attachment)
    return [made.get(id(one), one) for one in every]


def _loose(every: Sequence[object], made: dict[int, object]) -> Iterator[Place]:
    """Models given by themselves: their forks are handed back, not put anywhere."""
    for one in every:
        if isinstance(one, BaseChatModel):

            def put(model: BaseChatModel, key: int = id(one)) -> None:
                made[key] = model

            yield Place("", one, put, "", (), "agent", varies=True)


def _check_free(places: Sequence[Place], options: Options) -> None:
    """A model that forks one parent cannot fork another."""
    for place in places:
        stand = stand_of(place.model)
        if stand and options.session not in (None, stand.session):
            raise OptionError(
                f"The model of {place.name or type(place.model).__name__!r} is a fork of another "
                f"session already ({stand.session.domain}). Unwrap it first, or join that session."
            )


def _share_history(every: Sequence[object]) -> bool:
    """Whether agents may well talk in one history, or about one text.

    Not in a graph whose state has no messages: its nodes write their prompts themselves, and one
    node may ask about many texts.
    """
    return all("messages" in getattr(one, "channels", ("messages",)) for one in every)


def _is_alone(places: Sequence[Place], every: Sequence[object], options: Options) -> bool:
    """Whether one agent talks here with nobody to share with, as far as can be seen."""
    talk = [place for place in places if place.use == "agent"]
    given = options.session is not None or options.context or options.layout == "fork"
    loose = any(isinstance(one, BaseChatModel) for one in every)
    return len(talk) < 2 and not given and not loose


def _grouped(rest: Sequence[Place], options: Options) -> list[_Group]:
    groups: list[_Group] = []
    offers = any(place.tools or place.varies for place in rest)
    for place in rest:
        wire = wire_of(place.model, tools=offers)
        rule = wire.rule(place.model, options.provider)
        domain = wire.domain(place.model, rule)
        frozen = _frozen(wire, rule, place)
        same = (g for g in groups if (g.wire, g.domain, g.params) == (wire, domain, frozen))
        group = next(same, None)
        if group is None:
            group = _Group(wire, rule, domain, frozen)
            groups.append(group)
        group.places.append(place)
    return groups


def _frozen(wire: Wire, rule: Rule, place: Place) -> dict[str, Any]:
    params = wire.params(place.model)
    return {k: v for k, v in params.items() if k in rule.freeze and k != "prompt_cache_key"}


def _say_kept(place: Place, stand: Stand) -> None:
    """Say whose results stay as they are, because nobody would read them again for it."""
    mine = bool(stand.tools) and RECALL not in (stand.tools or ())
    if stand.attachment.options.compact and place.use == "agent" and mine and not stand.recalls:
        stand.attachment.ledger.note(recalling.NOT_RUN.format(place.name))


def _recalls(place: Place, group: _Group, attachment: Attachment, found: Found) -> bool:
    """Whether a node of LangGraph's runs an agent's tools, `recall_result` among them."""
    if attachment.options.compact is None or place.use != "agent":
        return False
    name_of = dialect(group.wire.dialect).tool_name
    return recalling.runs(found.runners, map(name_of, group.wire.tools(place.model, place.tools)))


def _session(group: _Group, attachment: Attachment, found: Found) -> Session:
    """The parent of one group: the one given, or one made from its agents."""
    options = attachment.options
    tools = {p.name: group.wire.tools(p.model, p.tools) for p in group.places}
    for place in group.places:
        name_of = dialect(group.wire.dialect).tool_name
        own = RECALL in map(name_of, tools[place.name])
        if not own and _recalls(place, group, attachment, found):
            tools[place.name].append(recall_tool(group.wire.dialect))
    adds = options.tools == "auto" and all(group.wire.adds_tools(p.model) for p in group.places)
    given = options.session or next((s for s in attachment.sessions if _accepts(s, group)), None)
    if given is not None:
        _check_joins(given, group)
        given.offer([tool for every in tools.values() for tool in every])
        attachment.join(given, _samples(group, tools))
        return given
    parent = freeze(
        group.wire.dialect,
        group.rule,
        group.domain,
        system=options.system,
        context=options.context,
        tools=_shared_tools(group, tools, adds=adds),
        params=group.params,
        ttl=options.ttl,
        adds=adds,
    )
    return attachment.open(parent, _samples(group, tools), judge=False)


def _shared_tools(
    group: _Group, tools: dict[str, list[Any]], *, adds: bool
) -> list[dict[str, Any]]:
    """The union; where each agent can offer its own, only what is cheaper in front of all."""
    if not adds:
        return union_tools(group.wire.dialect, tools)
    talking = {p.name for p in group.places if p.use == "agent"}
    owned = {name: every for name, every in tools.items() if name in talking}
    return common_tools(group.wire.dialect, group.rule, owned)


def _samples(group: _Group, tools: dict[str, list[Any]]) -> list[Sample]:
    """What is known of the agents' first requests: their fixed system prompts."""
    if not group.wire.native:
        return []
    return [
        Sample(
            place.name,
            payload_of(
                place.model,
                [SystemMessage(place.system), HumanMessage("?")],
                {"tools": tools[place.name]} if tools[place.name] else {},
            ),
        )
        for place in group.places
        if place.system
    ]


def _accepts(session: Session, group: _Group) -> bool:
    alike = session.domain == group.domain and session.parent.dialect.name == group.wire.dialect
    return alike and not in_params(session.parent, "?", group.params)


def _company(group: _Group, session: Session) -> list[Agent]:
    """What is known of the agents that will stand on a session, for a bill beforehand."""
    found: list[Agent] = []
    name_of, front = session.parent.dialect.tool_name, session.standing.names
    for place in group.places:
        tools = group.wire.tools(place.model, place.tools)
        sizes = {name_of(tool): session.printer.weigh(dumps(tool)) for tool in tools}
        adds = sum(size for name, size in sizes.items() if name not in front)
        if place.use == "agent":
            own = session.printer.weigh(place.system) if place.system else 0
            found.append(Agent(sum(sizes.values()), own, adds))
    return found


def _check_joins(session: Session, group: _Group) -> None:
    names = ", ".join(p.name or type(p.model).__name__ for p in group.places)
    if session.domain != group.domain:
        raise OptionError(
            f"This session belongs to {session.domain}, but {names} would call {group.domain}: "
            "they share no cache. Wrap them without session=, or give them that model and endpoint."
        )
    if session.parent.dialect.name != group.wire.dialect:
        raise OptionError(
            f"This session speaks {session.parent.dialect.name}, but {names} would speak "
            f"{group.wire.dialect}. Set use_responses_api alike on both models."
        )


def _stand(
    place: Place, group: _Group, session: Session, attachment: Attachment, alone: Alone
) -> Stand:
    name_of = session.parent.dialect.tool_name
    names = [name_of(tool) for tool in group.wire.tools(place.model, place.tools)]
    return Stand(
        place.model,
        session,
        attachment,
        group.wire,
        alone,
        label=place.name,
        tools=tuple(names) or None,
    )


def _say(groups: Sequence[_Group], found: Found, attachment: Attachment) -> None:
    """Say what a user would otherwise find out from the bill."""
    ledger = attachment.ledger
    for group in (g for g in groups if not g.rule.known):
        _warn(
            f"No caching rule for {group.domain}: the safe common denominator is used "
            "(no marks, no extra parameters). Pass provider='llama.cpp' or alike to wrap."
        )
    for sentence in found.missed:
        _warn(f"Not forked: {sentence}")
        ledger.note(f"Not forked: {sentence}")
    ledger.note(*_about(groups))
    if len(attachment.sessions) > 1:
        domains = "; ".join(str(s.domain) for s in attachment.sessions)
        ledger.note(f"{len(attachment.sessions)} sessions, one per cache domain: {domains}")


def _about(groups: Sequence[_Group]) -> Iterator[str]:
    for group in groups:
        kinds = ", ".join(sorted({type(p.model).__name__ for p in group.places}))
        if not group.wire.native:
            yield f"{kinds}: forked in the messages only, without marks, tool_choice or affinity id"
        silent = group.wire.dialect != "openai.responses"
        if silent and any(streams_silently(p.model) for p in group.places):
            yield (
                f"{kinds}: streamed answers would not say what they cost; the forks ask for it "
                "(stream_usage=False on the model keeps it off)."
            )


def _warn(text: str) -> None:
    warnings.warn(text, AgentcacheWarning, stacklevel=5)
