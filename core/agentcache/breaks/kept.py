"""A request kept as it was sent: what an earlier one has too is neither copied nor cut again."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from operator import is_
from typing import Any, Final, TypeVar, cast

from agentcache.blocks import Block
from agentcache.breaks.spellings import spelled_out
from agentcache.breaks.talk import Message, messages_of
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import Sent, is_json

__all__ = ["Kept", "common", "keep"]

_T = TypeVar("_T")
_TEXTS: Final = frozenset({str, type(None)})


class Kept(Sent):
    """Our own copy of a request: the program may change its own after the call.

    `rows` are its messages and `cuts` the blocks of each; `head` are those of the `rest`.
    """

    __slots__ = ("cuts", "head", "rest", "rows", "size")

    def __init__(self, wire: Dialect) -> None:
        """Nothing is in it yet; `size` counts the characters of its blocks."""
        super().__init__()
        self.wire = wire
        self.rows: list[Any] = []
        self.cuts: tuple[tuple[Block, ...], ...] = ()
        self.rest: Json | None = None
        self.head: tuple[Block, ...] = ()
        self.blocks = self.said = ()
        self.size = 0


def keep(
    wire: Dialect, request: Mapping[str, Any], headers: Mapping[str, str], likes: Iterable[Kept]
) -> Kept:
    """Keep a request, spelled out; `likes` are kept ones that it may begin like, likeliest first.

    The headers stand in it as `extra_headers`.
    """
    key, made, request = wire.messages_key, Kept(wire), spelled_out(wire, request)
    held: Any = request.get(key)
    rows = list(cast("Sequence[Any]", held)) if isinstance(held, list | tuple) else []
    rest = {k: v for k, v in request.items() if k != key or not rows}
    like, same = _likest(rows, [each for each in likes if each.wire is wire], made)
    known = like.rest is not None and rest == like.rest and _is_as(rest, like.rest)
    made.rest = like.rest if known else _copied(rest)
    made.head = like.head if known else wire.hashed(made.rest or {})
    made.rows = [*like.rows[:same], *map(_copied, rows[same:])]
    made.cuts = (*like.cuts[:same], *_by_message(wire.hashed({key: made.rows}, skip=same)))
    made.blocks = (*made.head, *chain.from_iterable(made.cuts))
    made.size = sum([len(block.json) for block in made.blocks])
    made.update(made.rest or {}, **({key: made.rows} if rows else {}), extra_headers=dict(headers))
    new = [
        Message(n, made.rows[n], b"".join([b.identity for b in made.cuts[n]]), wire.mark_key)
        for n in range(same, len(rows))
    ]
    made.said = (*like.said[:same], *new) if rows else messages_of(wire, made, made.blocks)
    return made


def common(one: Sequence[_T], other: Sequence[_T]) -> int:
    """How many the two begin with in common."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:  # by halves: slices are compared faster than one by one
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _likest(rows: list[Any], likes: Sequence[Kept], otherwise: Kept) -> tuple[Kept, int]:
    """The one that most messages are taken from, and how many; the first that will do."""
    found, most = otherwise, -1
    for like in likes:
        same = _same(rows, like.rows, found.rows[: max(most, 0)])
        if same > most:
            found, most = like, same
        if same == len(like.rows) and 2 * same > len(rows):
            break
    return found, max(most, 0)


def _same(rows: list[Any], own: list[Any], known: list[Any]) -> int:
    """How many messages are as our own are; those that are `known` are not looked at again."""
    least = min(len(rows), len(own))
    first = next((n for n, held in enumerate(map(is_, own, known)) if not held), len(known))
    pairs = zip(rows[first:least], own[first:least], strict=True)
    ends = (n for n, (a, b) in enumerate(pairs, first) if a != b or not _is_as(a, b))
    return next(ends, least)


def _by_message(blocks: Iterable[Block]) -> list[tuple[Block, ...]]:
    return [tuple(each) for _, each in groupby(blocks, lambda b: b.path.partition(".")[0])]


def _is_as(one: Any, own: Any) -> bool:
    """Whether what equals our own copy is sent as the same bytes: in its order, and no 1.0 for 1.

    What is no JSON is known by its type alone, as it is written.
    """
    kind = type(own)  # pyright: ignore[reportUnknownVariableType]
    if kind is dict:
        if [*one] != [*own]:
            return False
        for key, value in own.items():
            if type(value) not in _TEXTS and not _is_as(one[key], value):
                return False
        return True
    if kind is list:
        for n, value in enumerate(own):  # no `all`: this runs for all that was ever said
            if type(value) not in _TEXTS and not _is_as(one[n], value):
                return False
        return True
    return type(one) is kind and (kind is not float or repr(one) == repr(own))


def _copied(value: Any) -> Any:
    """New objects and lists around the same texts."""
    if is_json(value):
        return {k: _copied(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each) for each in cast("Sequence[Any]", value)]
    return value
