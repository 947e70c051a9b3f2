"""A turn: one call in flight, from who speaks to the line in the ledger."""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from crewai import BaseLLM

from agentcache.attach import Attachment
from agentcache.breaks.vendors import Verdict
from agentcache.dialects import dialect
from agentcache.dialects.base import is_list
from agentcache.dialects.openai_chat import texts_of
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.gate import Pass
from agentcache.rewrites import Rewrite
from agentcache.talks import Talk, opening
from agentcache.usage import Usage
from agentcache_crewai.outlook import Outlook
from agentcache_crewai.summing import summing_now
from agentcache_crewai.wires import Wire

__all__ = [
    "Speech",
    "Stand",
    "Turn",
    "aentry",
    "entry",
    "sending",
    "speech_of",
    "turn_of",
]

_VOICES: Final = 256
_NOT_OWN: Final = "not an agent's own conversation"


@dataclass(slots=True)
class Stand:
    """What a forked model knows: the model it copies, its fork, and how its class speaks.

    `before` is the value that stood where the forked model stands now. `voices` maps a system text
    to the agent that said it: CrewAI makes some calls (the forced final answer) without naming the
    agent, and only this tells them from side calls. `aside` says why no call of this model is an
    agent's own conversation; empty for the model of an agent. `recalls` says that the agent has the
    tool to read again what compaction replaces.
    """

    original: BaseLLM
    before: Any
    fork: Fork
    attachment: Attachment
    wire: Wire
    outlook: Outlook
    label: str = ""
    aside: str = ""
    recalls: bool = False
    voices: dict[str, str] = field(default_factory=dict[str, str])
    lock: threading.Lock = field(default_factory=threading.Lock)
    extra: int | None = None

    def added(self) -> int:
        """Estimated tokens that forking adds to a request: as in the latest, at first at most."""
        session = self.fork.session
        if self.extra is not None and not session.left:
            return self.extra
        return 0 if session.why_not() else session.standing.tokens

    def heard(self, voice: str, name: str) -> None:
        """Remember who says a system text; copies of a crew share this in several threads."""
        with self.lock:
            self.voices.pop(voice, None)
            self.voices[voice] = name
            while len(self.voices) > _VOICES:
                del self.voices[next(iter(self.voices))]


@dataclass(frozen=True, slots=True)
class Speech:
    """Who speaks, and why this is not the agent's own conversation (empty if it is).

    `talk` is its conversation, if it may become a fork.
    """

    name: str
    side_call: str = ""
    talk: Talk | None = None


