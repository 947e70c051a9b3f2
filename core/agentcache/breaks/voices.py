"""Whether two system texts are one agent's: they differ in times, ids or order alone."""

from typing import Final

from agentcache.breaks.texts import change_of

__all__ = ["same_voice"]

_SHUFFLED: Final = ("invisible", "whitespace", "key_order", "order")
_GROWN: Final = 200


def same_voice(one: str, other: str) -> bool:
    """Whether one agent said both: what differs changes by itself, with the clock or the run."""
    longer = max(len(one), len(other))
    if abs(len(one) - len(other)) > _GROWN + longer // 8:
        return False
    change = change_of(one, other)
    if change is None or change.kind in _SHUFFLED:
        return True
    old, new = one.splitlines(), other.splitlines()
    return len(old) == len(new) and all(map(_is_volatile, old, new))


def _is_volatile(one: str, other: str) -> bool:
    change = change_of(one, other)
    return change is None or change.kind in (*_SHUFFLED, "timestamp", "random_id")
