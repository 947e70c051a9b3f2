"""Hoisting: the texts that several conversations carry verbatim, found without being named.

Pure; texts in, texts out. What is found is exact: every character of it stands in at least two of
the conversations, in the same order.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from agentcache.blocks import estimate_tokens
from agentcache.rules import Rule

__all__ = ["MIN_TOKENS", "pays", "shared_texts"]

MIN_TOKENS: Final = 64
"""Shorter texts stay where they are: the reference that replaces one costs about a dozen tokens."""
_WRAPPING: Final = 16
_REFERENCE: Final = 12
_CANDIDATES: Final = 8
_LONG: Final = 400
_HEADING: Final = 120
_RUNS: Final = 200
_MIN_CHARS: Final = MIN_TOKENS  # a token is at least a character
_STOPS: Final = r"\n.!?;\u3002\uff01\uff1f\uff1b"
_PAUSES: Final = r",:{}\[\]|\uff0c\u3001\uff1a"
_SENTENCE: Final = re.compile(rf"[^{_STOPS}]*[{_STOPS}]+\s*|[^{_STOPS}]+")
_CLAUSE: Final = re.compile(rf"[^{_PAUSES}]*[{_PAUSES}]+\s*|[^{_PAUSES}]+")

Talk = Sequence[str]
_Place = tuple[Sequence[str], int]


def pays(rule: Rule, tokens: int, uses: int, dues: int = 0) -> bool:
    """Whether a text of that many tokens, carried by `uses` conversations, is cheaper shared.

    Shared, it is written once and read by all others; left where it is, each pays for it in full.
    Each pays `dues` tokens besides. Where nothing is billed, what is read costs nothing.
    """
    read = rule.read_multiplier if rule.billed else 0.0
    saved = (uses - 1) * (1.0 - read) - (rule.ttl.write_multiplier - 1.0)
    return tokens >= MIN_TOKENS and saved * tokens > _WRAPPING + (_REFERENCE + dues) * uses


def shared_texts(talks: Iterable[Talk]) -> tuple[str, ...]:
    """Find the long texts that at least two conversations carry, each a list of its own texts.

    None of the texts found contains another, and none begins or ends within a word. The one that
    most conversations carry comes first, then the one that comes first.

    >>> brief = "The committee met. " + "It decided what it had decided before. " * 20
    >>> shared_texts([[f"{brief}Find facts."], [f"Use this: {brief}Write."]]) == (brief.strip(),)
    True
    """
    every = [tuple(t for t in talk if len(t) >= _MIN_CHARS) for talk in talks]
    runs = sorted(dict.fromkeys(_runs(every)), key=len, reverse=True)[:_RUNS]
    found = _apart((*runs, *_runs([(run,) for run in runs])))  # where two runs overlap, cut them
    carriers = {run: sum(any(run in text for text in talk) for talk in every) for run in found}
    wanted = [r for r in found if carriers[r] > 1 and estimate_tokens(r) >= MIN_TOKENS]
    whole = "\n".join(chain.from_iterable(every))
    return tuple(sorted(wanted, key=lambda run: (-carriers[run], whole.index(run))))


def _runs(talks: Sequence[Talk]) -> Iterator[str]:
    """The longest common runs of each conversation with those before it."""
    index: defaultdict[str, list[_Place]] = defaultdict(list)
    for talk in talks:
        mine = [_units(text) for text in talk]
        for units in mine:
            yield from _common(units, index)
        for units in mine:  # not before: a conversation shares nothing with itself
            for position, unit in enumerate(units):
                if len(index[unit]) < _CANDIDATES:
                    index[unit].append((units, position))


def _units(text: str) -> list[str]:
    """Cut a text into sentences, and long ones into clauses. Joined, they are the text."""
    sentences: list[str] = _SENTENCE.findall(text)
    return list(
        chain.from_iterable(_CLAUSE.findall(s) if len(s) > _LONG else (s,) for s in sentences)
    )


def _common(units: Sequence[str], index: Mapping[str, Sequence[_Place]]) -> Iterator[str]:
    """Runs of units that stand in an earlier text too, each as long as can be."""
    start = 0
    while start < len(units):
        places = [(_length(units, start, *at), at) for at in index.get(units[start], ())]
        count, at = max(places, key=lambda place: place[0], default=(0, None))
        if at is not None:
            run = _widened(units, start, *at, count).strip()
            if len(run) >= _MIN_CHARS:
                yield run
        start += max(count, 1)


def _length(units: Sequence[str], start: int, others: Sequence[str], at: int) -> int:
    """How many units the two have in common from here."""
    count, limit = 0, min(len(units) - start, len(others) - at)
    while count < limit and units[start + count] == others[at + count]:
        count += 1
    return count


def _widened(units: Sequence[str], start: int, others: Sequence[str], at: int, count: int) -> str:
    """The run, and what the neighbouring pieces have in common and may be cut.

    It may begin in the middle of a piece, after a label such as `Brief:`, and it ends where a
    sentence or a paragraph does: what follows belongs to the task.
    """
    end, other = start + count, at + count
    run = "".join(units[start:end])
    if start and at:
        run = _shared_ending(units[start - 1], others[at - 1]) + run
    if end == len(units) or other == len(others):
        return run
    if units[end].strip() == others[other].strip():  # the last of one text
        return run + units[end].strip()
    more = _beginning(units[end], others[other])
    return run + more[: more.rfind(" ")] if len(more) > _LONG else _without_heading(run)


def _shared_ending(a: str, b: str) -> str:
    """How both end: one of them whole, or what follows a label, a bracket or a quote in both."""
    short, long = sorted((a, b), key=len)
    if long.endswith(short) and not long[: -len(short)][-1:].isalnum():
        return short
    alike = _beginning(a[::-1], b[::-1])[::-1]
    found = re.search(r"[:;,(\[{<\"'`]\s*", alike)
    return alike[found.end() :] if found else ""


def _beginning(a: str, b: str) -> str:
    return os.path.commonprefix((a, b))  # noqa: RUF071 - of texts, not of paths


def _without_heading(run: str) -> str:
    """The run without a last short paragraph or line that leads over to what follows."""
    head, _, last = run.rpartition("\n\n")
    if head and last.strip() and len(last) < _HEADING:
        run = head
    end = len(run.rstrip())
    while end and run[end - 1] == ":":
        end = run.rfind("\n", 0, end) + 1
        while end and run[end - 1].isspace():
            end -= 1
    return run[:end] or run


def _apart(runs: Iterable[str]) -> tuple[str, ...]:
    """Cut each run at the shorter ones it contains, so that none contains another."""
    pieces: dict[str, None] = {}
    for run in sorted(dict.fromkeys(runs), key=len):
        inner = sorted((p for p in pieces if p in run), key=len, reverse=True)
        rest = re.split("|".join(map(re.escape, inner)), run) if inner else [run]
        pieces.update(dict.fromkeys(t for part in rest if len(t := part.strip()) >= _MIN_CHARS))
    return tuple(pieces)
