"""Clients of an SDK whose requests become forks, in place, as they are sent.

What `observing` stands in for is stood in for here too: a request is rewritten in front of the
client's own `request`, which builds, sends, retries and parses it.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agentcache.dialects import Json, Parts
from agentcache.dialects import dialect as dialect_named
from agentcache.dialects.base import is_json
from agentcache.errors import AgentcacheError, AgentcacheWarning, OptionError
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.parent import freeze, tool_text
from agentcache.sdk.places import is_async
from agentcache.sdk.turns import Company, Leg, Stand, Turn, turn_now
from agentcache.sessions import Session
from agentcache.talks import Talk, opening
from agentcache.worth import Agent, talk_would_cost_more
from agentcache_openai.asides import aside_of
from agentcache_openai.observing import Asking, Target, Watch
from agentcache_openai.sending import Call, arequest, body_of, request, settled

__all__ = ["Forks"]

_log = logging.getLogger("agentcache")
_AGENTS: Final = 64
_ALONE: Final = "alone: one agent talks here; it shares with nobody until another one does"
_APART: Final = "alone: nothing is known that two agents have in common and do not share already"


@dataclass(frozen=True)
class _Known:
    """An agent as it was heard last: what it weighs, and its tools as JSON."""

    agent: Agent
    tools: frozenset[str]

    @classmethod
    def of(cls, session: Session, parts: Parts) -> "_Known":
        """Whoever sends this request."""
        tools = frozenset(tool_text(session.parent.dialect, tool) for tool in parts.tools)
        own = sum(map(session.printer.weigh, parts.system))
        return cls(Agent(sum(map(session.printer.weigh, tools)), own), tools)


@dataclass(eq=False)
class Forks(Watch):
    """Clients that share their parents: `roots` holds one for each API, place and model.

    `agents` are those heard so far, until the first fork is sent. What is not forked in any case is
    recorded on sessions of its own, which nobody is shown.
    """

    roots: dict[Target, Session] = field(default_factory=dict[Target, Session])
    agents: dict[Session, dict[str, _Known]] = field(
        default_factory=dict[Session, dict[str, _Known]]
    )

    def asking(self, client: Any) -> Asking:
        """What stands in for a client's `request`."""
        return (_AsyncForking if is_async(client) else _Forking)(self, client)

    def opened(self, target: Target) -> Session:
        """A session on which what is not forked is recorded."""
        rule = target.rule(self.attachment.options.provider)
        return Session(freeze(target.dialect, rule, target.domain(rule)), leave="as_is")

    def forked(self, session: Session, name: str) -> Fork:
        """A new fork: its tools come with its requests."""
        return session.fork(name, (), follows="found", late_tools=True)

    def leg(self, target: Target, request: Json) -> Leg:
        """Write a request as a fork, or say why not, before anything is sent.

        Raises FrozenError, or OptionError, as the options ask.
        """
        wire, options = dialect_named(target.dialect), self.attachment.options
        aside = aside_of(wire, request) or self._elsewhere(target)
        session = self.session(target) if aside else self._root(target, request)
        fork = self.fork(session, request)
        stand = Stand(fork, self.attachment, Company(), aside)
        talk = None if aside else self._talk(fork, request)
        shrunk = stand.shrink(request)
        flight = Flight(self.attachment, session, fork.name)
        flight.rewrite = fork.rewrite(
            shrunk.request, shrunk=shrunk, side_call=aside, talk=talk, strict=options.strict
        )
        return Leg(Turn(stand, _no_chat), {}, request, flight)

    def _elsewhere(self, target: Target) -> str:
        """Why a call cannot join the session that was given."""
        given = self.attachment.options.session
        if given is None:
            return ""
        rule = target.rule(self.attachment.options.provider)
        if given.domain == target.domain(rule) and given.parent.dialect.name == target.dialect:
            return ""
        told = (
            f"other_domain: the session belongs to {given.domain} by {given.parent.dialect.name}, "
            f"this call goes to {target.domain(rule)} by {target.dialect}: they share no cache"
        )
        if self.attachment.options.strict:
            raise OptionError(f"{told}. Wrap without session=, or send it elsewhere.")
        return told

    def _root(self, target: Target, request: Json) -> Session:
        """The parent of the forks: the one given, or one frozen from the first request."""
        with self.lock:
            found = self.roots.get(target)
            if found is None:
                found = self.roots[target] = self._opened_root(target, request)
            return found

    def _opened_root(self, target: Target, request: Json) -> Session:
        options = self.attachment.options
        if options.session is not None:
            self.attachment.join(options.session, ())
            return options.session
        rule = target.rule(options.provider)
        domain = target.domain(rule)
        parent = freeze(
            target.dialect,
            rule,
            domain,
            system=options.system,
            context=options.context,
            params=request,
            ttl=options.ttl,
        )
        if not rule.known:
            warnings.warn(
                f"No caching rule for {domain}: the safe common denominator is used "
                "(no marks, no extra parameters). Pass provider='llama.cpp' or alike to wrap.",
                AgentcacheWarning,
                stacklevel=2,
            )
        if self.roots:
            told = f"One more session, for {domain} by {target.dialect}"
            self.attachment.ledger.note(f"{told}: it shares no cache with the others.")
        return self.attachment.open(parent, (), judge=False)

    def _talk(self, fork: Fork, request: Json) -> Talk:
        """The conversation; one that begins is left alone where forking could only cost."""
        session, parts = fork.session, fork.session.parent.dialect.split(request)
        if session.used:
            return fork.talk(opening(parts), len(parts.messages))
        self._offered(session, parts)  # first: what it stands on holds them then
        talk = fork.talk(opening(parts), len(parts.messages))
        talk.left = talk.left or self._left(fork, talk, parts)
        return talk

    def _offered(self, session: Session, parts: Parts) -> None:
        """Let tools join the union while that costs nothing."""
        wire, held = session.parent.dialect, session.standing.holds
        forced = is_json(parts.rest.get("tool_choice")) and len(parts.tools) == 1
        if not forced and any(not held(wire.tool_name(t), tool_text(wire, t)) for t in parts.tools):
            session.offer(parts.tools)

    def _left(self, fork: Fork, talk: Talk, parts: Parts) -> str:
        """Why those heard so far had better be left alone."""
        options, session = self.attachment.options, fork.session
        if options.layout != "auto" or session.parent.context or options.session is not None:
            return ""
        with self.lock:
            known = self.agents.setdefault(session, {})
            known[fork.name] = _Known.of(session, parts)
            while len(known) > _AGENTS:
                del known[next(iter(known))]
            heard = list(known.values())
        if len(heard) < 2:
            return _ALONE
        if talk.standing.path:  # texts that several carry
            return ""
        if not _would_share(session, [one.tools for one in heard]):
            return _APART
        return talk_would_cost_more(session, [one.agent for one in heard], 0)


