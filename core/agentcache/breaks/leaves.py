"""The first place at which two JSON values differ, in the order in which they are sent."""

from dataclasses import dataclass
from typing import Any, Literal

from agentcache.blocks import dumps
from agentcache.dialects.base import is_json, is_list

__all__ = ["Leaf", "first_leaf", "same", "same_but_order"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where two values first differ: the `path` to it, and what stands there in each.

    `nature`: a `value` changed, something was `added` or `removed`, only the `order` of keys
    changed, or a list was `shuffled`.
    """

    path: str
    before: Any
    after: Any
    nature: Literal["value", "added", "removed", "order", "shuffled"]


def first_leaf(before: Any, after: Any, path: str = "") -> Leaf | None:
    """The first difference; None if both are sent as the same bytes.

    What came or went is placed in the object or list that it came into.
    """
    if same(before, after):
        return None
    if is_json(before) and is_json(after):
        return _in_objects(before, after, path)
    if is_list(before) and is_list(after):
        return _in_lists(before, after, path)
    return Leaf(path, before, after, "value")


def same(before: Any, after: Any) -> bool:
    """Whether two values are sent as the same bytes."""
    if isinstance(before, str) and isinstance(after, str):
        return before == after
    if is_json(before) and is_json(after):
        return list(before) == list(after) and all(same(v, after[k]) for k, v in before.items())
    if is_list(before) and is_list(after):
        return len(before) == len(after) and all(map(same, before, after))
    return dumps(before) == dumps(after)


def same_but_order(before: Any, after: Any) -> bool:
    """Whether two values differ in the order of keys alone."""
    return dumps(_sorted(before)) == dumps(_sorted(after))


def _sorted(value: Any) -> Any:
    if is_json(value):
        return {"{}": sorted((str(k), dumps(_sorted(v))) for k, v in value.items())}
    return [_sorted(each) for each in value] if is_list(value) else value


def _in_objects(before: dict[str, Any], after: dict[str, Any], path: str) -> Leaf | None:
    if set(before) == set(after) and list(before) != list(after):
        moved = [k for k in before if not same(before[k], after[k])]
        if all(same_but_order(before[k], after[k]) for k in moved):
            return Leaf(path, before, after, "order")
    for key in [*before, *(k for k in after if k not in before)]:
        here = f"{path}.{key}" if path else str(key)
        if key not in after:
            return Leaf(path, before[key], None, "removed")
        if key not in before:
            return Leaf(path, None, after[key], "added")
        found = first_leaf(before[key], after[key], here)
        if found is not None:
            return found
    return Leaf(path, before, after, "order")


def _in_lists(before: list[Any], after: list[Any], path: str) -> Leaf | None:
    texts, others = [dumps(v) for v in before], [dumps(v) for v in after]
    if sorted(texts) == sorted(others):
        return Leaf(path, before, after, "shuffled")
    for n, (one, other) in enumerate(zip(before, after, strict=False)):
        found = first_leaf(one, other, f"{path}[{n}]")
        if found is not None:
            short = len(before) != len(after)
            return Leaf(path, before, after, "value") if short else found
    if len(before) < len(after):
        return Leaf(path, None, after[len(before)], "added")
    return Leaf(path, before[len(after)], None, "removed")
