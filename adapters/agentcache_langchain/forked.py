"""A forked model: a dynamic subclass of the model's own class, over a copy of the model.

A delegating wrapper differs from a plain model in provider strategy, strict tools, profile and
fallbacks, and counts usage twice; a subclass of the model's own class is that class to everybody.
"""

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any, cast

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from agentcache.allow import names_a_tool
from agentcache_langchain.turns import (
    Stand,
    Turn,
    during,
    is_last,
    is_moved,
    sending,
    turn_of,
    turn_to,
)

__all__ = ["forked_copy", "stand_of", "streams_silently"]

_NAME = "_agentcache"


class ForkMixin:
    """Overrides that turn a model's requests into forks; everything else is the model's own."""

    _agentcache: Stand

    def _get_request_payload(self, input_: Any, *, stop: Any = None, **kwargs: Any) -> Any:
        inner: Any = super()
        made: dict[str, Any] = inner._get_request_payload(input_, stop=stop, **kwargs)
        turn = turn_of(self)
        return made if turn is None else turn.written(made)

    def _use_responses_api(self, payload: Any) -> bool:
        """All forks of one parent speak one API, with tools or without."""
        inner: Any = super()
        return is_moved(self) or bool(inner._use_responses_api(payload))

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        """Send one call as a fork: through the gate, recorded, its answer checked."""
        inner: Any = super()
        if turn_of(self) is not None:  # the class calls itself, e.g. from its async method
            return cast("ChatResult", inner._generate(messages, stop, run_manager, **kwargs))
        turn = turn_to(self._agentcache, self, messages, stop, run_manager, kwargs)
        turn.whole = True
        while True:
            said, given = turn.given(messages, kwargs)
            with turn.flight.enter(turn.keys) as held, sending(turn, held), during(turn):
                result = inner._generate(said, stop, run_manager, **given)
                turn.tally.result(result)
            again = turn.again(_said(result))
            if again is None:
                return _guarded(turn, result)
            turn = again

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        """Async twin of `_generate`."""
        inner: Any = super()
        if turn_of(self) is not None:
            nested = await inner._agenerate(messages, stop, run_manager, **kwargs)
            return cast("ChatResult", nested)
        turn = turn_to(self._agentcache, self, messages, stop, run_manager, kwargs)
        turn.whole = True
        while True:
            said, given = turn.given(messages, kwargs)
            async with turn.flight.aenter(turn.keys) as held:
                with sending(turn, held), during(turn):
                    result = await inner._agenerate(said, stop, run_manager, **given)
                    turn.tally.result(result)
            again = turn.again(_said(result))
            if again is None:
                return _guarded(turn, result)
            turn = again

    def _make_message_chunk_from_anthropic_event(self, event: Any, **kwargs: Any) -> Any:
        """Read the id of a streamed answer, which ChatAnthropic does not pass on.

        And let it give blocks where the program offered tools, wherever the fork offers them.
        """
        inner: Any = super()
        turn = turn_of(self)
        if turn is not None:
            turn.tally.sign(getattr(getattr(event, "message", None), "id", None))
            if "tools" in turn.before or _calls_a_tool(event):
                kwargs["coerce_content_to_string"] = False
        return inner._make_message_chunk_from_anthropic_event(event, **kwargs)

    def _get_llm_string(self, stop: Any = None, **kwargs: Any) -> str:
        """Tell a response cache which parent an answer was given under."""
        inner: Any = super()
        digest = self._agentcache.session.parent.digest()
        return f"{inner._get_llm_string(stop, **kwargs)}---agentcache:{digest}"


