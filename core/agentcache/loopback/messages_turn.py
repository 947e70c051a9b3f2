"""Read from a request of this API what a script needs to know."""

from typing import Any

from agentcache.loopback.tool_changes import offered_tools
from agentcache.loopback.values import Said, Tool, ToolResult, Turn
from agentcache.loopback.wire import Refusal, entries, mapping, text_in

__all__ = ["messages_turn"]


def messages_turn(body: dict[str, Any], model: str) -> Turn:
    """Read what a script needs to know."""
    system = text_in(body.get("system"))
    said = [Said("system", system)] if system else []
    results: list[ToolResult] = []
    for message in map(mapping, entries(body.get("messages"))):
        for each in _said(message):
            if isinstance(each, ToolResult):
                results.append(each)
                said.append(Said("tool", each.text))
                continue
            if each.role == "user" and not (said and said[-1].role == "tool"):
                results = []
            said.append(each)
    offered = tuple(
        Tool(str(tool["name"]), mapping(tool.get("input_schema"))) for tool in offered_tools(body)
    )
    names = tuple(tool.name for tool in offered)
    choice = mapping(body.get("tool_choice"))
    kind = choice.get("type")
    if kind == "tool" and choice.get("name") not in names:
        raise Refusal(f"Tool '{choice.get('name')}' not found in provided tools")
    forced = {"any": "", "tool": str(choice.get("name"))}.get(str(kind))
    config = mapping(mapping(body.get("output_config")).get("format") or body.get("output_format"))
    schema = mapping(config.get("schema")) or None
    callable_tools = () if kind == "none" else names
    return Turn(
        "anthropic.messages",
        model,
        tuple(said),
        offered,
        callable_tools,
        forced,
        tuple(results),
        schema,
        body,
    )


def _said(message: dict[str, Any]) -> list[Said | ToolResult]:
    role, content = str(message.get("role")), message.get("content")
    if isinstance(content, str):
        return [Said(role, content)]
    found: list[Said | ToolResult] = []
    for part in map(mapping, entries(content)):
        if part.get("type") == "tool_result":
            found.append(ToolResult(str(part.get("tool_use_id")), text_in(part.get("content"))))
        elif part.get("type") == "text":
            found.append(Said(role, str(part.get("text") or "")))
    return found or [Said(role, "")]
