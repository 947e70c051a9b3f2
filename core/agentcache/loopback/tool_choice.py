"""Which tools an OpenAI request leaves callable."""

from typing import Any

from agentcache.loopback.wire import Refusal, entries, mapping

__all__ = ["tool_choice"]


def tool_choice(
    asked: object, names: list[str], *, nested: bool
) -> tuple[tuple[str, ...], str | None]:
    """Return the callable names and the forced one ("" is any, None is none).

    Chat Completions nests what Responses keeps flat (`nested`); the other shape is
    refused, as is a name that is not offered.
    """
    if asked == "none":
        return (), None
    if asked == "required":
        return tuple(names), ""
    found = mapping(asked)
    kind = found.get("type")
    if kind == "function":
        return tuple(names), _name(found, names, nested=nested)
    if kind != "allowed_tools":
        return tuple(names), None
    allowed = mapping(found.get("allowed_tools")) if nested else found
    if "tools" not in allowed:
        where = "tool_choice.allowed_tools" if nested else "tool_choice.tools"
        raise Refusal(f"Missing required parameter: '{where}'.", param=where)
    kept = [_name(mapping(tool), names, nested=nested) for tool in entries(allowed["tools"])]
    callable_tools = tuple(name for name in names if name in kept)
    return callable_tools, "" if allowed.get("mode") == "required" else None


def _name(tool: dict[str, Any], names: list[str], *, nested: bool) -> str:
    name = (mapping(tool.get("function")) if nested else tool).get("name")
    if name not in names:
        raise Refusal(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    return str(name)
