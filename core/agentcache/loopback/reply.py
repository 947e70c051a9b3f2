"""What all three APIs need to word an answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcache.loopback.reading import Reading
from agentcache.loopback.tokens import pieces
from agentcache.loopback.values import Answer
from agentcache.loopback.wire import dumps

__all__ = ["Reply", "chunks", "event"]

_MOST_CHUNKS = 24


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, its number on this server, and the usage to report with it.

    `with_usage` is False where a fault withholds it. `done` is False for a pre-warm
    request: the prompt was read, nothing is generated. `diagnosis` is what is said, if it was
    asked for, of why the cache was missed. `edits` are those applied to the context.
    """

    number: int
    created: int
    body: Mapping[str, Any]
    model: str
    answer: Answer
    reading: Reading
    output_tokens: int
    with_usage: bool = True
    generated: bool = True
    diagnosis: Mapping[str, Any] | None = None
    edits: Sequence[Mapping[str, Any]] = ()

    def call_id(self, index: int, prefix: str) -> str:
        """Return the id of the nth tool call: the same on every run, unique on a server."""
        return f"{prefix}_{self.number:06d}_{index}"


def chunks(text: str) -> Iterator[str]:
    """Cut a text into at most 24 parts, and at least two where it has two tokens."""
    found = pieces(text)
    size = max(1, min(4, len(found) // 2), -(-len(found) // _MOST_CHUNKS))
    for start in range(0, len(found), size):
        yield "".join(found[start : start + size])


def event(data: Mapping[str, Any] | str, name: str | None = None) -> bytes:
    """Write one server-sent event."""
    text = data if isinstance(data, str) else dumps(data)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {text}\n\n".encode()
