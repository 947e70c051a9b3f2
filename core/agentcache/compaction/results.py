"""The tool results of a request: where they stand, what they hold, and how one is replaced."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from agentcache.blocks import dumps
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list, role_of

__all__ = ["Result", "replaced", "results_of"]

_ITEMS: Final = ("function_call_output", "custom_tool_call_output")
_TEXTS: Final = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True)
class Result:
    """One tool result: `place` leads to what holds it, `key` is where its content stands there.

    `text` is all that it says, `exact` its content as JSON, and `content_id` digests that and the
    tool. `name` tells this result from others of the same content. `sent` says that the model has
    answered since. What holds more than texts has no `text`.
    """

    place: tuple[int, ...]
    key: str
    call_id: str
    tool: str
    text: str | None
    exact: str
    sent: bool

    @property
    def content_id(self) -> str:
        """Names the content: the same on any machine."""
        return _digest(self.tool, self.exact)

    @property
    def name(self) -> str:
        """Names this result in its conversation, where the content may come again."""
        return _digest(self.call_id, self.tool, self.exact)


def _digest(*texts: str) -> str:
    told = "\x1f".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=8).hexdigest()


def results_of(wire: Dialect, request: Mapping[str, Any]) -> list[Result]:
    """The tool results of a request, in order."""
    held: Any = request.get(wire.messages_key)
    rows: Sequence[Any] = held if is_list(held) else []
    names = dict(_calls(rows))
    said = [n for n, row in enumerate(rows) if is_json(row) and role_of(row) in _SAID]
    last = said[-1] if said else -1
    found: list[Result] = []
    for place, key, call_id, content in _held(rows):
        text = _text(content)
        tool = names.get(call_id, "")
        found.append(Result(place, key, call_id, tool, text, dumps(content), place[0] < last))
    return found


def replaced(wire: Dialect, request: Mapping[str, Any], texts: Mapping[Result, str]) -> Json:
    """The request with other texts for some results; nothing of it is changed in place."""
    if not texts:
        return dict(request)
    rows = list(cast("Sequence[Any]", request[wire.messages_key]))
    for result, text in texts.items():
        first, *rest = result.place
        message: Json = dict(rows[first])
        if rest:
            parts = list(message["content"])
            parts[rest[0]] = _with(parts[rest[0]], result.key, text)
            message["content"] = parts
        else:
            message = _with(message, result.key, text)
        rows[first] = message
    return {**request, wire.messages_key: rows}


def _with(holder: Json, key: str, text: str) -> Json:
    if key == "toolResult":  # Bedrock's content is a list of blocks
        return {**holder, key: {**holder[key], "content": [{"text": text}]}}
    held: Any = holder[key]
    if not is_list(held):
        return {**holder, key: text}
    return {**holder, key: [{**held[-1], "text": text}]}  # it may carry a mark


_SAID: Final = ("assistant", "function_call", "reasoning", "custom_tool_call")


def _calls(rows: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The name of each call's tool, by the call's id."""
    for row in rows:
        if not is_json(row):
            continue
        if "call_id" in row and "name" in row:
            yield str(row["call_id"]), str(row["name"])
        calls: Any = row.get("tool_calls")
        for call in calls if is_list(calls) else []:
            inner: Any = call.get("function") or call.get("custom") if is_json(call) else None
            if is_json(inner):
                yield str(call.get("id")), str(inner.get("name"))
        for part in _parts(row):
            used: Any = part.get("toolUse", part)
            if part.get("type") == "tool_use" or "toolUse" in part:
                yield str(used.get("id", used.get("toolUseId"))), str(used.get("name"))


def _held(rows: Sequence[Any]) -> Iterator[tuple[tuple[int, ...], str, str, Any]]:
    """Where each result stands, under which key, for which call, and its content."""
    for n, row in enumerate(rows):
        if not is_json(row):
            continue
        if row.get("role") == "tool":
            yield (n,), "content", str(row.get("tool_call_id", "")), row.get("content")
        elif row.get("type") in _ITEMS:
            yield (n,), "output", str(row.get("call_id", "")), row.get("output")
        content: Any = row.get("content")
        for at, part in enumerate(content if is_list(content) else []):
            if is_json(part):
                yield from _in_part((n, at), part)


def _in_part(place: tuple[int, int], part: Json) -> Iterator[tuple[tuple[int, ...], str, str, Any]]:
    if part.get("type") == "tool_result":
        yield place, "content", str(part.get("tool_use_id", "")), part.get("content")
    told: Any = part.get("toolResult")
    if is_json(told):
        yield place, "toolResult", str(told.get("toolUseId", "")), told.get("content")


def _parts(row: Json) -> list[Json]:
    content: Any = row.get("content")
    return [part for part in content if is_json(part)] if is_list(content) else []


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not is_list(content) or not content:
        return None
    texts = [_part_text(part) for part in content]
    return None if None in texts else "\n".join(cast("list[str]", texts))


def _part_text(part: Any) -> str | None:
    if not is_json(part):
        return None
    if part.get("type") in _TEXTS or set(part) == {"text"}:
        return str(part.get("text", ""))
    return dumps(part["json"]) if set(part) == {"json"} else None
