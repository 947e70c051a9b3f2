"""A turn: one call in flight, from who speaks to the line in the ledger."""

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from agentcache.allow import refusal_text
from agentcache.anchors import Follows
from agentcache.attach import Attachment
from agentcache.blocks import dumps
from agentcache.dialects.base import is_json
from agentcache.dialects.openai_chat import texts_of
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.layout import taking_turns
from agentcache.rewrites import Rewrite, with_headers
from agentcache.sessions import Session
from agentcache.worth import Agent
from agentcache_langchain.answers import (
    FirstCall,
    Tally,
    as_text,
    dropped,
    foreign_calls,
    guard_event,
    renamed,
)
from agentcache_langchain.naming import name_by, name_in
from agentcache_langchain.plain import Plain
from agentcache_langchain.summing import Summed, summed_now
from agentcache_langchain.wires import Wire, beside, name_of, payload_of

__all__ = [
    "Alone",
    "Stand",
    "Turn",
    "during",
    "is_last",
    "is_moved",
    "sending",
    "turn_of",
    "turn_to",
]

_VOICES: Final = 64
_BOTH_APIS: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "top_p", "service_tier"}
    | {"max_tokens", "max_completion_tokens", "reasoning_effort", "verbosity", "store"}
    | {"metadata", "user", "safety_identifier", "prompt_cache_key", "tools", "tool_choice"}
)
"""Parameters of Chat Completions that LangChain hands on to Responses as well."""


class Alone:
    """Whether one voice only has been heard: it shares with nobody, and is left as it is."""

    def __init__(self, *, alone: bool) -> None:
        """Hear nobody yet; with `alone` False it does not matter."""
        self._one: object = None
        self._alone = alone

    def hears(self, voice: object) -> bool:
        """Whether this voice, a system text with its tools, is still the only one."""
        if self._alone and self._one is None:
            self._one = voice
        self._alone = self._alone and self._one == voice
        return self._alone


@dataclass(eq=False, repr=False, slots=True)
class Stand:
    """What a forked model knows: the model it copies, its session, and how its class speaks.

    `label` is the agent's name, where the model is held by one agent only. `tools` are the names it
    may call, in its order; None where any agent may use this model. `company` are all agents of the
    session as far as they are known, until the first call. `follows` says whether its
    agents are known to talk in one history, `recalls` that a node runs `recall_result` for it,
    `summed` whose conversation it sums up, if it does; `peers` are the stands by their labels.
    """

    original: BaseChatModel
    session: Session
    attachment: Attachment
    wire: Wire
    alone: Alone
    label: str = ""
    tools: tuple[str, ...] | None = None
    follows: Follows = "found"
    company: list[Agent] = field(default_factory=list[Agent])
    forks: dict[str, Fork] = field(default_factory=dict[str, Fork])
    recalls: bool = False
    summed: Summed | None = None
    peers: dict[str, "Stand"] = field(default_factory=dict[str, "Stand"])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __deepcopy__(self, memo: object) -> "Stand":
        """A copied model stands where the first one does."""
        return self

    def judge(self, before: Mapping[str, Any]) -> None:
        """Before the first call: would sharing what it says cost more than leaving it alone?"""
        session = self.session
        parent = session.parent
        with self.lock:
            company, self.company[:] = list(self.company), []
        weigh, wire = session.printer.weigh, parent.dialect
        if not self.label and not parent.adds:  # a model by itself: its tools tell how many share
            tools = sum(weigh(dumps(tool)) for tool in wire.tools_of(before))
            front = sum(map(weigh, parent.tools))
            company = [Agent(tools, 0)] * max(2, round(front / tools)) if tools else []
        self.attachment.meet(session, company, wire.split(before).messages)

    def fork(self, name: str) -> Fork:
        """The fork of the agent of this name."""
        with self.lock:
            found = self.forks.get(name)
            if found is None:
                while len(self.forks) >= _VOICES:
                    del self.forks[next(iter(self.forks))]
                found = self.session.fork(
                    name, self.tools, follows=self.follows, checks_calls=True, late_tools=True
                )
                self.forks[name] = found
            return found


