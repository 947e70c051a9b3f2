"""A forked model client: a dynamic subclass of the client's own class, in its name.

It calls the SDK through a line of ours; all else, its counters too, is kept by the client itself.
"""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, cast

from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage

from agentcache.sdk.lines import async_line
from agentcache.sdk.turns import Hears, Stand, Turn, during, turn_now
from agentcache.transcripts import unnamed
from agentcache.usage import Usage
from agentcache_autogen.agentchat.wires import Wire, inner_of, is_answer_cache

__all__ = ["CachedUsage", "Hearing", "Seat", "forked_copy", "seat_of"]

_COUNTS: Final = ("_total_usage", "_actual_usage")
_OWN: Final = ("_client", "_last_used_tools")
"""What each fork has of its own: its line to the provider, and the tools it sent last."""

Hearing = Callable[[Sequence[Any]], Awaitable[tuple[Hears, str]]]


@dataclass
class CachedUsage(RequestUsage):
    """What a call used: `prompt_tokens` in all, of them read from the cache and written to it.

    None: the provider did not say.
    """

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(eq=False, slots=True)
class Seat:
    """Where a forked client sits: the client it speaks for, and who speaks through it.

    `given` is what stood in its place: the same, or one around it that keeps answers.

    `hearing` reads the messages of one call: (how its request is heard, why its head has moved).
    """

    original: ChatCompletionClient
    given: ChatCompletionClient
    wire: Wire
    stand: Stand
    name: str
    hearing: Hearing

    async def turn(self, messages: Sequence[Any]) -> Turn:
        """One call, with these messages."""
        hears, moved = await self.hearing(messages)
        return Turn(self.stand, hears, moved=moved)


class ForkMixin:
    """Overrides that turn a client's requests into forks; everything else is its own."""

    _agentcache: Seat

    async def create(self, messages: Sequence[Any], **kwargs: Any) -> CreateResult:
        """Send one call as a fork."""
        inner: Any = super()
        if turn_now() is not None:  # the class calls itself
            return cast("CreateResult", await inner.create(messages, **kwargs))
        seat = self._agentcache
        turn = await seat.turn(messages)
        call = inner.create if seat.wire.native else seat.original.create
        with during(turn):
            made: CreateResult = await seat.wire.create(call, turn, messages, kwargs)
        return _finished(made, turn.usage, seat)

    async def create_stream(
        self, messages: Sequence[Any], **kwargs: Any
    ) -> AsyncIterator[str | CreateResult]:
        """Stream one call as a fork."""
        inner: Any = super()
        seat = self._agentcache
        turn = await seat.turn(messages)
        call = inner.create_stream if seat.wire.native else seat.original.create_stream
        source = seat.wire.create_stream(call, turn, messages, kwargs)
        async with aclosing(source):
            while True:
                with during(turn):  # only while the class runs: the caller is another context
                    piece: str | CreateResult | None = await anext(source, None)
                if piece is None:
                    return
                if isinstance(piece, CreateResult):
                    piece = _finished(piece, turn.usage, seat)
                yield piece

    def __getattr__(self, name: str) -> Any:
        """What the client itself keeps: its counters, its settings, its state."""
        if name.startswith("__") or name == "_agentcache":
            raise AttributeError(name)
        return getattr(self._agentcache.original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep it where its owner looks for it."""
        if name in _OWN or name == "_agentcache":
            object.__setattr__(self, name, value)
        else:
            setattr(self._agentcache.original, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is the client without forks."""
        return _same, (self._agentcache.original,)

    def __copy__(self) -> Any:
        """A copy sits where the first one does."""
        return _like(self, vars(self))

    def dump_component(self) -> Any:
        """The component as it is without forks."""
        return self._agentcache.original.dump_component()


def _like(client: Any, kept: Mapping[str, Any]) -> Any:
    """Another object of its class, which keeps this; no constructor runs."""
    return _new(type(client), kept)  # pyright: ignore[reportUnknownArgumentType]


def _new(cls: type[Any], kept: Mapping[str, Any]) -> Any:
    made = object.__new__(cls)
    cast("dict[str, Any]", vars(made)).update(kept)
    return made


def _same(client: Any) -> Any:
    return client


def forked_copy(client: ChatCompletionClient, seat: Seat) -> ChatCompletionClient:
    """Return a client that sends forks; all it keeps is kept by the client that was given.

    One that keeps answers comes back around a forked client of its own.
    """
    if is_answer_cache(client):
        cache: Any = copy.copy(client)
        cache.client = forked_copy(cache.client, seat)
        return cast("ChatCompletionClient", cache)
    own: dict[str, Any] = {"_agentcache": seat}
    own |= {name: held for name, held in vars(client).items() if name in _OWN}
    if seat.wire.native:
        own["_client"] = async_line(own["_client"])
    return cast("ChatCompletionClient", _new(_forked_class(type(client)), own))


def seat_of(client: Any) -> Seat | None:
    """The seat of a forked client; None for any other object."""
    inner: Any = inner_of(client)
    return inner._agentcache if isinstance(inner, ForkMixin) else None  # pyright: ignore[reportPrivateUsage]


@lru_cache(maxsize=64)
def _forked_class(cls: type) -> type[Any]:
    space: dict[str, Any] = {"__module__": __name__, "__doc__": cls.__doc__}
    return type(f"Forked{cls.__name__}", (ForkMixin, cls), space)


def _finished(made: CreateResult, used: Usage, seat: Seat) -> CreateResult:
    """The result with what was read from the cache, and without a name copied from the chat."""
    if used.input_tokens is not None:
        _count_in(seat.original, used.input_tokens - made.usage.prompt_tokens)
        made.usage = CachedUsage(
            used.input_tokens,
            used.output_tokens or made.usage.completion_tokens,
            used.cached_tokens,
            used.cache_write_tokens,
        )
    if isinstance(made.content, str):
        made.content = unnamed(made.content, seat.name)
    return made


def _count_in(client: Any, tokens: int) -> None:
    """Count what AutoGen's Anthropic client leaves out: what was read from the cache or written."""
    for name in _COUNTS:
        held = getattr(client, name, None)
        if tokens > 0 and isinstance(held, RequestUsage):
            setattr(client, name, replace(held, prompt_tokens=held.prompt_tokens + tokens))
