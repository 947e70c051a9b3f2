"""What happened to a text: the nature of its first change, told from both versions alone."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from agentcache.breaks.patterns import covering, masked
from agentcache.breaks.values import Kind

__all__ = [
    "Change",
    "alike",
    "change_of",
    "first_difference",
    "last_difference",
    "rearranged",
    "window",
]

_AROUND: Final = 40
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe0e\ufe0f]"
)
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_BULLET: Final = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|\(?[a-z0-9]\))\s+")
_TITLE: Final = re.compile(r"\s*[#<]|.*:\s*$")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_LIST: Final = 3
_WHOLE: Final = 16_000
"""Characters that are looked at with every check; of longer changes, the beginning is."""
_LINE: Final = 400


@dataclass(frozen=True, slots=True)
class Change:
    """The first change of a text: its nature, where it begins, and both sides of it."""

    kind: Kind
    offset: int
    before: str
    after: str


def change_of(before: str, after: str, otherwise: Kind = "text_edit") -> Change | None:
    """What happened to a text; None if nothing did. `otherwise` names a plain edit."""
    if before == after:
        return None
    offset = first_difference(before, after)
    kind = _kind_at(before, after, offset) or otherwise
    return Change(kind, offset, *window(before, after, offset))


def first_difference(before: str, after: str) -> int:
    """Where two texts first differ; halved, because texts may be long."""
    low, high = 0, min(len(before), len(after))
    if before[:high] == after[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle
    return low


def last_difference(before: str, after: str) -> int:
    """How many characters two texts end with in common."""
    low, high = 0, min(len(before), len(after))
    if high == 0 or before[-high:] == after[-high:]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if (
            before[len(before) - middle : len(before) - low]
            == (after[len(after) - middle : len(after) - low])
        ):
            low = middle
        else:
            high = middle
    return low


def alike(before: str, after: str) -> float:
    """Which share of two texts is the same, from 0 to 1: their ends, and words in between."""
    if before == after:
        return 1.0
    start = first_difference(before, after)
    one, other = before[start:], after[start:]
    end = last_difference(one, other)
    words = [Counter(text[: len(text) - end][:_WHOLE].split()) for text in (one, other)]
    common = sum(len(word) * n for word, n in (words[0] & words[1]).items())
    return 2 * (start + end + common) / (len(before) + len(after))


def rearranged(before: str, after: str) -> bool:
    """Whether two texts are one but for spaces, the order of JSON keys, and that of whole things.

    A line may have moved within its section, a section in the text, and an item in a list that a
    colon opens; not the first line, and not words: they change places where agents change roles.
    """
    if any(before.count(c) != after.count(c) for c in "etaonis0123{}:"):
        return False
    if _squeezed(before) == _squeezed(after):
        return True
    one, other = (_json_of(text) or text for text in (before, after))
    return _settled(one) == _settled(other)


def _settled(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The first line of a text, and all the others in one order, each with its title."""
    title = ""
    lines: list[tuple[str, str]] = []
    for line in filter(str.strip, text.splitlines()):
        said = " ".join(map(_in_order, _SENTENCE.split(_BULLET.sub("", line).strip())))
        if _TITLE.match(line):
            title = said
        lines.append((title, said))
    return (lines[0][1] if lines else ""), sorted(lines)


def _in_order(sentence: str) -> str:
    """A sentence; if it is a list that a colon opens, with the items in one order."""
    opened, colon, rest = sentence.partition(": ")
    items = sorted(_items(re.split(r"[,;|\u3001\uff0c]", rest)))
    return f"{opened}: {items}" if colon and len(items) >= _LIST else " ".join(sentence.split())