@dataclass(slots=True)
class Turn:
    """One call in flight: `before` is its request as the program made it.

    `moved` says that the class would have sent it to OpenAI's other API, `told` that the model was
    told not to call another agent's tool, `spoke` that a part of its answer has gone out, `refused`
    what is said in place of a call that an agent without tools made. A `whole` answer may yet be
    streamed inside; `overheard` are calls taken out of its pieces, which the class cannot join.
    """

    owner: int
    stand: Stand
    flight: Flight
    before: dict[str, Any]
    plain: Plain | None
    tally: Tally
    first: FirstCall = field(default_factory=FirstCall)
    moved: bool = False
    told: bool = False
    spoke: bool = False
    refused: str | None = None
    whole: bool = False
    overheard: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """What the call shares, to the gate."""
        rewrite = self.flight.rewrite
        return rewrite.keys if rewrite is not None else ()

    def given(
        self, messages: list[BaseMessage], kwargs: dict[str, Any]
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """What the class's own method gets: a fork already, where it is written in messages."""
        rewrite = self.flight.rewrite
        if self.plain is None or rewrite is None or not rewrite.changed:
            return messages, kwargs
        return self.plain.back(rewrite.request, kwargs)

    def written(self, params: dict[str, Any]) -> dict[str, Any]:
        """The request that the class made, as it goes out."""
        rewrite = self.flight.ask()
        if rewrite is None or not rewrite.changed:
            return params
        sent: dict[str, Any] = beside(rewrite.request, self.before, params)
        return with_headers(sent, rewrite.headers)

    def foreign(self, message: BaseMessage) -> tuple[str, ...]:
        """Another agent's tools that an answer, or a piece of one, calls."""
        rewrite = self.flight.rewrite
        if rewrite is None or not rewrite.forked or not self.stand.attachment.options.guard:
            return ()
        return foreign_calls(message, rewrite.allowed)

    def guard(self, message: BaseMessage) -> None:
        """Keep an answer, or a piece of one, from calling another agent's tool."""
        rewrite = self.flight.rewrite
        if rewrite is None or not rewrite.forked:
            return
        foreign = (*self.overheard, *self.foreign(message))
        if foreign and not rewrite.allowed:
            self.refused = self.refused or refusal_text(foreign, ())
        if self.refused is None or rewrite.allowed:
            renamed(message, foreign)
        else:  # and the rest of its pieces, which carry no name
            dropped(message, self.refused)
            self.refused = ""
        if self.moved or (self.refused is not None and "tools" not in self.before):
            as_text(message)
        self.spoke = self.spoke or bool(message.content)
        if rewrite.one_call:
            self.first.keep(message)

    def inside(self, piece: ChatGenerationChunk) -> ChatGenerationChunk:
        """A piece of a stream within another call of the class, such as its asynchronous twin."""
        self.flight.event()
        if self.whole:
            self.tally.piece(piece)
            rewrite = self.flight.rewrite
            if rewrite is not None and not rewrite.allowed:
                self.overheard += self.foreign(piece.message)
            if self.overheard:
                dropped(piece.message, "")
        return piece

    def event(self, event: Any) -> Any:
        """Read a protocol event, and keep it from calling another agent's tool."""
        self.flight.event()
        rewrite = self.flight.rewrite
        if is_json(event):
            self.tally.notice(event)
            self.tally.notice(event.get("metadata") or {})
            if rewrite is not None and rewrite.forked and self.stand.attachment.options.guard:
                guard_event(event, rewrite.allowed)
        return event

    def again(self, messages: Sequence[BaseMessage]) -> "Turn | None":
        """The same call, told what it did, every tool forbidden on the wire; None the next time.

        For an agent without tools whose model calls one: its framework has nobody to refuse it.
        It is not forbidden from the start where that costs the shared history.
        """
        rewrite = self.flight.rewrite
        foreign = [*self.overheard, *(n for message in messages for n in self.foreign(message))]
        if rewrite is None or rewrite.allowed or not foreign or self.told or self.spoke:
            return None
        wire = self.stand.session.parent.dialect
        told = {"type": wire.text_type, "text": refusal_text(foreign, ()) + " Answer in text."}
        said = [*rewrite.request[wire.messages_key], *wire.opened([told], ())]
        said = taking_turns(wire, said) if wire.alternates else said
        request = {**rewrite.request, wire.messages_key: said, **wire.allow(())}
        flight = Flight(self.stand.attachment, self.stand.session, self.flight.agent)
        flight.rewrite = replace(rewrite, request=request, keys=())
        tally = Tally(cumulative=self.tally.cumulative)
        return replace(self, flight=flight, tally=tally, told=True, overheard=())


_turn: ContextVar[Turn | None] = ContextVar("agentcache_langchain_turn", default=None)


_moving: ContextVar[int] = ContextVar("agentcache_langchain_moving", default=0)


@contextmanager
def moving(model: object) -> Generator[None]:
    """Have the class write its request for OpenAI's Responses, whatever it would choose."""
    token = _moving.set(id(model))
    try:
        yield
    finally:
        _moving.reset(token)


def is_moved(model: object) -> bool:
    """Whether the model's class is to write its request for Responses."""
    turn = turn_of(model)
    return _moving.get() == id(model) or (turn is not None and turn.moved)


def turn_of(model: object) -> Turn | None:
    """The turn this very model is in, if it is in one."""
    turn = _turn.get()
    return turn if turn is not None and turn.owner == id(model) else None


def is_last(event: Any) -> bool:
    """Whether a protocol event ends its message."""
    return is_json(event) and event.get("event") in ("message-finish", "error")


@contextmanager
def during(turn: Turn) -> Generator[None]:
    """Make the turn visible where the class writes its request."""
    token = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(token)


def sending(turn: Turn, held: Any) -> AbstractContextManager[None]:
    """Record the call when it ends, however it ends."""
    held.writes = bool(turn.keys)
    return turn.flight.sending(held, turn.tally)


def turn_to(
    stand: Stand, model: Any, messages: list[BaseMessage], stop: Any, run: Any, kwargs: Any
) -> Turn:
    """Write the request of a call as a fork, before anything is sent."""
    plain = None if stand.wire.native else Plain(name_of(model), messages)
    before = plain.body(kwargs) if plain else payload_of(model, messages, kwargs, stop)
    moved = stand.wire.dialect == "openai.responses" and _may_move(before)
    if moved:
        with moving(model):
            before = payload_of(model, messages, kwargs, stop)
    name = stand.label or name_in(run) or name_by(stand.session.parent.dialect.split(before).system)
    flight = Flight(stand.attachment, stand.session, name)
    tally = Tally(cumulative=stand.wire.dialect == "anthropic.messages")
    turn = Turn(id(model), stand, flight, before, plain, tally, moved=moved)
    flight.rewrite = _summary(stand, before) or _rewrite(stand, name, before, plain)
    turn.moved = moved and flight.forked
    _tell(run, stand.session, flight.rewrite)
    return turn


def _rewrite(stand: Stand, name: str, before: dict[str, Any], plain: Plain | None) -> Rewrite:
    fork, side = stand.fork(name), _side_call(stand, before, plain)
    stand.judge(before)
    strict = stand.attachment.options.strict
    shrunk = fork.shrink(before, recalls=stand.recalls)
    return fork.rewrite(shrunk.request, shrunk=shrunk, name=name, side_call=side, strict=strict)


def _summary(stand: Stand, before: dict[str, Any]) -> Rewrite | None:
    """A middleware's call for a summary as one of its agent's own; None if it is no such call."""
    messages, summed = summed_now(), stand.summed
    agent = None if summed is None else stand.peers.get(summed.agent)
    if messages is None or summed is None or agent is None or agent.session is not stand.session:
        return None
    wire = stand.session.parent.dialect
    asked = [t for m in wire.split(before).messages for t in texts_of(m.get("content"))]
    prompt = summed.prompt("".join(asked))
    if not prompt or not agent.wire.native:
        return None
    said = wire.split(payload_of(agent.original, messages, {})).messages
    fork = agent.fork(summed.agent)
    whole = fork.summary(before, said, prompt)
    if whole is None:
        return None
    return fork.summed_up(_rewrite(agent, summed.agent, whole, None), before)


def _tell(run: Any, session: Session, rewrite: Rewrite) -> None:
    """Put into the run's metadata what its trace cannot show: it holds the unforked messages."""
    metadata: Any = getattr(run, "metadata", None)
    if is_json(metadata):
        metadata["agentcache_session"] = session.affinity_id
        metadata["agentcache_forked"] = rewrite.forked
        if rewrite.forked:
            metadata["agentcache_prefix"] = rewrite.keys[-1][1] if rewrite.keys else ""
            metadata["agentcache_shared_tokens"] = rewrite.shared


def _may_move(before: Mapping[str, Any]) -> bool:
    """Whether a request to Chat Completions means the same to Responses."""
    return "messages" in before and set(before) <= _BOTH_APIS


def _side_call(stand: Stand, before: Mapping[str, Any], plain: Plain | None) -> str:
    """Why this request is no agent's own conversation, or cannot be read; empty if it is."""
    wire = stand.session.parent.dialect
    if wire.messages_key not in before:
        return f"other_api: {stand.wire.dialect} was expected. Wrap a model that keeps to one API"
    for key in ("previous_response_id", "conversation"):
        if before.get(key):
            return f"chained: {key} continues a response on the server"
    if before.get("response_format") is not None or before.get("text_format") is not None:
        return "structured_output: its schema renders in front of everything that is shared"
    if plain is not None and not plain.readable(before):
        return "own_tools: this model class writes its tools in a form of its own"
    if stand.alone.hears(_voice(stand, before)):
        return "alone: one agent talks here; it shares with nobody until another one does"
    return ""


def _voice(stand: Stand, before: Mapping[str, Any]) -> object:
    wire = stand.session.parent.dialect
    tools = [wire.tool_name(t) for t in wire.tools_of(before) if is_json(t)]
    return (wire.split(before).system, tuple(tools))
