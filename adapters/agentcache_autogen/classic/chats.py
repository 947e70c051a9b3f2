"""The chat that an agent stands in, as the classic framework writes it: messages with names."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agentcache.attach import CHAT_LAYOUTS, Options
from agentcache.blocks import dumps
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list, role_of
from agentcache.sdk.turns import Hears
from agentcache.transcripts import Line, Transcript, merged, said

__all__ = ["hears_chat"]

_NOTHING: Final = (None, "", "None")
"""What the versions write as the content of a message that only calls tools."""
_SYSTEM: Final = ("system", "developer")


def hears_chat(
    messages: Sequence[Mapping[str, Any]],
    name: str,
    options: Options,
    *,
    public: int | None = None,
    thread: Sequence[Mapping[str, Any]] = (),
) -> Hears:
    """How the request is heard that an agent of this name makes of these messages.

    Only the first `public` of them were said to all, if that is given; system text in front is not
    counted. `thread` are those of the group's chat.
    """
    kept = [dict(m) for m in _unrolled(messages)]
    lead = next((n for n, m in enumerate(kept) if role_of(m) not in _SYSTEM), len(kept))
    system, heard = tuple(_text(m.get("content")) for m in kept[:lead]), kept[lead:]

    def hears(wire: Dialect, _before: Json) -> Transcript | str:
        reasons = (_unreadable(message) for message in (*kept, *thread))
        reason = next((text for text in reasons if text), "")
        if reason:
            return reason
        end = len(heard) if public is None else public
        lines = [_line(m, name, wire, told=n < end) for n, m in enumerate(heard)]
        if options.history == "group" and thread:
            common = [_line(m, name, wire, told=True) for m in _unrolled(thread)]
            if lines and lines[-1].key == common[-1].key:
                lines = merged(common, lines, name, whole=True)
        if not _paired([line.message for line in lines]):
            return "unreadable: a tool was called and its result is missing, or the other way round"
        return Transcript(
            tuple(line.message for line in lines),
            tuple(line.name is not None for line in lines),
            system,
            always=options.layout in CHAT_LAYOUTS,
            open_calls=True,
            drafted=True,
        )

    return hears


def _unrolled(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Results that stand together in one message, each by itself, as the framework sends them."""
    for message in messages:
        results = message.get("tool_responses")
        yield from results or ()
        if not results or message.get("role") != "tool":
            yield message


def _unreadable(message: Mapping[str, Any]) -> str:
    """Why a message cannot be read before it is sent; empty if it can."""
    if callable(message.get("content")) or message.get("context"):
        return "template: AutoGen fills in this message as it calls the model"
    if message.get("function_call") or role_of(message) == "function":
        return "function_call: calls in the form that OpenAI gave up in 2023. Use tools"
    return ""


def _line(message: Mapping[str, Any], own: str, wire: Dialect, *, told: bool) -> Line:
    """One message of the chat; `told` says that it was said to all."""
    role = role_of(message)
    name = str(message.get("name") or (own if role == "assistant" else "user"))
    sent = _sent(message, role, name, wire, told=told)
    public = told and role not in _SYSTEM
    return Line(dumps(sent) if public else "", name if public else None, sent)


def _sent(message: Mapping[str, Any], role: str, name: str, wire: Dialect, *, told: bool) -> Json:
    content: Any = message.get("content")
    calls: Any = message.get("tool_calls")
    if calls:
        return _calls(wire, None if content in _NOTHING else _text(content), calls)
    if role == "tool":
        return _result(wire, str(message.get("tool_call_id", "")), _text(content))
    if told and role not in _SYSTEM:
        return said(wire, name, _parts(wire, content) if is_list(content) else content or "")
    who = "assistant" if role == "assistant" else "user"
    return {"role": who, "content": _text(content)}


def _calls(wire: Dialect, text: str | None, calls: Sequence[Mapping[str, Any]]) -> Json:
    """Calls of tools, by whomever: nobody's name can stand on them."""
    if not wire.alternates:
        kept = [
            {"id": c.get("id"), "type": "function", "function": dict(c["function"])} for c in calls
        ]
        return {"role": "assistant", "content": text, "tool_calls": kept}
    words: list[Json] = [{"type": "text", "text": text}] if text else []
    made: list[Json] = [
        {
            "type": "tool_use",
            "id": c.get("id"),
            "name": c["function"]["name"],
            "input": _arguments(c["function"].get("arguments")),
        }
        for c in calls
    ]
    return {"role": "assistant", "content": [*words, *made]}


def _arguments(text: Any) -> Json:
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        return {"text": str(text)}
    return found if is_json(found) else {"value": found}


def _result(wire: Dialect, call_id: str, text: str) -> Json:
    if not wire.alternates:
        return {"role": "tool", "tool_call_id": call_id, "content": text}
    part = {"type": "tool_result", "tool_use_id": call_id, "content": text}
    return {"role": "user", "content": [part]}


def _parts(wire: Dialect, content: Sequence[Any]) -> list[Json]:
    return [_part(wire, part) for part in content]


def _part(wire: Dialect, part: Any) -> Json:
    if not is_json(part):
        return {"type": wire.text_type, "text": str(part)}
    if not wire.alternates or part.get("type") != "image_url":
        return dict(part)
    held: Any = part.get("image_url") or {}
    url = str(held.get("url", ""))
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _text(content: Any) -> str:
    """A content as text, be it a string, parts or nothing."""
    if is_list(content):
        return "\n".join(str(p.get("text", "")) if is_json(p) else str(p) for p in content)
    return "" if content is None else str(content)


def _paired(messages: Sequence[Json]) -> bool:
    """Whether every call of a tool has its result right after it, as providers ask."""
    open_: set[Any] = set()
    for message in messages:
        done = set(_results_in(message))
        if not done <= open_ or (open_ and not done):
            return False
        open_ -= done
        open_ |= set(_calls_in(message))
    return not open_


def _calls_in(message: Json) -> Iterator[Any]:
    for call in message.get("tool_calls") or ():
        yield call.get("id")
    yield from (p.get("id") for p in _of_type(message, "tool_use"))


def _results_in(message: Json) -> Iterator[Any]:
    if role_of(message) == "tool":
        yield message.get("tool_call_id")
    yield from (p.get("tool_use_id") for p in _of_type(message, "tool_result"))


def _of_type(message: Json, kind: str) -> Iterator[Json]:
    content: Any = message.get("content")
    for part in content if is_list(content) else ():
        if is_json(part) and part.get("type") == kind:
            yield part