@dataclass(slots=True)
class Turn:
    """One call in flight, for the hooks that CrewAI's model classes call on the way.

    `offered` says whether CrewAI offers tools in it, `inline` whether CrewAI goes on to read or
    extend the arguments that the request is made of, `ahead` that it is only counted and not sent.
    """

    owner: int
    stand: Stand
    speech: Speech
    held: Pass
    usage: Usage = field(default_factory=Usage)
    rewrite: Rewrite | None = None
    offered: bool = False
    inline: bool = False
    ahead: bool = False
    answer_id: str = ""
    verdict: Verdict | None = None
    started_s: float = 0.0
    first_event_s: float | None = None

    def answered(self, answer_id: str, usage: Usage, verdict: Verdict | None) -> None:
        """Note what an answer cost; a second one in the same turn is a call of its own."""
        if self.usage.input_tokens is not None and answer_id != self.answer_id:
            _record(self, "")
            self.started_s, self.first_event_s = time.monotonic(), None
        self.answer_id, self.usage, self.verdict = answer_id, usage, verdict

    def rewritten(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as it goes out; the program's own if it cannot be a fork."""
        self.rewrite = self._summary(request) or self._rewrite(request)
        self.held.writes = self.rewrite.forked
        attachment, session = self.stand.attachment, self.stand.fork.session
        self.rewrite = attachment.asking(session, self.speech.name, self.rewrite)
        return self.rewrite.request

    def _rewrite(self, request: Mapping[str, Any]) -> Rewrite:
        shrunk = self.stand.fork.shrink(request, ahead=self.ahead)
        return self.stand.fork.rewrite(
            shrunk.request,
            shrunk=shrunk,
            name=self.speech.name,
            side_call=self.speech.side_call,
            talk=self.speech.talk,
            strict=self.stand.attachment.options.strict,
        )

    def _summary(self, request: Mapping[str, Any]) -> Rewrite | None:
        """CrewAI's call for a summary as one of its agent's own; None if it is no such call."""
        now, fork = summing_now(), self.stand.fork
        if now is None or not self.speech.side_call or self.ahead:
            return None
        parts = fork.session.parent.dialect.split(request)
        said = [text for row in parts.messages for text in texts_of(row.get("content"))]
        part = now.first_part([*parts.system, *said])
        if part is None:
            return None
        system = tuple(str(message.get("content")) for message in now.lead)
        whole = fork.summary(request, part[1], part[0], now.agent, system)
        if whole is None:
            return None
        shrunk = fork.shrink(whole)
        made = fork.rewrite(shrunk.request, shrunk=shrunk, name=now.agent)
        return fork.summed_up(made, request, now.agent)

    def pass_through(self, reason: str) -> None:
        """The request goes out as the program made it, though it was to be a fork."""
        was = self.rewrite.original if self.rewrite is not None else ()
        self.rewrite = Rewrite({}, False, self.speech.side_call or reason, (), was, was)
        self.held.writes = False

    def event(self) -> None:
        """The response has begun."""
        if self.first_event_s is None:
            self.first_event_s = time.monotonic()
            self.held.first_event()


_turn: ContextVar[Turn | None] = ContextVar("agentcache_crewai_turn", default=None)


def turn_of(llm: object) -> Turn | None:
    """The turn this very model is in, if it is in one."""
    turn = _turn.get()
    owners = (id(llm), getattr(llm, "_agentcache_owner", None))
    return turn if turn is not None and turn.owner in owners else None


def speech_of(stand: Stand, llm: object, messages: Any, kwargs: Mapping[str, Any]) -> Speech:
    """Tell an agent's own conversation from the calls that CrewAI makes on the side."""
    if not is_list(messages) or not messages:
        return Speech(stand.fork.name, "side_call: a bare text, not an agent's conversation")
    voice = str(messages[0].get("content"))
    agent = kwargs.get("from_agent")
    if agent is not None:
        stand.heard(voice, stand.label or str(getattr(agent, "role", "") or stand.fork.name))
    name = stand.voices.get(voice, stand.fork.name)
    own_format = stand.wire.own_format and getattr(llm, "response_format", None)
    if kwargs.get("response_model") is not None or own_format:
        return Speech(name, "structured_output: response_format is not part of the frozen parent")
    chained = stand.wire.chained(llm)
    if chained:
        return Speech(name, chained)
    if stand.aside or voice not in stand.voices:
        return Speech(name, f"side_call: {stand.aside or _NOT_OWN}")
    return Speech(name, talk=_talk(stand, messages, kwargs))


def _talk(stand: Stand, messages: Sequence[Any], kwargs: Mapping[str, Any]) -> Talk | None:
    stand.outlook.look(kwargs.get("from_agent"), kwargs.get("from_task"))
    parts = dialect("openai.chat").split({"messages": messages})  # CrewAI's own form, always
    return stand.fork.talk(opening(parts), len(parts.messages))


def entry(stand: Stand, speech: Speech) -> AbstractContextManager[Pass]:
    """The gate, for a call that will be a fork; an open door for any other."""
    return _flight(stand, speech).enter(_keys(speech))


def aentry(stand: Stand, speech: Speech) -> AbstractAsyncContextManager[Pass]:
    """Async twin of `entry`."""
    return _flight(stand, speech).aenter(_keys(speech))


def _flight(stand: Stand, speech: Speech) -> Flight:
    return Flight(stand.attachment, stand.fork.session, speech.name, reason=speech.side_call)


def _keys(speech: Speech) -> tuple[tuple[str, str], ...]:
    talk = speech.talk
    return () if talk is None or talk.left or talk.standing.why_not else talk.standing.keys


@contextmanager
def previewing(llm: object, stand: Stand, messages: Sequence[Any]) -> Generator[Turn]:
    """Let the hooks rewrite a request that is only counted: no gate, no record."""
    speech = Speech(stand.fork.name, talk=_talk(stand, messages, {}))
    held = _flight(stand, speech).ungated()
    turn = Turn(id(llm), stand, speech, held, inline=True, ahead=True)
    token = _turn.set(turn)
    try:
        yield turn
    finally:
        _turn.reset(token)


@contextmanager
def sending(turn: Turn) -> Generator[Turn]:
    """Make the turn visible to the hooks while it runs, and record it when it ends."""
    token = _turn.set(turn)
    turn.started_s = time.monotonic()
    error = ""
    try:
        yield turn
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        _turn.reset(token)
        _record(turn, error)


def _record(turn: Turn, error: str) -> None:
    stand, rewrite = turn.stand, turn.rewrite
    if rewrite is not None and rewrite.forked and not rewrite.compacted:
        sent, own = (sum(p.weight for p in made) for made in (rewrite.sent, rewrite.original))
        stand.extra = sent - own
    flight = _flight(stand, turn.speech)
    flight.rewrite, flight.usage, flight.held = rewrite, turn.usage, turn.held
    flight.answer_id, flight.verdict = turn.answer_id, turn.verdict
    flight.started_s, flight.first_event_s = turn.started_s, turn.first_event_s
    flight.land(error)
