"""A turn: one model call of an agent, from who speaks to the line in the ledger."""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agentcache.allow import refusal_text
from agentcache.attach import Attachment
from agentcache.compaction import Shrunk, recall_tool
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json
from agentcache.dialects.objects import as_json, is_omitted
from agentcache.errors import ForeignToolError
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.layout import taking_turns
from agentcache.rewrites import beside, with_headers
from agentcache.sdk.answers import Tally, count_all, foreign_calls, renamed
from agentcache.transcripts import Transcript
from agentcache.usage import Usage
from agentcache.worth import Agent

__all__ = ["Company", "Leg", "Stand", "Turn", "during", "request_of", "turn_now"]

_CORRECTIONS: Final = 2
_NOT_BODY: Final = ("extra_headers", "extra_query", "extra_body", "timeout")

Hears = Callable[[Dialect, Json], "Transcript | str"]
"""Reads a request as the chat it stands in; says why not, where it is none."""


@dataclass(eq=False, slots=True)
class Company:
    """All agents of a session as far as they are known, until the first call."""

    agents: list[Agent] = field(default_factory=list[Agent])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> list[Agent]:
        """The agents, the first time."""
        with self.lock:
            found, self.agents = self.agents, []
            return found


@dataclass(eq=False, slots=True)
class Stand:
    """What a forked agent knows: its session, its fork, and why it is never forked (or nothing).

    `counts_fresh` says that its framework takes Anthropic's count of uncached tokens for all. What
    it reads is never compacted unless it `compacts`; with `recalls` its framework runs
    `recall_result` for it, wherever it has tools. With `foresees` it has none, and reads what those
    who recall are about to read: what is replaced for them is replaced for it.
    """

    fork: Fork
    attachment: Attachment
    company: Company
    aside: str = ""
    counts_fresh: bool = False
    compacts: bool = True
    recalls: bool = False
    foresees: bool = False

    def shrink(self, request: Json) -> Shrunk:
        """The request with placeholders for what is compacted."""
        session = self.fork.session
        if session.compactor is None or not self.compacts:
            return Shrunk(request, request)
        if not self.foresees or request.get("tools"):
            return self.fork.shrink(request, recalls=self.recalls)
        wire = session.parent.dialect
        made = self.fork.shrink({**request, "tools": [recall_tool(wire.name)]})
        rows = made.request[wire.messages_key]
        if rows is request[wire.messages_key]:
            return Shrunk(request, request)
        return replace(made, request={**request, wire.messages_key: rows}, whole=request)

    def placed(self, chat: Transcript) -> tuple[Transcript, str]:
        """A chat with the placeholders that hold for all, and why what was sent of it has moved."""
        session = self.fork.session
        if session.compactor is None or not self.compacts or not chat.drafted:
            return chat, ""
        key = session.parent.dialect.messages_key
        made = replace(self, recalls=False).shrink(
            {"model": session.domain.model, key: list(chat.messages)}
        )
        return replace(chat, messages=tuple(made.request[key]), whole=chat.messages), made.moved


@dataclass(slots=True)
class Turn:
    """One call of a framework's model client, which may be several of the SDK.

    `usage` is what the last of them used; there were `legs` of them. `moved` says why its prefix is
    not that of the call before, where the adapter has moved it.
    """

    stand: Stand
    hears: Hears
    legs: int = 0
    usage: Usage = field(default_factory=Usage)
    moved: str = ""

    def leg(self, params: Mapping[str, Any], aside: str = "") -> "Leg":
        """Write the request of an SDK call as a fork, before anything is sent.

        `aside` says why this line to a provider carries no forks.
        """
        stand = self.stand
        self.legs += 1
        session, whole = stand.fork.session, request_of(params)
        wire = session.parent.dialect
        shrunk = stand.shrink(whole)
        before = dict(shrunk.request)
        heard: Transcript | str = aside or stand.aside or _side_call(before)
        heard = heard or self.hears(wire, before)
        told = [self.moved]
        if not isinstance(heard, str):
            heard, moved = stand.placed(heard)
            told.append("" if shrunk.moved else moved)
            stand.attachment.meet(session, stand.company.take(), heard.shared())
        flight = Flight(stand.attachment, session, stand.fork.name)
        made = stand.fork.rewrite(
            before,
            shrunk=shrunk,
            side_call=heard if isinstance(heard, str) else "",
            transcript=None if isinstance(heard, str) else heard,
            strict=stand.attachment.options.strict,
        )
        said = " ".join(filter(None, (*told, made.moved)))
        flight.rewrite = replace(made, moved=said) if said != made.moved else made
        return Leg(self, dict(params), whole, flight)


