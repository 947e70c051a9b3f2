"""Fingerprints of requests: what a ledger keeps of them, and nothing of what they say."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast, overload

from agentcache.blocks import Block, Section, estimate_tokens

__all__ = ["Print", "Printer", "Prints", "Weaver", "prints"]

_KEPT: Final = 65_536
_SCALES: Final = (0.6, 1.6)
"""How far an estimate may be off: beyond that something else was counted too."""


@dataclass(frozen=True, slots=True)
class Print:
    """A block's fingerprint: `chain` covers this block and all before it; `weight` is in tokens."""

    section: Section
    path: str
    chain: str
    weight: int
    markable: bool
    marked: bool = False


@dataclass(eq=False, slots=True)
class _Link:
    """A fingerprint, and the one before it."""

    made: Print
    before: "_Link | None"
    number: int


class Prints(Sequence[Print]):
    """The fingerprints of one request, in order; requests that begin alike hold them together."""

    __slots__ = ("_last",)

    def __init__(self, last: _Link | None = None) -> None:
        """Create through `Printer` or `Weaver`."""
        self._last = last

    def __len__(self) -> int:
        return 0 if self._last is None else self._last.number

    def __iter__(self) -> Iterator[Print]:
        return iter(self._whole())

    @overload
    def __getitem__(self, index: int) -> Print: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Print, ...]: ...
    def __getitem__(self, index: int | slice) -> Print | tuple[Print, ...]:
        return self._whole()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Prints):
            return self._last is other._last or self._whole() == other._whole()
        if isinstance(other, tuple | list):
            return self._whole() == tuple(cast("Sequence[object]", other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._whole())

    def __repr__(self) -> str:
        return repr(self._whole())

    def __deepcopy__(self, memo: object) -> "Prints":
        return self  # nothing in it changes

    def __reduce__(self) -> tuple[Any, ...]:
        return _woven, (self._whole(),)  # flat: link by link, a long one is too deep

    def _whole(self) -> tuple[Print, ...]:
        out: list[Print] = []
        link = self._last
        while link is not None:
            out.append(link.made)
            link = link.before
        return tuple(reversed(out))


class Weaver:
    """Holds fingerprints that are there already together with those of earlier requests."""

    def __init__(self) -> None:
        """Know of none."""
        self._made: dict[tuple[_Link | None, Print], _Link] = {}

    def __call__(self, made: Iterable[Print]) -> Prints:
        """The same fingerprints."""
        last: _Link | None = None
        for each in made:
            key = (last, each)
            link = self._made.get(key)
            if link is None:
                link = _Link(each, last, 1 if last is None else last.number + 1)
                _make_room(self._made)
                self._made[key] = link
            last = link
        return Prints(last)


def _woven(made: Iterable[Print]) -> Prints:
    return Weaver()(made)


class Printer:
    """Makes fingerprints, each once; keeps digests and numbers, never the texts."""

    def __init__(self, limit: int = _KEPT) -> None:
        """Remember up to `limit` fingerprints and weights; then the older half is forgotten."""
        self._limit = limit
        self._weights: dict[bytes, int] = {}
        self._scale = 1.0
        self._made: dict[tuple[_Link | None, bytes, str, bool], _Link] = {}

    def weigh(self, text: str) -> int:
        """Estimate the tokens in `text`."""
        raw = text.encode("utf-8", "surrogatepass")
        return self._weight(hashlib.blake2b(raw, digest_size=16).digest(), text)

    def weigh_block(self, block: Block) -> int:
        """Estimate the tokens of a block."""
        return self._weight(block.identity, block.json)

    @property
    def scale(self) -> float:
        """Tokens that the provider counted, lately, for each that was estimated."""
        return self._scale

    def counted(self, estimated: int, tokens: int) -> None:
        """Learn from a request what its provider counts."""
        if estimated > 0 and tokens > 0:
            self._scale = min(_SCALES[1], max(_SCALES[0], tokens / estimated))

    def __call__(self, blocks: Iterable[Block]) -> Prints:
        """Fingerprint every block that renders (section `free` does not)."""
        last: _Link | None = None
        for block in blocks:
            if block.section == "free":
                continue
            key = (last, block.identity, block.path, bool(block.mark))
            last = self._made.get(key) or self._make(key, block)
        return Prints(last)

    def _make(self, key: tuple[_Link | None, bytes, str, bool], block: Block) -> _Link:
        before, identity, path, marked = key
        chain = "" if before is None else before.made.chain
        digest = hashlib.blake2b(chain.encode() + identity, digest_size=12).hexdigest()
        weight = 0 if block.section == "params" else self._weight(identity, block.json)
        made = Print(block.section, path, digest, weight, block.markable, marked)
        _make_room(self._made, self._limit)
        link = _Link(made, before, 1 if before is None else before.number + 1)
        self._made[key] = link
        return link

    def _weight(self, key: bytes, text: str) -> int:
        found = self._weights.get(key)
        if found is None:
            _make_room(self._weights, self._limit)
            found = self._weights[key] = estimate_tokens(text)
        return found


def _make_room(held: dict[Any, Any], limit: int = _KEPT) -> None:
    """Forget the older half of what is full."""
    if len(held) >= limit:
        for key in [*islice(held, (limit + 1) // 2)]:
            held.pop(key, None)


def prints(blocks: Iterable[Block]) -> Prints:
    """Fingerprint every block that renders (section `free` does not), keeping no content."""
    return Printer()(blocks)
