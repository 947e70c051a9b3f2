"""What happened to a text: the nature of its first change, told from both versions alone."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from agentcache.breaks.values import Kind

__all__ = ["Change", "change_of", "first_difference", "window"]

_AROUND: Final = 40
_INVISIBLE: Final = re.compile(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe0e\ufe0f]"
)
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_MONTH: Final = (
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|janv|f[eé]v|avr|juil|ao[uû]t)"
    r"[a-zäéû]*\.?"
)
_DAY: Final = (
    r"(?:mon|tues?|wed(?:nes)?|thur?s?|fri|sat(?:ur)?|sun)(?:day)?|"
    r"(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch"
)
_CLOCK: Final = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[ap]\.?m\.?)?"
_ZONE: Final = r"(?:\s*(?:z|utc|gmt|cet|cest|[ecmp][sd]?t)|\s*[+-]\d{2}:?\d{2})?"
_DATE: Final = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}",
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}",
    r"\d{4}\s*[年/]\s*\d{1,2}\s*[月/]\s*\d{1,2}\s*日?",
    rf"\d{{1,2}}(?:st|nd|rd|th|er|\.)?\s+(?:of\s+|de\s+)?{_MONTH}(?:,?\s+\d{{4}})?",
    rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?",
    rf"{_MONTH}\s+\d{{4}}",
    r"\d{4}-w\d{2}(?:-\d)?",
    r"\b(?:20\d{2})(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:t?\d{6}z?)?\b",
)
_STAMP: Final = re.compile(
    rf"(?<![\w])(?:(?:{_DAY}),?\s+)?(?:{'|'.join(_DATE)})(?:[t,\s]+(?:at\s+|um\s+)?{_CLOCK})?{_ZONE}"
    rf"|(?<![\w:]){_CLOCK}{_ZONE}(?![\w:])"
    r"|(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9}|\.\d+)?(?![\w])"
    rf"|\b(?:{_DAY})\b"
    r"|\b\d+(?:\.\d+)?\s*(?:seconds?|minutes?|hours?|days?|weeks?|ms|min|hrs?)\s+ago\b",
    re.IGNORECASE,
)
_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|\b0x[0-9a-fA-F]{4,}\b"
    r"|\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"
    r"|\b(?=[0-9a-fA-F]*\d)(?=[0-9]*[a-fA-F])[0-9a-fA-F]{6,}\b|\b\d{16,}\b"
    r"|\b[A-Za-z]{1,12}[_-](?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{6,}\b"
    r"|(?<![\w-])(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{10,}(?![\w-])"
)
_NUMBER: Final = re.compile(r"\d+")
_BULLET: Final = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|\(?[a-z0-9]\))\s+")


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
    sides = window(before, after, offset)
    kind = _kind(before, after) or _kind(*_lines_at(before, after, offset)) or otherwise
    return Change(kind, offset, *sides)


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


def window(before: str, after: str, offset: int) -> tuple[str, str]:
    """Both texts around a place, shortened where they are long."""
    start = max(0, offset - _AROUND // 2)
    return before[start : offset + _AROUND], after[start : offset + _AROUND]


def _kind(before: str, after: str) -> Kind | None:
    if before == after:
        return None
    for kind, same in _CHECKS:
        if same(before, after):
            return kind
    return None


def _visible(text: str) -> str:
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _INVISIBLE.sub("", text)))


def _invisible(before: str, after: str) -> bool:
    return _visible(before) == _visible(after)


def _whitespace(before: str, after: str) -> bool:
    return _squeezed(before) == _squeezed(after)


def _squeezed(text: str) -> str:
    return "".join(_visible(text).split())


def _key_order(before: str, after: str) -> bool:
    if sorted(_squeezed(before)) != sorted(_squeezed(after)):
        return False
    return _json_of(before) is not None and _json_of(before) == _json_of(after)


def _json_of(text: str) -> str | None:
    """A text with every JSON object in it in one key order; None if it holds none."""
    out: list[str] = []
    at, found = 0, False
    decoder = json.JSONDecoder()
    while True:
        start = min((n for c in "{[" if (n := text.find(c, at)) >= 0), default=-1)
        if start < 0 or len(out) > _PIECES:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            out.append(text[at : start + 1])
            at = start + 1
            continue
        found = found or _has_keys(value)
        out += [text[at:start], json.dumps(value, sort_keys=True)]
        at = end
    return "".join([*out, text[at:]]) if found else None


_PIECES: Final = 2000


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
    yield _items(re.split(r"(?<=[.!?;])\s+", text))
    yield _items(re.split(r"\s*[,;|]\s*|\n|:\s", text))
    yield _items(re.split(r"[\s,;|()\[\]{}'\"]+", text))


def _items(pieces: list[str]) -> list[str]:
    return [bare for piece in pieces if (bare := _BULLET.sub("", piece).strip(" \t\n.,;'\""))]


def _masked(pattern: re.Pattern[str]) -> Callable[[str, str], bool]:
    def same(before: str, after: str) -> bool:
        one, other = pattern.sub("\0", before), pattern.sub("\0", after)
        return one == other and "\0" in one

    return same


def _counted(before: str, after: str) -> bool:
    """A number that counts: it went one further, or says what it counts."""
    if not _masked(_NUMBER)(before, after):
        return False
    pairs = zip(_NUMBER.finditer(before), _NUMBER.finditer(after), strict=True)
    changed = [(a, b) for a, b in pairs if a.group() != b.group()]
    return all(_counts(before, a, b) for a, b in changed)


def _counts(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    near = text[max(0, one.start() - _LABEL) : one.end() + _LABEL]
    step = abs(int(one.group()[-18:]) - int(other.group()[-18:]))
    return step == 1 or _COUNTING.search(near) is not None


_LABEL: Final = 28
_COUNTING: Final = re.compile(
    r"\b(?:step|turn|round|request|attempt|iteration|message|call|page|part|run|try|retry|index|"
    r"counter|count|no|nr|number|left|remaining|used|so far|budget|elapsed|uptime|build|"
    r"revision|version|seed)\b|#|\d\s*/\s*\d",
    re.IGNORECASE,
)


_CHECKS: Final[tuple[tuple[Kind, Callable[[str, str], bool]], ...]] = (
    ("invisible", _invisible),
    ("whitespace", _whitespace),
    ("key_order", _key_order),
    ("timestamp", _masked(_STAMP)),
    ("random_id", _masked(_ID)),
    ("counter", _counted),
    ("order", _order),
)


def _lines_at(before: str, after: str, offset: int) -> tuple[str, str]:
    """The line in which two texts first differ, with what stands in it."""
    start = before.rfind("\n", 0, offset) + 1
    ends = [text.find("\n", offset) for text in (before, after)]
    one, other = (
        text[start : end if end >= 0 else len(text)]
        for text, end in zip((before, after), ends, strict=True)
    )
    return one, other