@dataclass(slots=True)
class Leg:
    """One call of an SDK: its `params`, the request `before` it was forked, how often it was told.

    `spoke` says that a part of its answer has gone out.
    """

    turn: Turn
    params: Json
    before: Json
    flight: Flight
    tally: Tally = field(default_factory=Tally)
    told: int = 0
    spoke: bool = False

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """What the call shares, to the gate."""
        rewrite = self.flight.rewrite
        return rewrite.keys if rewrite is not None else ()

    def arguments(self) -> Json:
        """What the SDK is given."""
        rewrite = self.flight.ask()
        if rewrite is None or not rewrite.changed:
            return self.params
        return with_headers(beside(rewrite.request, self.before, self.params), rewrite.headers)

    def again(self, answer: Any) -> "Leg | None":
        """The same call, told that it called another agent's tool; None if it did not.

        Nothing is executed. An agent that insists is stopped by its own tool runner, which knows no
        such name; one without tools has none, so its call ends in ForeignToolError.
        """
        rewrite = self.flight.rewrite
        if rewrite is None or not rewrite.forked or not self.turn.stand.attachment.options.guard:
            return None
        foreign = foreign_calls(answer, rewrite.allowed)
        if not foreign:
            return None
        if self.spoke or self.told >= (1 if rewrite.allowed else _CORRECTIONS):
            if not rewrite.allowed:
                raise ForeignToolError(
                    f"Agent {self.flight.agent!r} called {', '.join(map(repr, foreign))} though it "
                    "has no tools. Nothing was executed. Give the agent the tool, or a model that "
                    "follows its instructions."
                )
            renamed(answer, foreign)
            return None
        wire = self.turn.stand.fork.session.parent.dialect
        text = refusal_text(foreign, rewrite.allowed)
        told = {"type": wire.text_type, "text": text if rewrite.allowed else f"{text} Answer now."}
        said = [*rewrite.request[wire.messages_key], *wire.opened([told], ())]
        said = taking_turns(wire, said) if wire.alternates else said
        more = {} if rewrite.allowed else wire.allow(())
        request = {**rewrite.request, wire.messages_key: said, **more}
        flight = Flight(self.flight.attachment, self.flight.session, self.flight.agent)
        flight.rewrite = replace(rewrite, request=request, keys=())
        return replace(self, flight=flight, tally=Tally(), told=self.told + 1)

    @contextmanager
    def sending(self, held: Any) -> Generator[None]:
        """Record the call when it ends, and hand what it used to the turn."""
        held.writes = bool(self.keys)
        try:
            with self.flight.sending(held, self.tally):
                yield
        finally:
            self.turn.usage = self.tally.usage

    def notice(self, answer: Any, *, whole: bool = False) -> None:
        """Read an answer, or a piece of one."""
        if not whole:
            self.flight.event()
        self.tally.notice(answer)
        if self.turn.stand.counts_fresh:
            count_all(answer)


_turn: ContextVar[Turn | None] = ContextVar("agentcache_sdk_turn", default=None)


def turn_now() -> Turn | None:
    """The turn that is under way here, if one is."""
    return _turn.get()


@contextmanager
def during(turn: Turn | None) -> Generator[None]:
    """Make a turn the one under way, for the SDK that the framework calls."""
    token = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(token)


def request_of(params: Mapping[str, Any]) -> Json:
    """The request that an SDK makes of its arguments, as JSON."""
    said = ((k, v) for k, v in params.items() if k not in _NOT_BODY and not is_omitted(v))
    return {k: as_json(v) for k, v in said}


def _side_call(before: Json) -> str:
    """Why a request is no agent's own conversation; empty if it may be."""
    asked: Any = before.get("response_format")
    if asked is None or (is_json(asked) and asked.get("type") == "text"):
        return ""
    return "structured_output: its schema renders in front of everything that is shared"