def window(before: str, after: str, offset: int) -> tuple[str, str]:
    """Both texts around a place, shortened where they are long."""
    start = max(0, offset - _AROUND // 2)
    return before[start : offset + _AROUND], after[start : offset + _AROUND]


def _kind_at(before: str, after: str, offset: int) -> Kind | None:
    """What happened to the whole text; else to the line that changed first; else to the word."""
    one, other = (before, after) if _fit(before, after) else _changed(before, after, offset)
    if _fit(one, other):
        whole = _kind(one, other)
    else:
        whole = _spaced(before, after, offset) or _long_kind(one, other)
    if whole is not None:
        return whole
    start = max(before.rfind("\n", 0, offset) + 1, offset - _LINE)
    one, other = _line(before, start, offset), _line(after, start, offset)
    return _kind(one, other) or covering(one, other, offset - start)


def _fit(before: str, after: str) -> bool:
    return max(len(before), len(after)) <= _WHOLE


def _changed(before: str, after: str, offset: int) -> tuple[str, str]:
    """What lies between the first change and the last one, in whole lines if they are short."""
    end = last_difference(before[offset:], after[offset:])
    blank = before.rfind("\n\n", 0, offset)
    start = blank + 2 if blank >= 0 else 0
    if offset - start > _LINE:
        start = max(before.rfind("\n", 0, offset) + 1, offset - _LINE)
    stop = len(before) - end
    more = before.find("\n", stop, stop + _LINE)
    end -= more - stop if more >= 0 else min(_LINE, end)
    return before[start : len(before) - end], after[start : len(after) - end]


def _line(text: str, start: int, offset: int) -> str:
    end = text.find("\n", offset, offset + 2 * _LINE)
    return text[start : end if end >= 0 else offset + 2 * _LINE]


def _kind(before: str, after: str) -> Kind | None:
    if before == after:
        return None
    for kind, same in _LOOKS:
        if same(before, after):
            return kind
    return masked(before, after) or ("order" if _order(before, after) else None)


def _spaced(before: str, after: str, offset: int) -> Kind | None:
    """Whether a long text changed in nothing but its spaces, as far as its beginning tells."""
    one, other = (text[offset : offset + _WHOLE] for text in (before, after))
    for kind, plain in (("invisible", _visible), ("whitespace", _squeezed)):
        bare = plain(one), plain(other)
        length = min(map(len, bare))
        if length > _WHOLE // 2 and bare[0][: length - 1] == bare[1][: length - 1]:
            return "invisible" if kind == "invisible" else "whitespace"
    return None


def _long_kind(before: str, after: str) -> Kind | None:
    """Whether a long text holds the same things in another order."""
    if any(before.count(c) != after.count(c) for c in "etaonis0123{}:"):
        return None
    objects = [_objects(text[:_WHOLE]) for text in (before, after)]
    if all(objects) and all(a == b for a, b in zip(*objects, strict=False)):
        return "key_order"
    cuts = ((before.split(sign), after.split(sign)) for sign in ("\n", ". "))
    same = any(len(a) == len(b) > 2 and Counter(a) == Counter(b) for a, b in cuts)
    return "order" if same else None


def _objects(text: str) -> list[str]:
    """The JSON objects with several keys that a text holds, each in one key order."""
    found: list[str] = []
    at = 0
    for start in _openings(text):
        if start < at or len(found) == _PIECES:
            continue
        try:
            value, at = _DECODER.raw_decode(text, start)
            found += [json.dumps(value, sort_keys=True)] if _has_keys(value) else []
        except (ValueError, RecursionError):
            continue
    return found


def _visible(text: str) -> str:
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _INVISIBLE.sub("", text)))


def _invisible(before: str, after: str) -> bool:
    return _visible(before) == _visible(after)


def _whitespace(before: str, after: str) -> bool:
    return _squeezed(before) == _squeezed(after)


def _squeezed(text: str) -> str:
    return "".join(_visible(text).split())


def _key_order(before: str, after: str) -> bool:
    if any(before.count(c) != after.count(c) for c in '{}":,e'):
        return False
    one = _json_of(before)
    return one is not None and one == _json_of(after)


def _json_of(text: str) -> str | None:
    """A text with every JSON object in it in one key order; None if it holds none."""
    out: list[str] = []
    at, found, pieces = 0, False, 0
    for start in _openings(text):
        if start < at:
            continue
        pieces += 1
        if pieces > _PIECES:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
            again = json.dumps(value, sort_keys=True)
        except (ValueError, RecursionError):
            continue
        found = found or _has_keys(value)
        out += [text[at:start], again]
        at = end
    return "".join([*out, text[at:]]) if found else None


_PIECES: Final = 200


def _as_sent(number: str) -> str:
    return f"\0{number}"


_DECODER: Final = json.JSONDecoder(parse_float=_as_sent, parse_int=_as_sent)


def _openings(text: str) -> Iterator[int]:
    return (match.start() for match in re.finditer(r"[{\[]", text))


def _has_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) > 1 or any(map(_has_keys, value.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return isinstance(value, list) and any(map(_has_keys, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _order(before: str, after: str) -> bool:
    return any(
        len(one) > 1 and Counter(one) == Counter(other)
        for one, other in zip(_cuts(before), _cuts(after), strict=True)
    )


def _cuts(text: str) -> Iterator[list[str]]:
    """A text as paragraphs, lines, sentences and items of a list."""
    yield _items(re.split(r"\n\s*\n", text))
    yield _items(text.splitlines())
    yield _items(re.split(r"(?<=[.!?;\u3002\uff01\uff1f])\s+", text))
    yield _items(re.split(r"[,;|\u3001\uff0c\n]|:\s", text))
    yield _items(re.split(r"[\s,;|/()\[\]{}<>'\"\u3001\uff0c\u3002]+", text))


def _items(pieces: list[str]) -> list[str]:
    return [bare for piece in pieces if (bare := _BULLET.sub("", piece).strip(" \t\n.,;'\""))]


_LOOKS: Final[tuple[tuple[Kind, Callable[[str, str], bool]], ...]] = (
    ("invisible", _invisible),
    ("whitespace", _whitespace),
    ("key_order", _key_order),
)
