"""One call of an SDK's client: recorded from the request as it is built to the answer as read."""

import json
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, ExitStack, nullcontext
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final
from weakref import ref

from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.flights import Flight
from agentcache.recordings.secrets import kept_headers
from agentcache.sdk.answers import Tally

__all__ = ["Going", "going_now", "json_of", "put_back", "then"]

Opens = Callable[[Json, Mapping[str, str]], Flight]
"""Opens the record of a call, by its body and those of its headers that bear on a cache."""

_log = logging.getLogger("agentcache")
_BETA: Final = "anthropic-beta"
_CLOSES: Final[Sequence[str]] = ("close", "aclose")
_now: ContextVar["Going | None"] = ContextVar("agentcache_sdk_call", default=None)


def going_now() -> "Going | None":
    """The call under way here, if its client is observed."""
    return _now.get()


class Going:
    """A call under way while it is entered. What is built in the meantime is its request."""

    def __init__(self, opens: Opens | None, model: str = "") -> None:
        """Record it if it `opens` a record. `model` stands in no body that names it in its URL."""
        self._opens, self._model = opens, model
        self._tokens: list[Token[Going | None]] = []
        self._flight: Flight | None = None
        self._reading = False
        self.tally = Tally()
        self.record = ExitStack()

    def __enter__(self) -> None:
        """Take what is built from now on for its request."""
        self._tokens.append(_now.set(self))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record what went wrong, if something did."""
        _now.reset(self._tokens.pop())
        if error is not None:
            self.record.__exit__(kind, error, traceback)

    def built(self, request: Any) -> None:
        """Begin the record: this is what goes on the wire. A retry sends the same once more."""
        if self._opens is None or self._flight is not None:
            return
        try:
            body: Any = json.loads(request.content)
            if not is_json(body):
                return
            headers = kept_headers(request.headers.items())
            betas = headers.pop(_BETA, "")
            if betas:  # so does a ledger with content hold what its SDK was given
                body["betas"] = betas.split(",")
            if self._model:
                body.setdefault("model", self._model)
            flight = self._opens(body, headers)
            flight.held = flight.held or flight.ungated()
            self.record.enter_context(flight.sending(flight.held, self.tally))
            self._flight = flight
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not record a call; it goes out all the same")

    def answered(self, answer: Any) -> Any:
        """An answer, recorded. What is still to be read records itself as it is, in place."""
        if self._flight is None:
            self.record.close()
            return answer
        try:
            whole = self._whole(answer)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not read an answer; the program goes on")
            whole = True
        if whole:
            self.record.close()
        return answer

    def _whole(self, answer: Any) -> bool:
        """Read an answer; else say that it is still to be read, and be told of that."""
        if getattr(answer, "_iterator", None) is not None:
            self._tapped(answer)
            return False
        response = getattr(answer, "http_response", None)
        if response is not None and not response.is_closed:
            self._wait(answer, response)
            return False
        self.tally.notice(answer if response is None else json_of(response))
        return True

    def _tapped(self, stream: Any) -> None:
        tap = self._aread if hasattr(stream, "__anext__") else self._read
        stream._iterator = tap(stream._iterator)
        response: Any = getattr(stream, "response", None)
        if hasattr(response, "__dict__"):
            self.record.callback(_on_close(response, self))

    def _read(self, source: Iterator[Any]) -> Iterator[Any]:
        with self.record:
            self._reading = True
            for piece in source:
                self._notice(piece)
                self._reading = False
                yield piece
                self._reading = True

    async def _aread(self, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with self.record:
            self._reading = True
            async for piece in source:
                self._notice(piece)
                self._reading = False
                yield piece
                self._reading = True

    def closed(self) -> None:
        """Record a stream that is closed before its end; an SDK also closes one at its end."""
        if not self._reading:
            self.record.__exit__(GeneratorExit, GeneratorExit(), None)

    def _notice(self, piece: Any) -> None:
        """Read a piece of a stream; the last event of Responses holds the whole response."""
        if self._flight is not None:
            self._flight.event()
        self.tally.notice(getattr(piece, "response", None) or piece)

    def _wait(self, raw: Any, response: Any) -> None:
        """Record a raw answer when it is parsed or read, or else when it is closed."""

        def done(_: Any) -> None:
            self.tally.notice(json_of(response))
            self.record.close()

        _tap(raw, {"parse": self.answered, "read": done, "close": done})


def _tap(x: Any, tails: Mapping[str, Callable[[Any], object]]) -> None:
    """Have the first of these methods to be called tell what it made."""

    def tapped(real: Callable[..., Any], tail: Callable[[Any], object]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            put_back(x, tails)

            def told(made: Any) -> Any:
                tail(made)
                return made

            return then(real(*args, **kwargs), told)

        return call

    for name, tail in tails.items():
        real = getattr(x, name, None)
        if real is not None:
            setattr(x, name, tapped(real, tail))


def _on_close(response: Any, going: Going) -> Callable[[], None]:
    """Have a response tell a call when the program closes it; what undoes that.

    It holds the call weakly: with the last to hold a stream goes what reads it, and the call.
    """
    own: dict[str, Any] = response.__dict__
    before = {k: v for k, v in own.items() if k in _CLOSES}
    told = ref(going)

    def tapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def close(*args: Any, **kwargs: Any) -> Any:
            call = told()
            if call is not None:
                call.closed()
            return real(*args, **kwargs)

        return close

    def undo() -> None:
        put_back(response, _CLOSES)
        own.update(before)

    own |= {k: tapped(getattr(response, k)) for k in _CLOSES if hasattr(response, k)}
    return undo


def put_back(x: Any, names: Iterable[str]) -> None:
    """Give an object its class's own methods back."""
    own: dict[str, Any] = x.__dict__
    for name in names:
        own.pop(name, None)


def then(
    made: Any, go_on: Callable[[Any], Any], during: AbstractContextManager[None] | None = None
) -> Any:
    """Go on with what was made; with what has to be awaited, `during` which this is entered."""
    return _later(made, go_on, during) if isinstance(made, Awaitable) else go_on(made)  # pyright: ignore[reportUnknownArgumentType]


async def _later(
    made: Awaitable[Any], go_on: Callable[[Any], Any], during: AbstractContextManager[None] | None
) -> Any:
    with during or nullcontext():
        answer = await made
    return go_on(answer)


def json_of(response: Any) -> Any:
    """The JSON of a response that was read whole; nothing if it was not, or is none."""
    try:
        return json.loads(response.content)
    except (RuntimeError, ValueError):
        return None
