"""Members of a chat, grouped by whose cache they can share, each group on one session."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentcache.attach import Attachment, Options
from agentcache.blocks import dumps
from agentcache.differences import in_params
from agentcache.errors import AgentcacheWarning, OptionError
from agentcache.parent import CacheDomain, freeze, union_tools
from agentcache.rules import Rule
from agentcache.sdk.turns import Company, Stand
from agentcache.sessions import Session
from agentcache.worth import Agent
from agentcache.wrapping import DEFAULT_SYSTEM

__all__ = ["CHAT_SYSTEM", "Member", "seated", "warn"]

CHAT_SYSTEM: Final = (
    "You are one of several agents in a conversation. It stands first, word for word the same for "
    "all of them: what each has said is a message that begins with the speaker's name in square "
    "brackets, such as [name]: text, and so is what you yourself have said. What only you know "
    "follows it, and then the part that names you: it tells you who you are and what you have to "
    "do. Answer as that agent only, and do not write your name in front."
)

_NOT_PARAMS: Final = ("tools", "system", "messages", "prompt_cache_key")


@dataclass(slots=True)
class Member:
    """One who speaks in a chat, and how: `tools` as sent, `system` its own text.

    `native` says that a fork is written on the wire, `aside` why it is never forked (or nothing).
    The `canonical` ones of its tools may read otherwise for others.
    """

    name: str
    dialect: str
    native: bool
    rule: Rule
    domain: CacheDomain
    params: dict[str, Any]
    tools: list[dict[str, Any]]
    system: str
    kind: str
    aside: str = ""
    canonical: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    members: list[Member] = field(default_factory=list[Member])

    @property
    def first(self) -> Member:
        return self.members[0]

    def takes(self, member: Member) -> bool:
        first = self.first
        alike = (first.dialect, first.domain) == (member.dialect, member.domain)
        return alike and _frozen(first) == _frozen(member)


def seated(
    members: Sequence[Member], attachment: Attachment, *, counts_fresh: bool = False
) -> list[Stand]:
    """A stand for each member, on the session of its cache domain."""
    groups: list[_Group] = []
    for member in members:
        group = next((g for g in groups if g.takes(member)), None)
        if group is None:
            groups.append(_Group([member]))
        else:
            group.members.append(member)
    stands: dict[int, Stand] = {}
    for group in groups:
        session = _session(group, attachment)
        company = Company(_agents(group, session))
        for member in group.members:
            names = tuple(session.parent.dialect.tool_name(tool) for tool in member.tools)
            fork = session.fork(member.name, names, follows="history", late_tools=True)
            aside = member.aside or _alone(group, attachment.options)
            stands[id(member)] = Stand(fork, attachment, company, aside, counts_fresh)
    _say(groups, attachment)
    return [stands[id(member)] for member in members]


def _frozen(member: Member) -> dict[str, Any]:
    held = member.params
    return {k: v for k, v in held.items() if k in member.rule.freeze and k not in _NOT_PARAMS}


def _alone(group: _Group, options: Options) -> str:
    talking = [member for member in group.members if not member.aside]
    given = (
        options.session is not None or options.context or options.layout not in ("auto", "as_is")
    )
    if len(talking) > 1 or given:
        return ""
    return "alone: one agent talks here; it shares with nobody until another one does"


def _session(group: _Group, attachment: Attachment) -> Session:
    """The parent of one group: the one given, or one made from its members."""
    options, first = attachment.options, group.first
    tools = {member.name: member.tools for member in group.members}
    given = options.session or next((s for s in attachment.sessions if _accepts(s, first)), None)
    if given is not None:
        _check_joins(given, group)
        given.offer([tool for every in tools.values() for tool in every])
        attachment.join(given, ())
        return given
    canonical = tuple(dict.fromkeys(name for m in group.members for name in m.canonical))
    parent = freeze(
        first.dialect,
        first.rule,
        first.domain,
        system=CHAT_SYSTEM if options.system == DEFAULT_SYSTEM else options.system,
        context=(*options.context, *_roster(group, options)),
        tools=union_tools(first.dialect, tools, canonical),
        params=_frozen(first),
        canonical=canonical,
        ttl=options.ttl,
    )
    return attachment.open(parent, (), judge=False)


def _roster(group: _Group, options: Options) -> Iterator[str]:
    """The texts of all, where they are to stand in front."""
    if options.layout == "roster":
        yield from dict.fromkeys(m.system for m in group.members if m.system and not m.aside)


def _accepts(session: Session, member: Member) -> bool:
    alike = session.domain == member.domain and session.parent.dialect.name == member.dialect
    return alike and not in_params(session.parent, "?", _frozen(member))


def _check_joins(session: Session, group: _Group) -> None:
    if session.domain != group.first.domain:
        names = ", ".join(member.name for member in group.members)
        raise OptionError(
            f"This session belongs to {session.domain}, but {names} would call "
            f"{group.first.domain}: they share no cache. Wrap them without session=, or give them "
            "that model and endpoint."
        )


def _agents(group: _Group, session: Session) -> list[Agent]:
    """What is known of the members, for a bill beforehand."""
    weigh = session.printer.weigh
    return [
        Agent(sum(weigh(dumps(t)) for t in m.tools), weigh(m.system) if m.system else 0)
        for m in group.members
        if m.kind == "agent" and not m.aside
    ]


def _say(groups: Sequence[_Group], attachment: Attachment) -> None:
    """Say what a user would otherwise find out from the bill."""
    ledger = attachment.ledger
    for group in (g for g in groups if not g.first.rule.known):
        warn(
            f"No caching rule for {group.first.domain}: the safe common denominator is used "
            "(no marks, no extra parameters). Pass provider='llama.cpp' or alike to wrap."
        )
    for member in (m for g in groups for m in g.members):
        if not member.native:
            ledger.note(
                f"{member.name}: its client is forked in the messages only, without marks, "
                "tool_choice or affinity id."
            )
        if member.aside:
            warn(f"Not forked: {member.name}: {member.aside}")
            ledger.note(f"Not forked: {member.name}: {member.aside}")
    if len(attachment.sessions) > 1:
        domains = "; ".join(str(s.domain) for s in attachment.sessions)
        ledger.note(f"{len(attachment.sessions)} sessions, one per cache domain: {domains}")


def warn(text: str) -> None:
    """Say something at once."""
    warnings.warn(text, AgentcacheWarning, stacklevel=6)
