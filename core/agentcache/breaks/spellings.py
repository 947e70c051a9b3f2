"""Two ways of writing one request: a text, or a list of one part that is that text."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list, role_of

__all__ = ["spelled_alike", "spelled_out"]


def spelled_alike(wire: Dialect, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both requests are written in one way, as far as they have messages in common."""
    if type(one.get("system")) is not type(other.get("system")):
        return False
    pairs = zip(*(_rows(request.get(wire.messages_key)) for request in (one, other)), strict=False)
    return all(_shape(a) == _shape(b) for a, b in pairs)


def _rows(held: Any) -> list[Any]:
    return held if is_list(held) else []


def _shape(row: Any) -> object:
    """How a message is written, whatever it says."""
    if not is_json(row):
        return _kind(row)
    content: Any = row.get("content")
    parts = [_kind(p.get("content")) for p in content if is_json(p)] if is_list(content) else []
    return (_kind(content), parts, *(key in row for key in ("type", "id", "status")))


def _kind(value: object) -> str:
    return type(value).__name__


def spelled_out(wire: Dialect, request: Mapping[str, Any]) -> Json:
    """The request with what may be written shorter written in full: providers render both alike."""
    write = _WRITERS.get(wire.name)
    held: Any = request.get(wire.messages_key)
    out = dict(request)
    if write is None:
        return out
    if is_list(held):
        out[wire.messages_key] = [write(row) if is_json(row) else row for row in held]
    if wire.name == "anthropic.messages" and isinstance(out.get("system"), str):
        out["system"] = _parts(out["system"])
    return out


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
