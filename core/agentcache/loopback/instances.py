"""The smallest JSON value that a JSON schema accepts."""

from collections.abc import Mapping
from typing import Any

from agentcache.loopback.wire import entries, mapping

__all__ = ["instance"]

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "a@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
}
_DEEPEST = 12


def instance(schema: Mapping[str, Any], name: str = "text") -> Any:
    """Return a minimal valid instance; texts are the name of their property.

    Patterns are not solved. Raises nothing: what cannot be satisfied comes back as None.

    >>> instance({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]})
    {'q': 'q'}
    """
    return _of(dict(schema), dict(schema), name, 0)


def _of(schema: dict[str, Any], root: dict[str, Any], name: str, depth: int) -> Any:
    if depth > _DEEPEST:
        return None
    stated = [schema[key] for key in ("const", "default") if key in schema]
    stated += entries(schema.get("enum"))
    if stated:
        return stated[0]
    inner = _inner(schema, root, depth)
    if inner is not None:
        return _of(inner, root, name, depth + 1)
    return _typed(schema, root, name, depth)


def _inner(schema: dict[str, Any], root: dict[str, Any], depth: int) -> dict[str, Any] | None:
    """Return the schema to satisfy instead of one that only points to others."""
    if "$ref" in schema:
        return _resolve(schema["$ref"], root)
    if "allOf" in schema:
        return _merged(schema, root)
    choices = [mapping(choice) for key in ("anyOf", "oneOf") for choice in entries(schema.get(key))]
    # Deep down, a null ends a schema that contains itself.
    nulls = [choice for choice in choices if choice.get("type") == "null"]
    chosen = nulls if nulls and depth > _DEEPEST // 2 else choices
    return chosen[0] if chosen else None


def _typed(schema: dict[str, Any], root: dict[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type")
    kind = next(iter(entries(kind)), kind)
    if kind == "object" or (kind is None and "properties" in schema):
        known = mapping(schema.get("properties"))
        return {
            key: _of(mapping(known.get(key)), root, str(key), depth + 1)
            for key in entries(schema.get("required"))
        }
    if kind == "array":
        inner = mapping(schema.get("items"))
        return [_of(inner, root, name, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return {"boolean": True, "null": None}.get(str(kind), _text(schema, name))


def _number(schema: dict[str, Any], *, whole: bool) -> Any:
    least = schema.get("minimum", 0)
    if "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + (1 if whole else 0.5)
    most = schema.get("maximum", least)
    return (
        min(least, most) if "minimum" not in schema and "exclusiveMinimum" not in schema else least
    )


def _text(schema: dict[str, Any], name: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), name)
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def _resolve(ref: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        if step:
            found = mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
    return mapping(found)


def _merged(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in map(mapping, entries(schema["allOf"])):
        whole = _resolve(part["$ref"], root) if "$ref" in part else part
        properties = {**mapping(merged.get("properties")), **mapping(whole.get("properties"))}
        required = [*entries(merged.get("required")), *entries(whole.get("required"))]
        merged = {**merged, **whole, "properties": properties, "required": required}
    return merged
