"""Requests that cannot be sent as JSON, made such that they can be compared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from agentcache.dialects.base import is_list

__all__ = ["plain"]

_DEPTH: Final = 100
_LONG: Final = 10**300
_VALUES: Final = 200_000


def plain(request: Any) -> dict[str, Any]:
    """A request with what is no JSON named by its type, and what lies too deep left out.

    Tools, system text and messages of no known shape are none.
    """
    found = _plain(request, _DEPTH, [_VALUES])
    held = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    return {k: _shaped(k, v) for k, v in held.items()}


def _shaped(key: str, value: Any) -> Any:
    if key in ("tools", "messages"):
        return value if is_list(value) else []
    if key in ("system", "input"):
        return value if isinstance(value, str) or is_list(value) else []
    return value


def _plain(value: Any, deep: int, left: list[int]) -> Any:
    left[0] -= 1
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if deep == 0 or left[0] < 0:
        return "..."
    if isinstance(value, Mapping):
        rows = cast("Iterable[tuple[Any, Any]]", value.items())
        return {_key(k): _plain(v, deep - 1, left) for k, v in rows}
    if isinstance(value, list | tuple):
        return [_plain(v, deep - 1, left) for v in cast("Sequence[Any]", value)]
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _number(value: float) -> float | str:
    if isinstance(value, int):
        return value if abs(value) < _LONG else hex(value)
    return value if value - value == 0 else str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else f"<{type(key).__qualname__} {hash(key)}>"
