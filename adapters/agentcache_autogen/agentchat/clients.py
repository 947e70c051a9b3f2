"""A forked model client: a dynamic subclass of the client's own class, over a copy of it.

The copy calls its SDK through a line of ours; what it counts is counted by the client it copies.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage

from agentcache.sdk.lines import async_line
from agentcache.sdk.turns import Hears, Stand, Turn, during, turn_now
from agentcache.transcripts import unnamed
from agentcache.usage import Usage
from agentcache_autogen.agentchat.wires import Wire

__all__ = ["CachedUsage", "Seat", "forked_copy", "seat_of"]

_COUNTS = ("_total_usage", "_actual_usage")


@dataclass
class CachedUsage(RequestUsage):
    """What a call used: `prompt_tokens` in all, of them read from the cache and written to it.

    None: the provider did not say.
    """

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(eq=False, slots=True)
class Seat:
    """Where a forked client sits: the client it copies, and who speaks through it.

    `hearing` reads the messages of one call: (how its request is heard, the name it answers under).
    """

    original: ChatCompletionClient
    wire: Wire
    stand: Stand
    name: str
    hearing: Callable[[Sequence[Any]], Awaitable[Hears]]

    def __deepcopy__(self, memo: object) -> "Seat":
        """A copied client sits where the first one does."""
        return self


class ForkMixin:
    """Overrides that turn a client's requests into forks; everything else is its own."""

    _agentcache: Seat

    async def create(self, messages: Sequence[Any], **kwargs: Any) -> CreateResult:
        """Send one call as a fork."""
        inner: Any = super()
        if turn_now() is not None:  # the class calls itself
            return cast("CreateResult", await inner.create(messages, **kwargs))
        seat = self._agentcache
        turn = Turn(seat.stand, await seat.hearing(messages))
        with during(turn):
            made: CreateResult = await seat.wire.create(inner.create, turn, messages, kwargs)
        return _finished(made, turn.usage, seat)

    async def create_stream(
        self, messages: Sequence[Any], **kwargs: Any
    ) -> AsyncIterator[str | CreateResult]:
        """Stream one call as a fork."""
        inner: Any = super()
        seat = self._agentcache
        turn = Turn(seat.stand, await seat.hearing(messages))
        source = seat.wire.create_stream(inner.create_stream, turn, messages, kwargs)
        async with aclosing(source):
            while True:
                with during(turn):  # only while the class runs: the caller is another context
                    piece: str | CreateResult | None = await anext(source, None)
                if piece is None:
                    return
                if isinstance(piece, CreateResult):
                    piece = _finished(piece, turn.usage, seat)
                yield piece

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is the client without forks."""
        return _same, (self._agentcache.original,)

    def __copy__(self) -> Any:
        """A copy sits where the first one does."""
        kept: Any = self
        twin: Any = object.__new__(_class_of(kept))
        twin.__dict__.update(kept.__dict__)
        return twin

    def dump_component(self) -> Any:
        """The component as it is without forks."""
        return self._agentcache.original.dump_component()


def _class_of(client: Any) -> type:
    return type(client)


def _same(client: Any) -> Any:
    return client


def _count(name: str) -> property:
    """A counter kept by the client that was copied: its owner reads it there."""

    def get(self: Any) -> Any:
        return getattr(self._agentcache.original, name)

    def put(self: Any, value: Any) -> None:
        setattr(self._agentcache.original, name, value)

    return property(get, put)


def forked_copy(client: ChatCompletionClient, seat: Seat) -> ChatCompletionClient:
    """Return a copy of the client, of a subclass of its own class, that sends forks."""
    held = vars(client)
    counted = tuple(name for name in _COUNTS if name in held)
    cls = _forked_class(type(client), counted)
    twin: Any = object.__new__(cls)  # a copy, made otherwise, asks the class for its config
    twin.__dict__.update({k: v for k, v in held.items() if k not in counted}, _agentcache=seat)
    if seat.wire.native:
        twin._client = async_line(held["_client"])
    return cast("ChatCompletionClient", twin)


def seat_of(client: object) -> Seat | None:
    """The seat of a forked client; None for any other object."""
    return client._agentcache if isinstance(client, ForkMixin) else None  # pyright: ignore[reportPrivateUsage]


@lru_cache(maxsize=64)
def _forked_class(cls: type, counted: tuple[str, ...]) -> type:
    space: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": cls.__doc__,
        **{name: _count(name) for name in counted},
    }
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
