"""Requests put together from what a recorder kept of them: messages, tools and parameters.

Recorders write messages in shapes of their own. Here they become the wire's again: Anthropic's for
its models, Chat Completions for all others. The bytes are not the ones that were sent, but what was
equal there is equal here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.recordings.documents import parsed
from agentcache.recordings.secrets import kept_request

__all__ = ["as_list", "call_part", "chat_request", "count_of"]

_SYSTEM: Final = ("system", "developer")
_DIGITS: Final = 20


def chat_request(
    model: str, messages: Sequence[Json], tools: Any, params: Mapping[str, Any]
) -> Json:
    """A request from messages in the shape of Chat Completions."""
    offered = [tool for tool in as_list(tools) if is_json(tool)]
    given, _ = kept_request({k: v for k, v in params.items() if v is not None})
    given = {k: v for k, v in given.items() if k not in ("messages", "model", "tools")}
    if "claude" in model.lower():
        others = (n for n, m in enumerate(messages) if m.get("role") not in _SYSTEM)
        head = next(others, len(messages))
        request: Json = {"model": model, "system": _system(messages[:head])}
        request["messages"] = [_anthropic(message) for message in messages[head:]]
        defined = [_anthropic_tool(tool) for tool in offered]
    else:
        request = {"model": model, "messages": list(messages)}
        defined = [_chat_tool(tool) for tool in offered]
    kept, _ = kept_request({**request, **given, **({"tools": defined} if defined else {})})
    return kept


def as_list(value: Any) -> list[Any]:
    """A list, also where it was written as JSON text; nothing where it is none."""
    found = parsed(value) if isinstance(value, str) else value
    if is_list(found):
        return found
    return list(found) if isinstance(found, tuple) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def count_of(value: Any) -> int | None:
    """A count, also where it was written as text; None where it is none."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < _DIGITS else None
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) and value >= 0 else None


def call_part(name: Any, arguments: Any, call_id: Any) -> Json:
    """A tool call in an assistant's message."""
    text = arguments if isinstance(arguments, str) else _dumps(arguments)
    called = {"name": name, "arguments": text}
    return {**({"id": call_id} if call_id else {}), "type": "function", "function": called}


def _dumps(value: Any) -> str:
    return json.dumps({} if value is None else value, ensure_ascii=False)


def _chat_tool(tool: Json) -> Json:
    if "function" in tool or "name" not in tool or tool.get("type") not in (None, "function"):
        return tool
    defined = {k: v for k, v in tool.items() if k not in ("type", "input_schema")}
    schema = {"parameters": tool["input_schema"]} if "input_schema" in tool else {}
    return {"type": "function", "function": {**defined, **schema}}


def _anthropic_tool(tool: Json) -> Json:
    held: Any = tool.get("function")
    inner = held if is_json(held) else tool
    if "parameters" not in inner:
        return inner
    rest = {k: v for k, v in inner.items() if k not in ("parameters", "type", "strict")}
    return {**rest, "input_schema": inner["parameters"]}


def _system(messages: Iterable[Json]) -> str | list[Any]:
    """System text as Anthropic takes it: one text, or parts."""
    contents = [message.get("content") for message in messages]
    if len(contents) == 1 and isinstance(contents[0], str):
        return contents[0]
    parts: list[Any] = []
    for content in contents:
        parts += content if is_list(content) else [{"type": "text", "text": content}]
    return parts


def _anthropic(message: Json) -> Json:
    """A message as Anthropic takes it: tools are called and answered in its parts."""
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id")}
        return {"role": "user", "content": [{**result, "content": content}]}
    calls = [call for call in as_list(message.get("tool_calls")) if is_json(call)]
    if not calls:
        return {"role": role, "content": content}
    parts = list(content) if is_list(content) else []
    if isinstance(content, str) and content:
        parts = [{"type": "text", "text": content}]
    known = {part.get("id") for part in parts if is_json(part)}
    return {"role": role, "content": parts + [_use(c) for c in calls if c.get("id") not in known]}


def _use(call: Json) -> Json:
    held: Any = call.get("function")
    named = held if is_json(held) else call
    arguments = named.get("arguments", named.get("args"))
    value = parsed(arguments) if isinstance(arguments, str) else arguments
    given = arguments if value is None else value
    return {"type": "tool_use", "id": call.get("id"), "name": named.get("name"), "input": given}
