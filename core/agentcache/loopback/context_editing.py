"""Anthropic's context editing: old tool results are cleared before the prompt is read."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from agentcache.loopback.wire import Refusal, dumps, entries, mapping

__all__ = ["edited"]

_BETAS: Final = ("context-management-2025-06-27", "compact-2026-01-12")
_CLEAR: Final = "clear_tool_uses_20250919"
_PLACEHOLDER: Final = "[cleared to save context]"
_Json = dict[str, Any]


def edited(
    body: _Json, betas: AbstractSet[str], counted: Callable[[_Json], int]
) -> tuple[_Json, list[_Json]]:
    """Return the request as the model reads it, and the edits applied; other edits do nothing.

    `counted` gives the input tokens of a request. Raises Refusal without a beta header.
    """
    if "context_management" not in body:
        return body, []
    if betas.isdisjoint(_BETAS):
        raise Refusal("context_management: Extra inputs are not permitted")
    applied: list[_Json] = []
    for edit in map(mapping, entries(mapping(body["context_management"]).get("edits"))):
        if edit.get("type") == _CLEAR:
            body, told = _cleared(body, edit, counted)
            applied += told
    return body, applied


def _cleared(
    body: _Json, edit: _Json, counted: Callable[[_Json], int]
) -> tuple[_Json, list[_Json]]:
    """Clear all but the latest tool uses once the trigger is passed."""
    total, uses = counted(body), _uses(body)
    by_uses = mapping(edit.get("trigger")).get("type") == "tool_uses"
    if (len(uses) if by_uses else total) <= _value(edit.get("trigger"), 100_000):
        return body, []
    old, spared = uses[: -_value(edit.get("keep"), 3) or None], entries(edit.get("exclude_tools"))
    ids = [str(use["id"]) for use in old if use.get("name") not in spared]
    made = {**body, "messages": [_message(mapping(m), ids, edit) for m in body["messages"]]}
    gone = total - counted(made)
    if gone < _value(edit.get("clear_at_least"), 1):
        return body, []
    counts = {"cleared_tool_uses": len(ids), "cleared_input_tokens": gone}
    return made, [{"type": _CLEAR, **counts}]


def _value(given: object, usual: int) -> int:
    return int(mapping(given).get("value", usual))


def _uses(body: _Json) -> list[_Json]:
    """Return the tool calls whose results are there, in order."""
    parts = [mapping(p) for m in entries(body.get("messages")) for p in _parts(mapping(m))]
    results = {p.get("tool_use_id") for p in parts if p.get("type") == "tool_result"}
    return [p for p in parts if p.get("type") == "tool_use" and p.get("id") in results]


def _message(message: _Json, ids: list[str], edit: _Json) -> _Json:
    parts = [_part(mapping(part), ids, edit) for part in _parts(message)]
    return {**message, "content": parts} if dumps(parts) != dumps(_parts(message)) else message


def _part(part: _Json, ids: list[str], edit: _Json) -> _Json:
    if part.get("type") == "tool_result" and part.get("tool_use_id") in ids:
        return {**part, "content": _PLACEHOLDER}
    whole = edit.get("clear_tool_inputs") is True
    return {**part, "input": {}} if whole and part.get("id") in ids else part


def _parts(message: _Json) -> list[Any]:
    return entries(message.get("content"))
