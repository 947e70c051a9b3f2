"""What happened to a list of tools."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agentcache.blocks import dumps
from agentcache.breaks.found import Found, of_leaf, short
from agentcache.breaks.leaves import first_leaf, same_but_order
from agentcache.breaks.values import Kind
from agentcache.dialects import Dialect
from agentcache.dialects.base import is_json, strip_marks

__all__ = ["in_tools"]


def in_tools(wire: Dialect, before: Sequence[Any], after: Sequence[Any]) -> Found | None:
    """The first change in the tools, in the order they are sent; None if there is none."""
    one = [strip_marks(tool, wire.mark_key)[0] for tool in before]
    other = [strip_marks(tool, wire.mark_key)[0] for tool in after]
    at = _first_difference(one, other)
    if at is None:
        return None
    names, others = [_name(wire, t) for t in one], [_name(wire, t) for t in other]
    if at < min(len(one), len(other)) and names[at] == others[at]:
        return _in_one(at, one[at], other[at])
    if not other:
        return Found("tool_removed", "tools", "tools", None, ", ".join(names), "")
    if not one:
        return Found("tool_added", "tools", "tools", None, "", ", ".join(others))
    if sorted(names) == sorted(others):
        return Found(
            "order", "tools", f"tools[{at}]", None, ", ".join(names[at:]), ", ".join(others[at:])
        )
    return _in_names(at, one, other, names, others)


def _first_difference(one: Sequence[Any], other: Sequence[Any]) -> int | None:
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if dumps(a) != dumps(b):
            return n
    return None if len(one) == len(other) else min(len(one), len(other))


def _name(wire: Dialect, tool: Any) -> str:
    return wire.tool_name(tool) if is_json(tool) else dumps(tool)


def _in_names(
    at: int, one: list[Any], other: list[Any], names: list[str], others: list[str]
) -> Found:
    gone = list((Counter(names) - Counter(others)).elements())
    new = list((Counter(others) - Counter(names)).elements())
    if gone and new and at < min(len(one), len(other)):
        old, now = names[at], others[at]
        if old in gone and now in new and _alike(one[at], other[at], old, now):
            return Found("tool_renamed", "tools", f"tools[{at}]", None, old, now)
    if new and (not gone or at >= len(one) or (at < len(other) and others[at] in new)):
        n = others.index(new[0])
        return Found("tool_added", "tools", f"tools[{n}]", None, "", new[0])
    if gone:
        return Found("tool_removed", "tools", f"tools[{names.index(gone[0])}]", None, gone[0], "")
    return Found("order", "tools", f"tools[{at}]", None, ", ".join(names), ", ".join(others))


def _alike(one: Any, other: Any, old: str, now: str) -> bool:
    """Whether two tools differ in their name alone, which may stand in their text too."""
    quoted = (f'"name":{dumps(name)}' for name in (old, now))
    bare = [
        dumps(tool).replace(text, "", 1) for tool, text in zip((one, other), quoted, strict=True)
    ]
    return bare[0] == bare[1] or bare[0].replace(old, "\0") == bare[1].replace(now, "\0")


def _in_one(at: int, one: Any, other: Any) -> Found:
    path = f"tools[{at}]"
    leaf = first_leaf(one, other)
    if leaf is None or not leaf.path:
        kind: Kind = "key_order" if same_but_order(one, other) else "tool_schema"
        return Found(kind, "tools", path, None, short(one), short(other))
    top = leaf.path.removeprefix("function.").removeprefix("toolSpec.")
    if top == "description":
        return of_leaf(leaf, "tools", path, "tool_description", text_as="tool_description")
    found = of_leaf(leaf, "tools", path, "tool_schema", text_as="tool_schema")
    if found.kind == "counter" and not top.endswith(("description", "title", "default")):
        return replace(found, kind="tool_schema")
    return found
