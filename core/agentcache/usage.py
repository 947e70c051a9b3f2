"""Usage: what a call cost in tokens, in one shape for every provider."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from agentcache.usage_shapes import SHAPES, Payload, Shape

__all__ = ["Usage"]

_LEFT_OUT: Final = frozenset({"compaction", "advisor_message"})
"""Rows of Anthropic's `usage.iterations` that its own totals leave out (anthropic 2.12, types/beta/
beta_usage.py). Rows `message` and `fallback_message` are in them.
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `None` means the provider did not say, never zero.

    `input_tokens` is the inclusive total: fresh + `cached_tokens` (read) + `cache_write_tokens`.
    `writes` splits the written tokens by TTL name where the provider does, e.g. `(("5m", 1200),)`.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    writes: tuple[tuple[str, int], ...] = ()

    @property
    def fresh_tokens(self) -> int | None:
        """Input tokens neither read from nor written to a cache; None where that is unknown.

        A provider that reports reads and no writes bills no writes: they count as fresh.
        """
        if self.input_tokens is None or self.cached_tokens is None:
            return None
        fresh = self.input_tokens - self.cached_tokens - (self.cache_write_tokens or 0)
        return fresh if fresh >= 0 else None  # a payload that contradicts itself tells nothing

    @classmethod
    def from_payload(cls, payload: Payload | None) -> "Usage":
        """Read a usage object of any provider or framework; an unknown shape says nothing.

        Whether the raw input count already holds the cached tokens differs: OpenAI's does,
        Anthropic's and Bedrock's do not. Anthropic's rows for compaction and advisors, which its
        own totals leave out, are added.
        """
        shape = _shape_of(payload) if payload else None
        return cls() if shape is None or payload is None else _read(shape, payload)


def _shape_of(payload: Payload) -> Shape | None:
    return next((shape for shape in SHAPES if shape.fits(payload)), None)


def _read(shape: Shape, payload: Payload) -> Usage:
    total = _first(payload, shape.total)
    pick = _sum if shape.adds else _first
    read, write = pick(payload, shape.read), pick(payload, shape.write)
    if shape.adds and write is not None:  # langchain-anthropic before 1.4 counts a lifetime twice
        known = sum(_at(payload, path) or 0 for _, path in shape.split)
        write = max(write - known, known) if write - known >= known else write
    if shape.fresh and total is not None:
        total += (read or 0) + (write or 0)
    found = Usage(total, read, write, _sum(payload, shape.output), _split(shape, payload))
    for row in _rows(payload, "iterations"):
        if row.get("type") in _LEFT_OUT:
            found = _both(found, _read(_shape_of(row) or shape, row))
    return found


def _split(shape: Shape, payload: Payload) -> tuple[tuple[str, int], ...]:
    counts = [(ttl, _at(payload, path)) for ttl, path in shape.split]
    counts += [
        (str(r.get("ttl")), _int(r.get("inputTokens"))) for r in _rows(payload, shape.listed)
    ]
    return _merged((ttl, n) for ttl, n in counts if n)


def _both(one: Usage, other: Usage) -> Usage:
    """Two usages as one; what either does not say is unknown of both."""
    return Usage(
        _plus(one.input_tokens, other.input_tokens),
        _plus(one.cached_tokens, other.cached_tokens),
        _plus(one.cache_write_tokens, other.cache_write_tokens),
        _plus(one.output_tokens, other.output_tokens),
        _merged(iter((*one.writes, *other.writes))),
    )


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _merged(counts: Iterator[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    out: dict[str, int] = {}
    for ttl, count in counts:
        out[ttl] = out.get(ttl, 0) + count
    return tuple(out.items())


def _first(payload: Payload, paths: Sequence[str]) -> int | None:
    return next(_numbers(payload, paths), None)


def _sum(payload: Payload, paths: Sequence[str]) -> int | None:
    found = list(_numbers(payload, paths))
    return sum(found) if found else None


def _numbers(payload: Payload, paths: Sequence[str]) -> Iterator[int]:
    return (number for path in paths if (number := _at(payload, path)) is not None)


def _at(payload: Payload, path: str) -> int | None:
    found: Any = payload
    for key in path.split("."):
        found = cast("Payload", found).get(key) if isinstance(found, Mapping) else None
    return _int(found)


def _int(value: Any) -> int | None:
    """A count; no bool, no half token, nothing below zero."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) and value >= 0 else None


def _rows(payload: Payload, key: str) -> list[Payload]:
    found: Any = payload.get(key)
    rows: Sequence[Any] = cast("Sequence[Any]", found) if isinstance(found, list | tuple) else ()
    return [cast("Payload", row) for row in rows if isinstance(row, Mapping)]
