"""A forked model: a dynamic subclass of the model's own class, over a copy of the model.

A delegating wrapper loses native tools, streaming, stop words and usage in CrewAI; a subclass of
the object's own class keeps all of them, because CrewAI asks for the class in many places.
"""

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from crewai import BaseLLM
from pydantic import PrivateAttr

from agentcache.allow import foreign_tools, refusal_text
from agentcache.attach import Attachment
from agentcache.errors import ForeignToolError
from agentcache.gate import Pass
from agentcache.ledger import Call
from agentcache.sessions import Fork, Rewrite
from agentcache.usage import Usage
from agentcache_crewai.wires import Wire, fit_sdk

__all__ = ["Stand", "forked_copy", "stand_of"]

_CORRECTIONS: Final = 2
_VOICES: Final = 256
_FRAMEWORK_KEYS: Final = ("cache_breakpoint",)
"""Keys CrewAI puts on messages for itself; some of its classes leak them onto the wire."""


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


@dataclass(slots=True)
class _Turn:
    """One call in flight, for the hooks that CrewAI's model classes call on the way."""

    owner: int
    stand: Stand
    name: str
    side_call: str
    held: Pass
    usage: Usage = field(default_factory=Usage)
    rewrite: Rewrite | None = None
    started_s: float = 0.0
    first_event_s: float | None = None

    def rewritten(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as it goes out; the program's own if it cannot be a fork."""
        self.rewrite = self.stand.fork.rewrite(
            request,
            name=self.name,
            side_call=self.side_call,
            strict=self.stand.attachment.options.strict,
        )
        return self.rewrite.request

    def event(self) -> None:
        """The response has begun."""
        if self.first_event_s is None:
            self.first_event_s = time.monotonic()
            self.held.first_event()


_turn: ContextVar[_Turn | None] = ContextVar("agentcache_crewai_turn", default=None)


class ForkMixin:
    """Overrides that turn a model's requests into forks; everything else is the model's own."""

    _agentcache: Stand

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one call as a fork: through the gate, recorded, its answer checked."""
        inner: Any = super()
        if _mine(self) is not None:  # the class calls itself again, e.g. without `stop`
            return inner.call(messages, *args, **kwargs)
        stand = self._agentcache
        name, side_call = _who(stand, messages, kwargs)
        for _ in range(_CORRECTIONS + 1):
            with (
                _entry(stand, side_call) as held,
                _sending(_Turn(id(self), stand, name, side_call, held)) as turn,
            ):
                said, given = _outgoing(turn, messages, args, kwargs)
                answer = inner.call(said, *args, **given)
            refused = _foreign(turn, answer)
            if not refused:
                return answer
            messages = [*messages, _correction(turn, refused)]
        raise _insists(turn, refused)

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Async twin of `call`."""
        inner: Any = super()
        if _mine(self) is not None:
            return await inner.acall(messages, *args, **kwargs)
        stand = self._agentcache
        name, side_call = _who(stand, messages, kwargs)
        for _ in range(_CORRECTIONS + 1):
            async with _aentry(stand, side_call) as held:
                with _sending(_Turn(id(self), stand, name, side_call, held)) as turn:
                    said, given = _outgoing(turn, messages, args, kwargs)
                    answer = await inner.acall(said, *args, **given)
            refused = _foreign(turn, answer)
            if not refused:
                return answer
            messages = [*messages, _correction(turn, refused)]
        raise _insists(turn, refused)

    def _prepare_completion_params(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        params: dict[str, Any] = inner._prepare_completion_params(*args, **kwargs)
        turn = _mine(self)
        if turn is None:
            return params
        return fit_sdk(turn.stand.wire, turn.rewritten(params), params)

    def _emit_stream_chunk_event(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        turn = _mine(self)
        if turn is not None:
            turn.event()
        return inner._emit_stream_chunk_event(*args, **kwargs)

    def _extract_openai_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response)
        return inner._extract_openai_token_usage(response)

    def _extract_anthropic_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response)
        return inner._extract_anthropic_token_usage(response)

    def _track_token_usage_internal(self, usage_data: dict[str, Any]) -> None:
        """Count on this fork alone, and on the original for whoever reads the total there."""
        inner: Any = super()
        turn = _mine(self)
        if turn is not None and turn.usage.input_tokens is None:
            turn.usage = _crewai_usage(usage_data)
        inner._track_token_usage_internal(usage_data)
        self._agentcache.original._track_token_usage_internal(usage_data)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def __copy__(self) -> Any:
        """Copy with counters of its own: a shared dict makes CrewAI count a call several times."""
        inner: Any = super()
        twin = inner.__copy__()
        return _restate(twin, type(self), self._agentcache)


def forked_copy(llm: BaseLLM, stand: Stand) -> BaseLLM:
    """Return a copy of the model, of a subclass of its own class, that sends forks."""
    return _restate(copy.copy(llm), _forked_class(type(llm)), stand)


def stand_of(llm: object) -> Stand | None:
    """The stand of a forked model; None for any other object."""
    return llm._agentcache if isinstance(llm, ForkMixin) else None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _restate(twin: Any, cls: type, stand: Stand) -> Any:
    object.__setattr__(twin, "__class__", cls)
    twin._agentcache = stand
    twin._token_usage = dict.fromkeys(twin._token_usage, 0)
    return twin


@lru_cache(maxsize=64)
def _forked_class(cls: type[BaseLLM]) -> type[BaseLLM]:
    space = {
        "__module__": __name__,
        "__doc__": cls.__doc__,
        "__annotations__": {"_agentcache": Any},
        "_agentcache": PrivateAttr(default=None),
    }
    return type(f"Forked{cls.__name__}", (ForkMixin, cls), space)


def _mine(llm: object) -> _Turn | None:
    turn = _turn.get()
    return turn if turn is not None and turn.owner == id(llm) else None


def _who(stand: Stand, messages: Any, kwargs: Mapping[str, Any]) -> tuple[str, str]:
    """Which agent speaks, and why this is not its own conversation, if it is not."""
    if not isinstance(messages, list) or not messages:
        return stand.fork.name, "side_call: a bare text, not an agent's conversation"
    voice = str(messages[0].get("content"))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    agent = kwargs.get("from_agent")
    if agent is not None:
        while len(stand.voices) >= _VOICES:
            stand.voices.pop(next(iter(stand.voices)))
        stand.voices[voice] = stand.label or str(getattr(agent, "role", "") or stand.fork.name)
    name = stand.voices.get(voice, stand.fork.name)
    if kwargs.get("response_model") is not None:
        return name, "structured_output: response_format is not part of the frozen parent"
    if voice not in stand.voices:
        return name, "side_call: not an agent's own conversation"
    return name, ""


def _gated(stand: Stand, side_call: str) -> bool:
    return not side_call and not stand.fork.session.why_not()


@contextmanager
def _entry(stand: Stand, side_call: str) -> Iterator[Pass]:
    session = stand.fork.session
    if _gated(stand, side_call):
        with stand.attachment.options.gate.enter(session.key, session.terms) as held:
            yield held
    else:
        yield Pass("ungated", session.key, session.terms, time.monotonic())


class _aentry:  # noqa: N801 - the async twin of `_entry`
    def __init__(self, stand: Stand, side_call: str) -> None:
        session = stand.fork.session
        self._free = Pass("ungated", session.key, session.terms, time.monotonic())
        gate = stand.attachment.options.gate
        gated = _gated(stand, side_call)
        self._inner = gate.aenter(session.key, session.terms) if gated else None

    async def __aenter__(self) -> Pass:
        return self._free if self._inner is None else await self._inner.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        if self._inner is not None:
            await self._inner.__aexit__(*error)


@contextmanager
def _sending(turn: _Turn) -> Iterator[_Turn]:
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


def _record(turn: _Turn, error: str) -> None:
    stand, rewrite = turn.stand, turn.rewrite
    session = stand.fork.session
    stand.attachment.ledger.record(
        Call(
            agent=turn.name,
            model=session.domain.model,
            rule_id=session.parent.rule.id,
            session=session.affinity_id,
            forked=rewrite is not None and rewrite.forked,
            reason=rewrite.reason if rewrite is not None else turn.side_call,
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


def _outgoing(
    turn: _Turn, messages: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """What is given to the model's own `call`. Native classes are forked later, on the wire."""
    if turn.stand.wire.native or not isinstance(messages, list):
        return messages, dict(kwargs)
    plain = [{k: v for k, v in m.items() if k not in _FRAMEWORK_KEYS} for m in messages]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    tools = args[0] if args else kwargs.get("tools")
    request = {"messages": plain, **({"tools": tools} if tools else {})}
    sent = turn.rewritten(request)
    if turn.rewrite is None or not turn.rewrite.forked or args:
        return messages, dict(kwargs)
    return sent["messages"], {**kwargs, "tools": sent.get("tools")}


def _note_usage(llm: object, response: Any) -> None:
    turn, usage = _mine(llm), getattr(response, "usage", None)
    if turn is not None and usage is not None:
        turn.usage = Usage.from_payload(usage.model_dump())


def _crewai_usage(data: Mapping[str, Any]) -> Usage:
    """Read CrewAI's own counters, all a model class without a known wire gives."""

    def count(*names: str) -> int | None:
        return next((int(data[n]) for n in names if isinstance(data.get(n), int)), None)

    return Usage(
        count("prompt_tokens", "input_tokens"),
        count("cached_prompt_tokens", "cached_tokens"),
        count("cache_creation_tokens"),
        count("completion_tokens", "output_tokens"),
    )


def _foreign(turn: _Turn, answer: Any) -> tuple[str, ...]:
    """Foreign tools in an answer to a call that may use none.

    Where the agent has tools of its own CrewAI answers a foreign name with "Tool not found"; on
    its path without tools a tool call would end the task in a ValidationError.
    """
    rewrite = turn.rewrite
    if rewrite is None or not rewrite.forked or not turn.stand.attachment.options.guard:
        return ()
    if rewrite.allowed or not isinstance(answer, list):
        return ()
    return foreign_tools([_called(item) for item in answer], rewrite.allowed)  # pyright: ignore[reportUnknownVariableType]


def _called(item: Any) -> str:
    """Name in a tool call, in any of the shapes that CrewAI's model classes return."""
    if isinstance(item, Mapping):
        inner: Any = item.get("function") or item  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return str(inner.get("name", ""))
    inner = getattr(item, "function", None) or item
    return str(getattr(inner, "name", ""))


def _correction(turn: _Turn, foreign: tuple[str, ...]) -> dict[str, Any]:
    allowed = turn.rewrite.allowed if turn.rewrite is not None else ()
    return {"role": "user", "content": refusal_text(foreign, allowed) + " Answer in text."}


def _insists(turn: _Turn, foreign: tuple[str, ...]) -> ForeignToolError:
    return ForeignToolError(
        f"Agent {turn.name!r} called {', '.join(map(repr, foreign))} {_CORRECTIONS + 1} times "
        "though it has no such tool. Nothing was executed. Give the agent the tool, or a model "
        "that follows its instructions."
    )
