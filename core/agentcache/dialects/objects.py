"""What an SDK is given, as the JSON that it sends."""

from typing import Any, Final

from agentcache.dialects.base import is_json, is_list

__all__ = ["as_json", "is_omitted"]

_SDKS: Final = ("openai.", "anthropic.", "openai", "anthropic")


def is_omitted(value: object) -> bool:
    """Whether this is an SDK's way of saying nothing."""
    kind = type(value)
    return kind.__name__ in ("NotGiven", "Omit") and kind.__module__.startswith(_SDKS)


def as_json(value: Any) -> Any:
    """A value as the SDK sends it: its own objects as JSON. What is JSON already stays itself."""
    if is_json(value):
        made = {k: as_json(v) for k, v in value.items() if not is_omitted(v)}
        same = len(made) == len(value) and all(made[k] is v for k, v in value.items())
        return value if same else made
    if is_list(value):
        items = [as_json(v) for v in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    return dump(mode="json", exclude_unset=True) if callable(dump) else value
