"""What the marks of two requests say: whether the later one can find what the earlier one wrote."""

import json
from collections.abc import Sequence
from typing import Any, Final

from agentcache.blocks import Block
from agentcache.breaks.found import Found
from agentcache.rules import Rule

__all__ = ["in_marks"]

_ANY: Final = 10_000


def in_marks(rule: Rule, before: Sequence[Block], after: Sequence[Block]) -> Found | None:
    """Why an unmoved prefix is not read, as far as marks tell; None if they allow it.

    Both are all blocks of a request, in order, of which the later ones begin as the earlier ones.
    """
    if not rule.marks:
        return None
    one, other = _marked(before), _marked(after)
    shared = _shared(before, after)
    if 0 < rule.marks_max < len(other):
        path = after[other[rule.marks_max]].path
        note = f"{len(other)} marks, {rule.marks_max} are allowed."
        return Found("too_many_marks", "marks", path, None, "", "", note=note)
    tier = _tier(before, after, shared)
    if tier is not None:
        return tier
    if rule.automatic and (not one or not other):
        return None
    return _unread(rule, before, after, shared)


def _unread(
    rule: Rule, before: Sequence[Block], after: Sequence[Block], shared: int
) -> Found | None:
    one = [n for n in _marked(before) if n < shared]
    other = _marked(after)
    if not one and not rule.automatic:
        at = before[min(shared, len(before)) - 1] if shared else None
        return Found("mark_missing", "marks", at.path if at else "")
    if not one or any(n in other for n in one[-1:]):
        return None
    if not other:
        return Found("mark_missing", "marks", after[one[-1]].path)
    ahead = [n for n in other if n > one[-1]]
    if not ahead:
        sides = (before[one[-1]].path, after[other[-1]].path)
        return Found("mark_moved_back", "marks", after[other[-1]].path, None, *sides)
    reach = rule.lookback or _ANY
    if ahead[0] - one[-1] <= reach or any(n in other for n in one):
        return None
    note = f"{ahead[0] - one[-1]} blocks lie between; a read looks back {reach}."
    return Found("lookback_exceeded", "marks", after[ahead[0]].path, note=note)


def _marked(blocks: Sequence[Block]) -> list[int]:
    return [n for n, block in enumerate(blocks) if block.mark]


def _shared(before: Sequence[Block], after: Sequence[Block]) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    short = min(len(before), len(after))
    return next((n for n, (a, b) in pairs if a.identity != b.identity), short)


def _tier(before: Sequence[Block], after: Sequence[Block], shared: int) -> Found | None:
    """A mark at one place that asks for another lifetime."""
    for one, other in zip(before[:shared], after[:shared], strict=True):
        if one.mark and other.mark:
            old, new = _ttl(one.mark), _ttl(other.mark)
            if old != new:
                return Found("ttl_tier", "marks", other.path, None, old, new)
    return None


def _ttl(mark: str) -> str:
    value: Any = json.loads(mark)[1]
    return str(value.get("ttl", "default")) if isinstance(value, dict) else "default"  # pyright: ignore[reportUnknownMemberType]
