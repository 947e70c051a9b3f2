"""A change found in a request, before it is priced: what `CacheBreak` says of the place."""

from dataclasses import dataclass
from typing import Any, Literal

from agentcache.blocks import dumps
from agentcache.breaks.leaves import Leaf, same_but_order
from agentcache.breaks.texts import change_of
from agentcache.breaks.values import Kind, Relation, Where

__all__ = ["Found", "of_leaf", "short"]

_SHORT = 80


@dataclass(frozen=True, slots=True)
class Found:
    """Where a prefix moved; of what did not, `kept` blocks in front can still be read."""

    kind: Kind
    section: Where
    path: str
    offset: int | None = None
    before: str = ""
    after: str = ""
    relation: Relation = "follows"
    level: Literal["all", "messages"] = "all"
    note: str = ""
    kept: int = 0


def of_leaf(
    leaf: Leaf, section: Where, path: str, otherwise: Kind, *, text_as: Kind | None = None
) -> Found:
    """A change at a leaf: what happened to its text, or `otherwise`.

    `text_as` names a text that was edited in no way of its own.
    """
    where = (
        f"{path}.{leaf.path}" if leaf.path and not leaf.path.startswith("[") else path + leaf.path
    )
    if leaf.nature == "order":
        sides = (short(list(leaf.before)), short(list(leaf.after)))
        return Found("key_order", section, where, None, *sides)
    if leaf.nature == "shuffled":
        return Found("order", section, where, None, short(leaf.before), short(leaf.after))
    if isinstance(leaf.before, str) and isinstance(leaf.after, str):
        change = change_of(leaf.before, leaf.after, text_as or otherwise)
        if change is not None:
            return Found(change.kind, section, where, change.offset, change.before, change.after)
    kind: Kind = "key_order" if same_but_order(leaf.before, leaf.after) else otherwise
    return Found(kind, section, where, None, short(leaf.before), short(leaf.after))


def short(value: Any) -> str:
    """A value as a short text."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else dumps(value)
    return text if len(text) <= _SHORT else text[: _SHORT - 3] + "..."
