"""What Anthropic refuses in the system messages that stand among the messages."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from agentcache.loopback.families import takes_system_messages
from agentcache.loopback.tool_changes import CHANGES, Change, tool_changes
from agentcache.loopback.wire import Refusal, entries, mapping

__all__ = ["refuse_bad_systems"]

_CHANGES_BETA = "mid-conversation-tool-changes-2026-07-01"
_INLINE_BETA = "inline-tools-2026-09-15"
_ALLOWED = ("text", *CHANGES)
_ANYWHERE = "; the directive-only form (content: [] with output_config) is accepted at any position"


def refuse_bad_systems(body: dict[str, Any], model: str, betas: AbstractSet[str]) -> None:
    """Refuse a wrong model, place, content or tool change; `betas` came in the header."""
    messages = [mapping(message) for message in entries(body.get("messages"))]
    _refuse_changes_in(body.get("system"), "system")
    for index, message in enumerate(messages):
        if message.get("role") != "system":
            _refuse_changes_in(message.get("content"), f"messages.{index}.content")
            continue
        if not takes_system_messages(model):
            raise Refusal(f"messages.{index}: role 'system' is not supported on this model")
        if not _is_directive(message):
            _refuse_content(message.get("content"), index)
            _refuse_place(messages, index)
    for change in tool_changes(body):
        _refuse_change(change, betas)


def _is_directive(message: dict[str, Any]) -> bool:
    return message.get("content") == [] and bool(message.get("output_config"))


def _refuse_changes_in(content: object, where: str) -> None:
    for at, part in enumerate(map(mapping, entries(content))):
        if part.get("type") in CHANGES:
            raise Refusal(
                f"{where}.{at}: `{part['type']}` blocks are only permitted in system messages "
                "among the messages"
            )


def _refuse_content(content: object, index: int) -> None:
    if not content:
        raise Refusal(f"messages.{index}: system content must contain at least one block")
    for part in map(mapping, entries(content)):
        if part.get("type") not in _ALLOWED:
            allowed = ", ".join(_ALLOWED)
            raise Refusal(f"messages.{index}: role 'system' supports {allowed} blocks only")


def _refuse_place(messages: Sequence[dict[str, Any]], index: int) -> None:
    """A run of system messages counts as one: clients send several in a row."""
    where = f"messages.{index}"
    if index == 0:
        raise Refusal(
            f"{where}: use the top-level 'system' parameter for the initial system prompt"
            + _ANYWHERE
        )
    if not _may_precede(messages[index - 1]):
        raise Refusal(
            f"{where}: role 'system' must follow a 'user' message or an 'assistant' message "
            "ending in a server tool result" + _ANYWHERE
        )
    following = [message.get("role") for message in messages[index + 1 : index + 2]]
    if following not in ([], ["assistant"], ["system"]):
        raise Refusal(
            f"{where}: role 'system' must precede an 'assistant' message or end the array"
            + _ANYWHERE
        )


def _may_precede(message: dict[str, Any]) -> bool:
    if message.get("role") != "assistant":
        return message.get("role") in ("user", "system")
    parts = entries(message.get("content"))
    return bool(parts) and str(mapping(parts[-1]).get("type")).endswith("_tool_result")


def _refuse_change(change: Change, betas: AbstractSet[str]) -> None:
    inline = change.named_by == "tool_definition"
    needed = _INLINE_BETA if inline else _CHANGES_BETA
    if betas.isdisjoint({needed, _INLINE_BETA}):
        raise Refusal(f"{change.where}: `{change.type}` blocks require anthropic-beta: {needed}")
    if inline and change.type == "tool_removal":
        raise Refusal(f"{change.where}.tool: a tool_removal names its tool with a tool_reference")
    if change.named_by == "tool_reference" and change.definition is None:
        raise Refusal(
            f"{change.where}.tool: Tool reference '{change.name}' has no corresponding "
            "tool definition"
        )
