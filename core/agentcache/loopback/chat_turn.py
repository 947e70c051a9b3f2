"""Read from a request of this API what a script needs to know."""

from typing import Any

from agentcache.loopback.chat_request import KINDS, output_schema
from agentcache.loopback.tool_choice import tool_choice
from agentcache.loopback.values import Said, Tool, ToolResult, Turn
from agentcache.loopback.wire import entries, mapping, text_in

__all__ = ["chat_turn"]


def chat_turn(body: dict[str, Any], model: str) -> Turn:
    """Read what a script needs to know."""
    said: list[Said] = []
    results: list[ToolResult] = []
    for message in map(mapping, entries(body.get("messages"))):
        role = KINDS.get(str(message.get("role")), str(message.get("role")))
        text = text_in(message.get("content"))
        if role == "tool":
            results.append(ToolResult(str(message.get("tool_call_id")), text))
        elif role == "user" and not (said and said[-1].role == "tool"):
            results = []
        said.append(Said(role, text))
    offered = tuple(_tools(body))
    names = [tool.name for tool in offered]
    callable_tools, forced = tool_choice(body.get("tool_choice"), names, nested=True)
    schema = mapping(output_schema(body))
    return Turn(
        "openai.chat",
        model,
        tuple(said),
        offered,
        callable_tools,
        forced,
        tuple(results),
        schema.get("schema", schema) or None,
        body,
    )


def _tools(body: dict[str, Any]) -> list[Tool]:
    functions = [mapping(mapping(tool).get("function")) for tool in entries(body.get("tools"))]
    functions += map(mapping, entries(body.get("functions")))
    return [
        Tool(str(each["name"]), mapping(each.get("parameters")))
        for each in functions
        if each.get("name")
    ]