def _would_share(session: Session, tools: Sequence[frozenset[str]]) -> bool:
    """Whether a union gives agents with these tools more in common than they have without it.

    Where the longest common prefix is read, those with the same tools share them already.
    """
    apart = len(frozenset[str]().union(*tools)) == sum(map(len, tools))
    alike = len(set(tools)) == 1 and session.parent.rule.matching != "breakpoint"
    return not apart and not alike


def _no_chat(_wire: object, _request: object) -> str:
    """Nothing tells a plain client's group chats from other conversations."""
    return ""


class _Forking(Asking):
    """Stands in for a client's `request`: what it sends becomes a fork."""

    watch: Forks

    def __call__(self, cast_to: Any, options: Any, **how: Any) -> Any:
        """Send a request as a fork, and check what is answered."""
        if turn_now() is not None:  # a framework's own fork, which is recorded there
            return self.real(cast_to, options, **how)
        target = self.target(options) if is_json(options.json_data) else None
        if target is None:
            return super().__call__(cast_to, options, **how)
        options = settled(options)
        leg = self._leg(target, options)
        if leg is None:
            return super().__call__(cast_to, options, **how)
        return self._forked(Call(self.client, options, lambda o: self.real(cast_to, o, **how)), leg)

    def _forked(self, call: Call, leg: Leg) -> Any:
        return request(call, leg)

    def _leg(self, target: Target, options: Any) -> Leg | None:
        """The call as a fork; None for what cannot be read."""
        try:
            body = body_of(options)
            return self.watch.leg(replace(target, model=str(body.get("model", ""))), body)
        except (AgentcacheError, Warning):
            raise
        except Exception:  # noqa: BLE001 - an odd request goes out as it is
            _log.exception("agentcache could not fork a request; it goes out as it is")
            return None


class _AsyncForking(_Forking):
    """The asynchronous twin."""

    def _forked(self, call: Call, leg: Leg) -> Any:
        return arequest(call, leg)