def _binding(cls: type[BaseChatModel]) -> Any:
    """The class's own `bind_tools`, whose tools join the union at no cost before the first call.

    With the class's own signature: LangChain's callers look there for `tool_choice`.
    """

    @functools.wraps(cls.bind_tools)
    def bind_tools(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound: Any = cls.bind_tools(self, *args, **kwargs)
        stand: Stand = self._agentcache
        given = getattr(bound, "kwargs", {})
        if not names_a_tool(given.get("tool_choice")):
            stand.session.offer(stand.wire.tools(stand.original, given.get("tools") or ()))
        return bound

    return bind_tools


class StreamMixin:
    """The streaming twins, for classes that stream."""

    _agentcache: Stand

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Stream one call as a fork."""
        inner: Any = super()
        outer = turn_of(self)
        if streams_silently(cast("BaseChatModel", self)):
            kwargs = {"stream_usage": True, **kwargs}
        if outer is not None:  # within `_generate`, or the asynchronous twin
            for piece in inner._stream(messages, stop, run_manager, **kwargs):
                yield outer.inside(piece)
            return
        turn = turn_to(self._agentcache, self, messages, stop, run_manager, kwargs)
        again: Turn | None = turn
        while again is not None:
            turn, again = again, None
            said, given = turn.given(messages, kwargs)
            with during(turn):  # some classes choose their API here
                source = inner._stream(said, stop, run_manager, **given)
            with turn.flight.enter(turn.keys) as held, sending(turn, held), closing(source):
                while (piece := _next(turn, source)) is not None:
                    again = turn.again([piece.message])
                    if again is not None:
                        break
                    turn.guard(piece.message)
                    yield piece

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Async twin of `_stream`."""
        inner: Any = super()
        outer = turn_of(self)
        if streams_silently(cast("BaseChatModel", self)):
            kwargs = {"stream_usage": True, **kwargs}
        if outer is not None:
            async for piece in inner._astream(messages, stop, run_manager, **kwargs):
                yield outer.inside(piece)
            return
        turn = turn_to(self._agentcache, self, messages, stop, run_manager, kwargs)
        again: Turn | None = turn
        while again is not None:
            turn, again = again, None
            said, given = turn.given(messages, kwargs)
            with during(turn):
                source = inner._astream(said, stop, run_manager, **given)
            async with turn.flight.aenter(turn.keys) as held, aclosing(source):
                with sending(turn, held):
                    while (piece := await _anext(turn, source)) is not None:
                        again = turn.again([piece.message])
                        if again is not None:
                            break
                        turn.guard(piece.message)
                        yield piece


class EventsMixin:
    """For classes that stream protocol events of their own (langchain-core >= 1.4)."""

    _agentcache: Stand

    def _stream_chat_model_events(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        inner: Any = super()
        if turn_of(self) is not None:
            yield from inner._stream_chat_model_events(
                messages, stop=stop, run_manager=run_manager, **kwargs
            )
            return
        turn = turn_to(self._agentcache, self, messages, stop, run_manager, kwargs)
        said, given = turn.given(messages, kwargs)
        with during(turn):
            source = inner._stream_chat_model_events(
                said, stop=stop, run_manager=run_manager, **given
            )
        with turn.flight.enter(turn.keys) as held, sending(turn, held), closing(source):
            while True:
                with during(turn):
                    event = next(source, None)
                if event is None:
                    return
                if is_last(turn.event(event)):
                    break
                yield event
        yield event  # after which nobody may ask for more: the call is over by now


class AsyncEventsMixin:
    """The asynchronous twin."""

    _agentcache: Stand

    async def _astream_chat_model_events(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        inner: Any = super()
        if turn_of(self) is not None:
            async for event in inner._astream_chat_model_events(
                messages, stop=stop, run_manager=run_manager, **kwargs
            ):
                yield event
            return
        turn = turn_to(self._agentcache, self, messages, stop, run_manager, kwargs)
        said, given = turn.given(messages, kwargs)
        with during(turn):
            source = inner._astream_chat_model_events(
                said, stop=stop, run_manager=run_manager, **given
            )
        async with turn.flight.aenter(turn.keys) as held, aclosing(source):
            with sending(turn, held):
                while True:
                    with during(turn):
                        event = await anext(source, None)
                    if event is None:
                        return
                    if is_last(turn.event(event)):
                        break
                    yield event
        yield event


def forked_copy(model: BaseChatModel, stand: Stand) -> BaseChatModel:
    """Return a copy of the model, of a subclass of its own class, that sends forks."""
    twin: Any = model.model_copy()
    cls = _forked_class(type(model), stand)
    private: dict[str, Any] = twin.__pydantic_private__ or {}
    object.__setattr__(twin, "__class__", cls)
    object.__setattr__(twin, "__pydantic_private__", {**private, _NAME: stand})
    return cast("BaseChatModel", twin)


def stand_of(model: object) -> Stand | None:
    """The stand of a forked model; None for any other object."""
    return model._agentcache if isinstance(model, ForkMixin) else None  # pyright: ignore[reportPrivateUsage]


def _forked_class(cls: type[BaseChatModel], stand: Stand) -> type[BaseChatModel]:
    """A class of its own for each stand, so that a model built anew from it is forked as well.

    It has the name of the model's own: traces, serialisation and provider lookups go by it.
    """
    space = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__annotations__": {_NAME: Any},
        _NAME: PrivateAttr(default_factory=lambda: stand),
        "bind_tools": _binding(cls),
    }
    bases = (ForkMixin, *_streams(cls), cls)
    made: Any = type(cls)
    return cast("type[BaseChatModel]", made(cls.__name__, bases, space))


def _streams(cls: Any) -> tuple[type, ...]:
    """The overrides for streaming, where the class streams: LangChain asks which it has."""
    plain: Any = BaseChatModel
    kinds = {
        StreamMixin: cls._stream is not plain._stream,
        EventsMixin: getattr(cls, "_stream_chat_model_events", None) is not None,
        AsyncEventsMixin: getattr(cls, "_astream_chat_model_events", None) is not None,
    }
    return tuple(mixin for mixin, has in kinds.items() if has)


def streams_silently(model: BaseChatModel) -> bool:
    """Whether the model would stream without saying what an answer cost, and nobody chose that.

    ChatOpenAI leaves usage out of a stream where it is given a base URL or a client.
    """
    stand = stand_of(model)
    if stand is not None and stand.wire.dialect == "openai.responses":
        return False  # which says it in any case
    fields = type(model).model_fields
    if "stream_usage" not in fields or "stream_usage" in model.model_fields_set:
        return False
    return not getattr(model, "stream_usage", True)


def _calls_a_tool(event: Any) -> bool:
    block, delta = getattr(event, "content_block", None), getattr(event, "delta", None)
    return getattr(block, "type", "") == "tool_use" or (
        getattr(delta, "type", "") == "input_json_delta"
    )


def _said(result: ChatResult) -> list[BaseMessage]:
    return [generation.message for generation in result.generations]


def _guarded(turn: Turn, result: ChatResult) -> ChatResult:
    for message in _said(result):
        turn.guard(message)
    return result


def _next(turn: Turn, source: Iterator[ChatGenerationChunk]) -> ChatGenerationChunk | None:
    """The next piece of a stream; its request is written when the first is asked for."""
    with during(turn):
        piece = next(source, None)
    return _noticed(turn, piece)


async def _anext(
    turn: Turn, source: AsyncIterator[ChatGenerationChunk]
) -> ChatGenerationChunk | None:
    """Async twin of `_next`."""
    with during(turn):
        piece = await anext(source, None)
    return _noticed(turn, piece)


def _noticed(turn: Turn, piece: ChatGenerationChunk | None) -> ChatGenerationChunk | None:
    if piece is not None:
        turn.flight.event()
        turn.tally.piece(piece)
    return piece
