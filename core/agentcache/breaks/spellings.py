"""Two ways of writing one request: a text, or a list of one part that is that text."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list, role_of

__all__ = ["as_written", "spelled_out"]

_STEP: Final = re.compile(r"\.?[^.\[\]]+|\[\d+\]")


def spelled_out(wire: Dialect, request: Mapping[str, Any]) -> Json:
    """The request with what may be written shorter written in full: providers render both alike."""
    write = _WRITERS.get(wire.name)
    held: Any = request.get(wire.messages_key)
    out = dict(request)
    if write is None:
        return out
    if isinstance(held, str):
        held = [{"role": "user", "content": held}]
    if is_list(held):
        out[wire.messages_key] = [write(row) if is_json(row) else row for row in held]
    if wire.name == "anthropic.messages" and isinstance(out.get("system"), str):
        out["system"] = _parts(out["system"])
    return out


def as_written(path: str, request: Mapping[str, Any]) -> str:
    """A place in what was spelled out, as it is called in the request itself."""
    held: Any = request
    for found in _STEP.finditer(path):
        if isinstance(held, str):
            return path[: found.start()]
        name = found[0].strip(".[]")
        if is_list(held) and name.isdigit() and int(name) < len(held):
            held = held[int(name)]
        elif is_json(held) and name in held:
            held = held[name]
        else:
            return path
    return path


def _chat(message: Json) -> Json:
    content: Any = message.get("content")
    return {**message, "content": _parts(content)} if isinstance(content, str) else message


def _messages(message: Json) -> Json:
    content: Any = message.get("content")
    parts = _parts(content) if isinstance(content, str) else content
    if is_list(parts):
        parts = [_result(part) if is_json(part) else part for part in parts]
    return {**message, "content": parts}


def _result(part: Json) -> Json:
    told = part.get("type") == "tool_result" and isinstance(part.get("content"), str)
    return {**part, "content": _parts(part["content"])} if told else part


def _responses(item: Json) -> Json:
    out = {k: v for k, v in item.items() if k != "status"}
    if "role" in out:
        out = {"type": "message", **out}
        if isinstance(out.get("content"), str):
            said = "output_text" if role_of(out) == "assistant" else "input_text"
            out["content"] = _parts(out["content"], said)
    if out.get("type") == "function_call":
        out.pop("id", None)  # `call_id` ties it to its result
    return out


def _parts(text: str, kind: str = "text") -> list[Json]:
    return [{"type": kind, "text": text}]


_WRITERS: Final[Mapping[str, Callable[[Json], Json]]] = {
    "anthropic.messages": _messages,
    "openai.chat": _chat,
    "openai.responses": _responses,
}
