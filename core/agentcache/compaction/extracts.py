"""What is left of a tool result: an id to ask for it by, and lines of it chosen by rule."""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["OPENING", "placeholder"]

OPENING: Final = "[compacted "
_NAMES: Final = {"result": "tool result", "input": "tool input"}
_NEW: Final = b"\n"
_Sizes = tuple[int, int, int, int]
_FULL: Final[_Sizes] = (3, 4, 3, 160)
_SOME: Final[_Sizes] = (1, 2, 1, 120)
_BRIEF: Final[_Sizes] = (0, 1, 0, 100)
"""First lines, telling ones, last ones, and characters of each: of a result that was never sent, be
it long or not so long, and of one that the model has read before."""
_LONG: Final = 8_000
_FRONT: Final = 16_000
_BACK: Final = 24_000
"""Bytes of a longer text that are searched at its beginning and at its end."""
_TELLING: Final = (
    *(b"error", b"errors", b"fail", b"failed", b"failure", b"failures", b"exception", b"fatal"),
    *(b"panic", b"denied", b"refused", b"not found", b"no such", b"timed out"),
)
_ROOTS: Final = tuple(
    word for word in _TELLING if not any(word != w and word.startswith(w) for w in _TELLING)
)
"""Of words that begin alike, the shortest: the others are found with it."""
_ENDINGS: Final = (b"error", b"exception")
"""They tell at the end of a word too, such as ValueError."""
_WORDS: Final = frozenset(_TELLING)
_LETTERS: Final = re.compile(rb"\w*")


def placeholder(
    content_id: str, tool: str, text: str, *, brief: bool = False, kind: str = "result"
) -> str:
    """The text that stands for a result: the same for the same result, everywhere.

    `brief` holds less of it: the model has read it all before. How to recall it, the tool says.
    """
    data = text.encode("utf-8", "surrogatepass")
    lines = data.count(_NEW) + 1
    told = f"{len(text):,} characters" + (f", {lines:,} lines" if kind != "image" else "")
    head = f"{OPENING}{_NAMES.get(kind, kind)} {content_id}] {tool or kind}: {told}."
    sizes = _BRIEF if brief else _FULL if len(text) >= _LONG else _SOME
    return "\n".join([head, *(_extract(data, lines, sizes) if kind != "image" else ())])


def _extract(data: bytes, lines: int, sizes: _Sizes) -> list[str]:
    """Its first lines, its last ones, and those between that tell how it went; with numbers."""
    head, most, tail, width = sizes
    if lines <= head + tail:
        picked = dict(enumerate(data.split(_NEW)))
    else:
        first, last = data.split(_NEW, head)[:head], data.rsplit(_NEW, tail)[-tail:] * (tail > 0)
        picked = dict(enumerate(first))
        picked |= _telling(data, lines, head, lines - tail, most)
        picked |= dict(enumerate(last, lines - tail))
    if not picked:
        picked = {lines - 1: data[data.rfind(_NEW) + 1 :]}
    return [f"{n + 1}: {_short(_as_text(line), width)}" for n, line in picked.items()]


def _telling(data: bytes, lines: int, first: int, end: int, most: int) -> dict[int, bytes]:
    """The first lines, by number, of those from `first` to before `end` that say how it went."""
    found: dict[int, bytes] = {}
    for begin, piece in _searched(data):
        above = lines - 1 - data.count(_NEW, begin) if begin else 0
        for word in _ROOTS:
            for n, at in _lines_with(piece, word, first - above, end - above, most):
                found[above + n] = _line_at(data, begin + at)
    return {n: found[n] for n in sorted(found)[:most]}


def _line_at(data: bytes, at: int) -> bytes:
    end = data.find(_NEW, at)
    return data[data.rfind(_NEW, 0, at) + 1 : end if end >= 0 else len(data)]


def _as_text(line: bytes) -> str:
    return line.decode("utf-8", "surrogatepass")


def _searched(data: bytes) -> list[tuple[int, bytes]]:
    """What of a text is searched, each with where it begins: all of it, or its two ends."""
    if len(data) <= _FRONT + _BACK:
        return [(0, data.lower())]  # which leaves all but ASCII alone
    back = len(data) - _BACK
    return [(0, data[:_FRONT].lower()), (back, data[back:].lower())]


def _lines_with(
    data: bytes, word: bytes, first: int, end: int, most: int
) -> Iterator[tuple[int, int]]:
    """Which lines hold a word, or one that begins with it, as a word of its own, and where."""
    at, line, counted, told = data.find(word), 0, 0, 0
    while at >= 0 and told < most:
        line, counted = line + data.count(_NEW, counted, at), at
        if line >= end:
            return
        whole = _LETTERS.match(data, at + len(word))
        ends = at + len(word) if whole is None else whole.end()
        alone = word in _ENDINGS or not (data[max(0, at - 1) : at].replace(b"_", b"a")).isalnum()
        if line >= first and alone and data[at:ends] in _WORDS:
            told += 1
            yield line, at
            ends = data.find(_NEW, ends)
            if ends < 0:
                return
        at = data.find(word, ends)


def _short(line: str, most: int) -> str:
    if len(line) <= most:
        return line
    half = most // 2
    return f"{line[:half]} [...{len(line) - 2 * half:,} characters...] {line[-half:]}"
