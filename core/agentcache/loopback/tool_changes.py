"""Tools that an Anthropic request adds and withdraws in the middle of the conversation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentcache.loopback.wire import entries, mapping

__all__ = ["CHANGES", "Change", "expanded_messages", "offered_tools", "tool_changes"]

CHANGES = ("tool_addition", "tool_removal")
"""Types of the content blocks of a system message that change the tools."""


@dataclass(frozen=True, slots=True)
class Change:
    """One such block: its message and its place in it, its type, what it names and how.

    `definition` is the tool's own, inline or declared before; None where nothing has
    declared it, or where it is a tool of an MCP server.
    """

    at: tuple[int, int]
    type: str
    named_by: str
    name: str
    definition: dict[str, Any] | None

    @property
    def where(self) -> str:
        """Return its path in the request, as errors name it."""
        return f"messages.{self.at[0]}.content.{self.at[1]}"


def tool_changes(body: dict[str, Any]) -> Iterator[Change]:
    """Yield the changes in the order in which the model reads them."""
    known = {str(tool.get("name")): tool for tool in map(mapping, entries(body.get("tools")))}
    for at, block in _blocks(body):
        tool = mapping(block.get("tool"))
        named_by = str(tool.get("type"))
        inline = mapping(tool.get("definition")) if named_by == "tool_definition" else None
        name = str((tool if inline is None else inline).get("name"))
        if inline is not None:
            known[name] = inline
        definition = known.get(name) if named_by in ("tool_definition", "tool_reference") else None
        yield Change(at, str(block["type"]), named_by, name, definition)


def _blocks(body: dict[str, Any]) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    for index, message in enumerate(map(mapping, entries(body.get("messages")))):
        parts = entries(message.get("content")) if message.get("role") == "system" else []
        for place, part in enumerate(map(mapping, parts)):
            if part.get("type") in CHANGES:
                yield (index, place), part


def offered_tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the definitions that the model may use at the end of the conversation.

    A deferred tool is offered once it has been added, or where the request has a tool
    that searches for it.
    """
    declared = [mapping(tool) for tool in entries(body.get("tools"))]
    searched = any(str(tool.get("type")).startswith("tool_search_tool") for tool in declared)
    now = [tool for tool in declared if searched or not tool.get("defer_loading")]
    offered = {str(tool["name"]): tool for tool in now if tool.get("name")}
    for change in tool_changes(body):
        offered.pop(change.name, None)
        if change.type == "tool_addition" and change.definition is not None:
            offered[change.name] = change.definition
    return list(offered.values())


def expanded_messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages as the model reads them.

    A deferred tool stands outside the prefix, so its definition is read where it is added.
    """
    deferred = {
        change.at: change.definition
        for change in tool_changes(body)
        if (change.type, change.named_by) == ("tool_addition", "tool_reference")
        and mapping(change.definition).get("defer_loading")
    }
    messages = map(mapping, entries(body.get("messages")))
    return [_expanded(message, index, deferred) for index, message in enumerate(messages)]


def _expanded(
    message: dict[str, Any], index: int, deferred: Mapping[tuple[int, int], Any]
) -> dict[str, Any]:
    if all(at != index for at, _ in deferred):
        return message
    content = [
        {**part, "definition": deferred[index, place]} if (index, place) in deferred else part
        for place, part in enumerate(entries(message.get("content")))
    ]
    return {**message, "content": content}
