"""Read from a request of this API what a script needs to know."""

from typing import Any

from agentcache.loopback.responses_request import CALLS, RESULTS, input_items, output_schema
from agentcache.loopback.tool_choice import tool_choice
from agentcache.loopback.values import Said, Tool, ToolResult, Turn
from agentcache.loopback.wire import entries, mapping, text_in

__all__ = ["responses_turn"]


def responses_turn(body: dict[str, Any], model: str) -> Turn:
    """Read what a script needs to know."""
    instructions = body.get("instructions")
    said = [Said("system", str(instructions))] if instructions else []
    results: list[ToolResult] = []
    for item in input_items(body):
        kind = item.get("type") or "message"
        if kind in RESULTS:
            results.append(ToolResult(str(item.get("call_id")), text_in(item.get("output"))))
            said.append(Said("tool", results[-1].text))
        elif kind in CALLS:
            said.append(Said("assistant", ""))
        elif kind == "message":
            role = "system" if item.get("role") == "developer" else str(item.get("role"))
            if role == "user" and not (said and said[-1].role == "tool"):
                results = []
            said.append(Said(role, text_in(item.get("content"))))
    offered = tuple(_tools(body))
    names = [tool.name for tool in offered]
    callable_tools, forced = tool_choice(body.get("tool_choice"), names, nested=False)
    return Turn(
        "openai.responses",
        model,
        tuple(said),
        offered,
        callable_tools,
        forced,
        tuple(results),
        _latest_schema(body),
        body,
    )


def _tools(body: dict[str, Any]) -> list[Tool]:
    added = [item for item in input_items(body) if item.get("type") == "additional_tools"]
    offered = [
        *entries(body.get("tools")),
        *(t for item in added for t in entries(item.get("tools"))),
    ]
    functions = [mapping(tool) for tool in offered if mapping(tool).get("type") == "function"]
    named = {str(each["name"]): each for each in functions if each.get("name")}
    return [Tool(name, mapping(each.get("parameters"))) for name, each in named.items()]


def _latest_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    updates = [item for item in input_items(body) if item.get("type") == "configuration_update"]
    changed = [item for item in updates if mapping(item.get("text")).get("format")]
    return output_schema(changed[-1]) if changed else output_schema(body)
