"""A turn: one call in flight, from who speaks to the line in the ledger."""

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from crewai import BaseLLM

from agentcache.attach import Attachment
from agentcache.dialects.base import is_list
from agentcache.gate import Pass
from agentcache.ledger import Call
from agentcache.sessions import Fork, Rewrite
from agentcache.usage import Usage
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
_PLANNING_TOOL: Final = "create_reasoning_plan"


@dataclass(slots=True)
class Stand:
    """What a forked model knows: the model it copies, its fork, and how its class speaks.

    `before` is the value that stood where the forked model stands now. `voices` maps a system text
    to the agent that said it: CrewAI makes some calls (the forced final answer) without naming the
    agent, and only this tells them from side calls.
    """

    original: BaseLLM
    before: Any
    fork: Fork
    attachment: Attachment
    wire: Wire
    label: str = ""
    voices: dict[str, str] = field(default_factory=dict[str, str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def heard(self, voice: str, name: str) -> None:
        """Remember who says a system text; copies of a crew share this in several threads."""
        with self.lock:
            self.voices.pop(voice, None)
            self.voices[voice] = name
            while len(self.voices) > _VOICES:
                del self.voices[next(iter(self.voices))]


@dataclass(frozen=True, slots=True)
class Speech:
    """Who speaks, and why this is not the agent's own conversation (empty if it is)."""

    name: str
    side_call: str = ""


@dataclass(slots=True)
class Turn:
    """One call in flight, for the hooks that CrewAI's model classes call on the way."""

    owner: int
    stand: Stand
    speech: Speech
    held: Pass
    usage: Usage = field(default_factory=Usage)
    rewrite: Rewrite | None = None
    started_s: float = 0.0
    first_event_s: float | None = None

    def rewritten(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as it goes out; the program's own if it cannot be a fork."""
        self.rewrite = self.stand.fork.rewrite(
            request,
            name=self.speech.name,
            side_call=self.speech.side_call,
            strict=self.stand.attachment.options.strict,
        )
        self.held.writes = self.rewrite.forked
        return self.rewrite.request

    def event(self) -> None:
        """The response has begun."""
        if self.first_event_s is None:
            self.first_event_s = time.monotonic()
            self.held.first_event()


_turn: ContextVar[Turn | None] = ContextVar("agentcache_crewai_turn", default=None)


def turn_of(llm: object) -> Turn | None:
    """The turn this very model is in, if it is in one."""
    turn = _turn.get()
    return turn if turn is not None and turn.owner == id(llm) else None


def speech_of(stand: Stand, llm: object, messages: Any, kwargs: Mapping[str, Any]) -> Speech:
    """Tell an agent's own conversation from the calls that CrewAI makes on the side."""
    if not is_list(messages) or not messages:
        return Speech(stand.fork.name, "side_call: a bare text, not an agent's conversation")
    voice = str(messages[0].get("content"))
    agent = kwargs.get("from_agent")
    if agent is not None:
        stand.heard(voice, stand.label or str(getattr(agent, "role", "") or stand.fork.name))
    name = stand.voices.get(voice, stand.fork.name)
    own_format = stand.wire.kind == "anthropic" and getattr(llm, "response_format", None)
    if kwargs.get("response_model") is not None or own_format:
        return Speech(name, "structured_output: response_format is not part of the frozen parent")
    if voice not in stand.voices or _plans(kwargs):
        return Speech(name, "side_call: not an agent's own conversation")
    return Speech(name)


def _plans(kwargs: Mapping[str, Any]) -> bool:
    """CrewAI's own planning call names the agent, but offers a tool that no agent has."""
    tools = kwargs.get("tools")
    names = [t.get("function", t).get("name") for t in tools] if is_list(tools) else []
    return _PLANNING_TOOL in names


def entry(stand: Stand, speech: Speech) -> AbstractContextManager[Pass]:
    """The gate, for a call that will be a fork; an open door for any other."""
    session = stand.fork.session
    if _gated(stand, speech):
        return stand.attachment.options.gate.enter(session.key, session.terms)
    return nullcontext(_ungated(stand))


def aentry(stand: Stand, speech: Speech) -> AbstractAsyncContextManager[Pass]:
    """Async twin of `entry`."""
    session = stand.fork.session
    if _gated(stand, speech):
        return stand.attachment.options.gate.aenter(session.key, session.terms)
    return nullcontext(_ungated(stand))


def _gated(stand: Stand, speech: Speech) -> bool:
    return not speech.side_call and not stand.fork.session.why_not()


def _ungated(stand: Stand) -> Pass:
    session = stand.fork.session
    return Pass("ungated", session.key, session.terms, time.monotonic())


@contextmanager
def previewing(llm: object, stand: Stand) -> Generator[None]:
    """Let the hooks rewrite a request that is only counted: no gate, no record."""
    session = stand.fork.session
    held = Pass("ungated", session.key, session.terms, time.monotonic())
    token = _turn.set(Turn(id(llm), stand, Speech(stand.fork.name), held))
    try:
        yield
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
    session = stand.fork.session
    stand.attachment.ledger.record(
        Call(
            agent=turn.speech.name,
            model=session.domain.model,
            rule_id=session.parent.rule.id,
            session=session.affinity_id,
            forked=rewrite is not None and rewrite.forked,
            reason=rewrite.reason if rewrite is not None else turn.speech.side_call,
            place=turn.held.role,
            usage=turn.usage,
            sent=rewrite.sent if rewrite is not None else (),
            original=rewrite.original if rewrite is not None else (),
            started_s=turn.started_s,
            first_event_s=turn.first_event_s,
            ended_s=time.monotonic(),
            waited_s=turn.held.waited_s,
            error=error,
        )
    )
