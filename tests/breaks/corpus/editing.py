"""How a request is changed in one place; every function returns a request of its own."""

import copy
from typing import Any

Json = dict[str, Any]
Key = str | int


def _holder(request: Json, keys: tuple[Key, ...]) -> Any:
    found: Any = request
    for key in keys[:-1]:
        found = found[key]
    return found


def put(request: Json, *keys: Key, value: Any) -> Json:
    """Set the value at a place: put(r, "messages", 3, "content", value="...")."""
    out = copy.deepcopy(request)
    _holder(out, keys)[keys[-1]] = copy.deepcopy(value)
    return out


def edit(request: Json, *keys: Key, old: str, new: str) -> Json:
    """Replace a text that occurs exactly once in the text at a place."""
    out = copy.deepcopy(request)
    holder = _holder(out, keys)
    assert holder[keys[-1]].count(old) == 1, (old, holder[keys[-1]])
    holder[keys[-1]] = holder[keys[-1]].replace(old, new)
    return out


def cut(request: Json, *keys: Key) -> Json:
    """Take out what is at a place."""
    out = copy.deepcopy(request)
    del _holder(out, keys)[keys[-1]]
    return out


def add(request: Json, *keys: Key, value: Any) -> Json:
    """Insert a value into a list, in front of the place named."""
    out = copy.deepcopy(request)
    _holder(out, keys).insert(keys[-1], copy.deepcopy(value))
    return out


def pick(request: Json, *keys: Key, order: tuple[Key, ...]) -> Json:
    """Reorder what is at a place: the indices of a list, or the keys of an object."""
    out = copy.deepcopy(request)
    held = _holder(out, keys)[keys[-1]]
    chosen = {key: held[key] for key in order}
    assert len(chosen) == len(held), order
    _holder(out, keys)[keys[-1]] = list(chosen.values()) if isinstance(held, list) else chosen
    return out


def within(request: Json, **params: Any) -> Json:
    """Set top-level parameters."""
    return {**copy.deepcopy(request), **copy.deepcopy(params)}


def both(was: Json, now: Json, *keys: Key, a: Any, b: Any) -> tuple[Json, Json]:
    """Two requests with a value each at the same place."""
    return put(was, *keys, value=a), put(now, *keys, value=b)
