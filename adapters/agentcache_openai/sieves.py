"""What a fork's answer passes before the program reads it, in the bytes of its response.

There every way to read one comes by: the SDK's own streams, their helpers, raw lines. A call to
another agent's tool is renamed, and the count of tokens that only we have asked for is taken out.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from typing import Any, Final

from agentcache.blocks import dumps
from agentcache.dialects import Json
from agentcache.dialects.base import is_json

__all__ = ["Sieve", "sift"]

_DATA: Final = b"data"
_COUNTED: Final = re.compile(rb'"usage"\s*:\s*\{')


class Sieve:
    """Reads one response: `keeps` holds an answer, or an event of one, to what it may be.

    It changes it in place, and returns whether it did. `counts`, if given, is told the last event
    of a stream that holds nothing but the tokens used; the program never sees that one.
    """

    def __init__(
        self, keeps: Callable[[Json], bool], counts: Callable[[Json], object] | None
    ) -> None:
        """Begin to read."""
        self._keeps, self._counts = keeps, counts
        self._rest = b""

    def line(self, piece: bytes) -> bytes:
        """The lines of an event stream that are whole by now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return b"".join(self._event(line, b"\n") for line in lines)

    def last_line(self) -> bytes:
        """The end of an event stream."""
        return self._event(self._rest, b"")

    def body(self, piece: bytes) -> bytes:
        """Nothing yet: JSON is read when it is whole."""
        self._rest += piece
        return b""

    def whole_body(self) -> bytes:
        """The JSON of an answer."""
        said = _read(self._rest)
        return dumps(said).encode() if said is not None and self._keeps(said) else self._rest

    def _event(self, line: bytes, end: bytes) -> bytes:
        counted = self._counts is not None and _COUNTED.search(line)
        name, _, text = line.partition(b":")
        if name != _DATA or not (counted or b'"name"' in line):
            return line + end
        said = _read(text)
        if said is None:
            return line + end
        if counted and self._counts is not None and said.get("choices") == []:
            self._counts(said)
            return b""
        return b"data: " + dumps(said).encode() + end if self._keeps(said) else line + end


def _read(text: bytes) -> Json | None:
    try:
        said: Any = json.loads(text)
    except ValueError:
        return None
    return said if is_json(said) else None


def sift(response: Any, sieve: Sieve) -> None:
    """Have all that is still to be read of a response pass a sieve."""
    events = "text/event-stream" in str(response.headers.get("content-type", ""))
    takes, ends = (sieve.line, sieve.last_line) if events else (sieve.body, sieve.whole_body)
    real, areal = response.iter_bytes, response.aiter_bytes

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        return _sifted(real(chunk_size), takes, ends)

    def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return _asifted(areal(chunk_size), takes, ends)

    response.iter_bytes, response.aiter_bytes = iter_bytes, aiter_bytes


def _sifted(
    source: Generator[bytes], takes: Callable[[bytes], bytes], ends: Callable[[], bytes]
) -> Generator[bytes]:
    with closing(source):
        for piece in source:
            made = takes(piece)
            if made:
                yield made
    last = ends()
    if last:
        yield last


async def _asifted(
    source: AsyncGenerator[bytes], takes: Callable[[bytes], bytes], ends: Callable[[], bytes]
) -> AsyncGenerator[bytes]:
    async with aclosing(source):
        async for piece in source:
            made = takes(piece)
            if made:
                yield made
    last = ends()
    if last:
        yield last
