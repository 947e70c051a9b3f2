"""What the marks of two requests say: whether the later one can find what the earlier one wrote."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentcache.blocks import Block
from agentcache.breaks.found import Found, short
from agentcache.dialects import Dialect
from agentcache.dialects.base import is_json
from agentcache.rules import Rule

__all__ = ["in_marks", "only_marked"]

_ANY: Final = 10_000
_OPTIONS: Final = "prompt_cache_options"

Requests = tuple[Mapping[str, Any], Mapping[str, Any]]


def in_marks(
    wire: Dialect, rule: Rule, requests: Requests, before: Sequence[Block], after: Sequence[Block]
) -> Found | None:
    """Why an unmoved prefix is not read, as far as marks tell; None if they allow it.

    `before` and `after` are all blocks of both requests that render, in order.
    """
    tier = _tier(wire, rule, requests, before, after)
    if not rule.marks:
        return tier
    return (
        _too_many(wire, rule, requests[1], after)
        or tier
        or _unread(wire, rule, requests, (before, after))
    )


def only_marked(request: Mapping[str, Any]) -> bool:
    """Whether a request asks for no breakpoint but its own."""
    options: Any = request.get(_OPTIONS)
    return is_json(options) and options.get("mode") == "explicit"


def _too_many(
    wire: Dialect, rule: Rule, request: Mapping[str, Any], blocks: Sequence[Block]
) -> Found | None:
    marked = [n for n, block in enumerate(blocks) if block.mark]
    count = len(marked) + (wire.mark_key in request)
    if not 0 < rule.marks_max < count:
        return None
    path = blocks[marked[min(rule.marks_max, len(marked) - 1)]].path
    note = f"{count} marks, {rule.marks_max} are allowed."
    return Found("too_many_marks", "marks", path, note=note)


def _unread(
    wire: Dialect,
    rule: Rule,
    requests: Requests,
    blocks: tuple[Sequence[Block], Sequence[Block]],
) -> Found | None:
    before, after = blocks
    shared = _shared(before, after)
    written = [n for n in _ends(wire, rule, requests[0], before) if n < shared]
    found = _ends(wire, rule, requests[1], after)
    if rule.matching != "breakpoint" or not shared:
        return None
    if not written:
        return Found("mark_missing", "marks", before[shared - 1].path)
    last, reach = written[-1], rule.lookback or _ANY
    read = [n for n in written if _is_found(wire, after, n, found, reach)]
    ahead = [n for n in found if n >= last]
    if last in read:
        return None
    kept = read[-1] + 1 if read else 0
    if ahead and not _inside(wire, after, last):
        note = f"{ahead[0] - last} blocks lie between; a read looks back {reach}."
        return Found("lookback_exceeded", "marks", after[ahead[0]].path, note=note, kept=kept)
    if not ahead and found and found[-1] < last:
        sides = (before[last].path, after[found[-1]].path)
        return Found("mark_moved_back", "marks", after[found[-1]].path, None, *sides, kept=kept)
    return Found("mark_missing", "marks", after[last].path, kept=kept)


def _is_found(
    wire: Dialect, blocks: Sequence[Block], at: int, marks: Sequence[int], reach: int
) -> bool:
    """Whether one of the marks finds what was written here."""
    ahead = next((n for n in marks if n >= at), None)
    return ahead is not None and (ahead == at or _reaches(wire, blocks, at, ahead, reach))


def _inside(wire: Dialect, blocks: Sequence[Block], at: int) -> bool:
    """Whether a place is inside a message, where OpenAI's API looks only if it is marked."""
    rest = blocks[at + 1 : at + 2]
    here = blocks[at].path.partition(".")[0]
    by_message = wire.mark_key == "prompt_cache_breakpoint"
    return by_message and bool(rest) and rest[0].path.partition(".")[0] == here


def _reaches(wire: Dialect, blocks: Sequence[Block], at: int, mark: int, reach: int) -> bool:
    """Whether a look from a mark finds what ends there: so many blocks back, or messages."""
    if wire.mark_key != "prompt_cache_breakpoint":
        return mark - at <= reach
    passed = {block.path.partition(".")[0] for block in blocks[at + 1 : mark + 1]}
    return not _inside(wire, blocks, at) and len(passed) <= reach


def _ends(
    wire: Dialect, rule: Rule, request: Mapping[str, Any], blocks: Sequence[Block]
) -> list[int]:
    """Where a request writes, or looks for what was written."""
    marked = [n for n, block in enumerate(blocks) if block.mark]
    automatic = rule.automatic and not only_marked(request)
    if blocks and (automatic or wire.mark_key in request):
        marked.append(len(blocks) - 1)
    return list(dict.fromkeys(marked))


def _shared(before: Sequence[Block], after: Sequence[Block]) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    short_one = min(len(before), len(after))
    return next((n for n, (a, b) in pairs if a.identity != b.identity), short_one)


def _tier(
    wire: Dialect, rule: Rule, requests: Requests, before: Sequence[Block], after: Sequence[Block]
) -> Found | None:
    """A lifetime that another one is asked for: of a mark at one place, or of all."""
    for name in (_OPTIONS, wire.mark_key):
        if name in rule.freeze or (name == wire.mark_key and rule.marks):
            old, new = (_asked(rule, request.get(name)) for request in requests)
            if old != new:
                return Found("ttl_tier", "marks", name, None, old, new)
    for one, other in zip(before, after, strict=False):
        if one.identity != other.identity or not rule.marks:
            break
        if one.mark and other.mark and _ttl(rule, one.mark) != _ttl(rule, other.mark):
            sides = (_ttl(rule, one.mark), _ttl(rule, other.mark))
            return Found("ttl_tier", "marks", other.path, None, *sides)
    return None


def _ttl(rule: Rule, mark: str) -> str:
    return _asked(rule, json.loads(mark)[1])


def _asked(rule: Rule, value: Any) -> str:
    """Name of the lifetime that is asked for, be it the usual one."""
    ttl: Any = value.get("ttl") if is_json(value) else None
    return short(ttl) or rule.ttl.name
