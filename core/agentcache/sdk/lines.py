"""Lines to a provider: an SDK's client with the calls in which a fork is written."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import Any

from agentcache.sdk.turns import Leg, Turn, turn_now

_SPEAKING = (
    *("content_block_start", "content_block_delta"),
    *("response.output_text.delta", "response.function_call_arguments.delta"),
)
__all__ = ["async_forking", "async_line", "forking", "line", "plain_client"]


class _Standing:
    """An object with some of its attributes exchanged; all others are its own."""

    def __init__(self, real: Any, **instead: Any) -> None:
        self.agentcache_real = real
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agentcache_real, name)


def async_line(client: Any) -> Any:
    """An asynchronous SDK client whose chat calls become forks while a turn is under way."""
    return _line(client, async_forking)


def line(client: Any, aside: str = "") -> Any:
    """A synchronous SDK client whose chat calls become forks while a turn is under way.

    `aside` says why they never do; they are recorded then.
    """
    return _line(client, partial(forking, aside))


def plain_client(client: Any) -> Any:
    """The SDK client behind a line; any other client is itself."""
    return client.agentcache_real if isinstance(client, _Standing) else client


def _line(client: Any, forked: Callable[[Any], Any]) -> Any:
    if hasattr(client, "chat"):
        instead = {"chat": _chat(client.chat, forked)}
        if hasattr(client, "beta"):
            instead["beta"] = _Standing(client.beta, chat=_chat(client.beta.chat, forked))
        return _Standing(client, **instead)
    messages = client.messages
    return _Standing(client, messages=_Standing(messages, create=forked(messages.create)))


def _chat(chat: Any, forked: Callable[[Any], Any]) -> Any:
    made = chat.completions
    names = [name for name in ("create", "parse") if hasattr(made, name)]
    calls = {name: forked(getattr(made, name)) for name in names}
    return _Standing(chat, completions=_Standing(made, **calls))


def async_forking(real: Callable[..., Any]) -> Callable[..., Any]:
    """An asynchronous method of an SDK whose calls become forks while a turn is under way."""

    async def create(**params: Any) -> Any:
        turn = turn_now()
        if turn is None:
            return await real(**params)
        leg: Leg = turn.leg(_telling(turn, params))
        if params.get("stream"):
            return _async_stream(real, leg)
        while True:
            async with leg.flight.aenter(leg.keys) as held:
                with leg.sending(held):
                    answer = await real(**leg.arguments())
                    leg.notice(answer, whole=True)
            again = leg.again(answer)
            if again is None:
                return answer
            leg = again

    return create


async def _async_stream(real: Callable[..., Any], leg: Leg) -> AsyncIterator[Any]:
    again: Leg | None = leg
    while again is not None:
        leg, again = again, None
        async with leg.flight.aenter(leg.keys) as held:
            with leg.sending(held):
                pieces = await real(**leg.arguments())
                async with aclosing(_pieces(pieces)) as source:
                    async for piece in source:
                        leg.notice(piece)
                        again = leg.again(piece)
                        if again is not None:
                            break
                        leg.spoke = leg.spoke or _speaks(piece)
                        yield piece


async def _pieces(stream: Any) -> AsyncGenerator[Any, None]:
    """A stream that closes its connection when it is left."""
    async with stream:
        async for piece in stream:
            yield piece


def forking(aside: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A synchronous method of an SDK whose calls become forks while a turn is under way."""

    def create(**params: Any) -> Any:
        turn = turn_now()
        if turn is None:
            return real(**params)
        leg: Leg = turn.leg(_telling(turn, params), aside)
        if params.get("stream"):
            return _stream(real, leg)
        while True:
            with leg.flight.enter(leg.keys) as held, leg.sending(held):
                answer = real(**leg.arguments())
                leg.notice(answer, whole=True)
            again = leg.again(answer)
            if again is None:
                return answer
            leg = again

    return create


def _stream(real: Callable[..., Any], leg: Leg) -> Iterator[Any]:
    again: Leg | None = leg
    while again is not None:
        leg, again = again, None
        with leg.flight.enter(leg.keys) as held, leg.sending(held):
            stream = real(**leg.arguments())
            with closing(stream):
                for piece in stream:
                    leg.notice(piece)
                    again = leg.again(piece)
                    if again is not None:
                        break
                    leg.spoke = leg.spoke or _speaks(piece)
                    yield piece


def _telling(turn: Turn, params: dict[str, Any]) -> dict[str, Any]:
    """A streamed answer that says what it used, unless its program has a wish of its own."""
    silent = params.get("stream") and not params.get("stream_options")
    chat = turn.stand.fork.session.parent.dialect.name.startswith("openai.chat")
    if not silent or not chat or turn.stand.attachment.options.layout == "as_is":
        return params
    return {**params, "stream_options": {"include_usage": True}}


def _speaks(piece: Any) -> bool:
    """Whether a piece of a stream is a part of the answer that the program sees."""
    choices = getattr(piece, "choices", None)
    if choices is not None:
        return any(choice.delta.content or choice.delta.tool_calls for choice in choices)
    return getattr(piece, "type", "") in _SPEAKING
