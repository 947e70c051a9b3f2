"""What an API's requests and answers look like to a tool loop: one class for each API."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentcache.asking.functions import Function
from agentcache.dialects import Json
from agentcache.dialects.base import is_json, is_list

__all__ = ["Pieces", "Said", "Shape", "ToolCall", "shape_of"]

_MAX_TOKENS: Final = 8192
"""Anthropic's API asks for a limit; the SDK refuses one that may take ten minutes."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that an answer asks for; `arguments` as JSON text or as an object."""

    id: str
    name: str
    arguments: str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its `text`, the `calls` it asks for, the `rows` to send back, why it `stop`ped."""

    text: str
    calls: tuple[ToolCall, ...]
    rows: tuple[Json, ...]
    stop: str


class Shape(ABC):
    """One API: how a request is put together, and how an answer is read."""

    dialect: str

    @abstractmethod
    def create(self, client: Any) -> Callable[..., Any]:
        """The SDK's method that sends a request."""

    @abstractmethod
    def tool(self, function: Function) -> Json:
        """A tool's definition."""

    @abstractmethod
    def body(self, system: Sequence[str], rows: Sequence[Json]) -> Json:
        """The system texts and messages of a request."""

    @abstractmethod
    def said(self, answer: Json) -> Said:
        """Read an answer."""

    @abstractmethod
    def results(self, results: Sequence[tuple[ToolCall, str, bool]]) -> list[Json]:
        """The messages that hold what tools answered; True for an error."""

    @abstractmethod
    def pieces(self) -> "Pieces":
        """What puts a streamed answer together."""

    def asked(self, text: str) -> Json:
        """A message of the user's."""
        return {"role": "user", "content": text}

    def spoken(self, text: str) -> Json:
        """A message of the model's that is text alone."""
        return {"role": "assistant", "content": text}


class Pieces(ABC):
    """A streamed answer as it comes: `take` returns the text of each event, `whole` the answer."""

    @abstractmethod
    def take(self, event: Json) -> str:
        """Take an event; returns the text it adds."""

    @abstractmethod
    def whole(self) -> Json:
        """The answer as one that was not streamed."""


def _rows(held: Json, name: str) -> Iterator[Json]:
    """The objects of a list in an answer, where it has one."""
    rows: Any = held.get(name)
    return (row for row in (rows if is_list(rows) else []) if is_json(row))


def _part(held: Json, name: str) -> Json:
    """An object in an answer; an empty one where it has none."""
    part: Any = held.get(name)
    return part if is_json(part) else {}


class _Chat(Shape):
    dialect = "openai.chat"

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.chat.completions.create
        return create

    def tool(self, function: Function) -> Json:
        inner = {"name": function.name, "description": function.description}
        return {"type": "function", "function": {**inner, "parameters": function.schema}}

    def body(self, system: Sequence[str], rows: Sequence[Json]) -> Json:
        return {"messages": [*({"role": "system", "content": text} for text in system), *rows]}

    def said(self, answer: Json) -> Said:
        choice = next(_rows(answer, "choices"), dict[str, Any]())
        message = _part(choice, "message")
        text = message.get("content") or message.get("refusal") or ""
        called = list(_rows(message, "tool_calls"))
        calls = tuple(
            ToolCall(
                str(c.get("id")), c["function"]["name"], c["function"].get("arguments") or "{}"
            )
            for c in called
            if is_json(c.get("function"))
        )
        row: Json = {"role": "assistant", "content": message.get("content")}
        if called:
            row["tool_calls"] = called
        return Said(text, calls, (row,), str(choice.get("finish_reason") or ""))

    def results(self, results: Sequence[tuple[ToolCall, str, bool]]) -> list[Json]:
        return [{"role": "tool", "tool_call_id": c.id, "content": text} for c, text, _ in results]

    def pieces(self) -> Pieces:
        return _ChatPieces()


@dataclass(slots=True)
class _ChatPieces(Pieces):
    texts: list[str] = field(default_factory=list[str])
    calls: dict[int, Json] = field(default_factory=dict[int, Json])
    rest: Json = field(default_factory=dict[str, Any])
    stop: str = ""

    def take(self, event: Json) -> str:
        self.rest |= {k: v for k, v in event.items() if k != "choices" and v is not None}
        for choice in _rows(event, "choices"):
            self.stop = choice.get("finish_reason") or self.stop
            delta = _part(choice, "delta")
            for call in _rows(delta, "tool_calls"):
                self._call(call)
            if delta.get("content"):
                self.texts.append(delta["content"])
                return str(delta["content"])
        return ""

    def _call(self, piece: Json) -> None:
        plain = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        held = self.calls.setdefault(int(piece.get("index") or 0), plain)
        held["id"] = piece.get("id") or held["id"]
        inner = _part(piece, "function")
        held["function"]["name"] += inner.get("name") or ""
        held["function"]["arguments"] += inner.get("arguments") or ""

    def whole(self) -> Json:
        message: Json = {"role": "assistant", "content": "".join(self.texts) or None}
        if self.calls:
            message["tool_calls"] = [self.calls[n] for n in sorted(self.calls)]
        return {**self.rest, "choices": [{"message": message, "finish_reason": self.stop}]}


class _Responses(Shape):
    dialect = "openai.responses"

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.responses.create
        return create

    def tool(self, function: Function) -> Json:
        held = {"type": "function", "name": function.name, "description": function.description}
        return {**held, "parameters": function.schema, "strict": False}

    def body(self, system: Sequence[str], rows: Sequence[Json]) -> Json:
        lead = [{"role": "developer", "content": text} for text in system]
        return {"input": [*lead, *rows]}

    def said(self, answer: Json) -> Said:
        items = list(_rows(answer, "output"))
        texts = [
            part.get("text") or part.get("refusal") or ""
            for item in items
            if item.get("type") == "message"
            for part in _rows(item, "content")
        ]
        calls = tuple(
            ToolCall(str(i.get("call_id")), str(i.get("name")), i.get("arguments") or "{}")
            for i in items
            if i.get("type") == "function_call"
        )
        why = _part(answer, "incomplete_details")
        return Said("".join(texts), calls, tuple(items), str(why.get("reason") or "stop"))

    def results(self, results: Sequence[tuple[ToolCall, str, bool]]) -> list[Json]:
        kind = "function_call_output"
        return [{"type": kind, "call_id": c.id, "output": text} for c, text, _ in results]

    def pieces(self) -> Pieces:
        return _ResponsePieces()


@dataclass(slots=True)
class _ResponsePieces(Pieces):
    response: Json = field(default_factory=dict[str, Any])

    def take(self, event: Json) -> str:
        if is_json(event.get("response")):
            self.response = event["response"]
        return str(event["delta"]) if event.get("type") == "response.output_text.delta" else ""

    def whole(self) -> Json:
        return self.response


class _Messages(Shape):
    dialect = "anthropic.messages"

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.messages.create
        return create

    def tool(self, function: Function) -> Json:
        held = {"name": function.name, "description": function.description}
        return {**held, "input_schema": function.schema}

    def body(self, system: Sequence[str], rows: Sequence[Json]) -> Json:
        texts = [{"type": "text", "text": text} for text in system]
        return {
            "max_tokens": _MAX_TOKENS,
            **({"system": texts} if texts else {}),
            "messages": list(rows),
        }

    def said(self, answer: Json) -> Said:
        blocks = list(_rows(answer, "content"))
        text = "".join(b.get("text") or "" for b in blocks if b.get("type") == "text")
        calls = tuple(
            ToolCall(str(b.get("id")), str(b.get("name")), b.get("input") or {})
            for b in blocks
            if b.get("type") == "tool_use"
        )
        rows = ({"role": "assistant", "content": blocks},) if blocks else ()
        return Said(text, calls, rows, str(answer.get("stop_reason") or ""))

    def results(self, results: Sequence[tuple[ToolCall, str, bool]]) -> list[Json]:
        content = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text}
            | ({"is_error": True} if failed else {})
            for call, text, failed in results
        ]
        return [{"role": "user", "content": content}]

    def pieces(self) -> Pieces:
        return _MessagePieces()


@dataclass(slots=True)
class _MessagePieces(Pieces):
    message: Json = field(default_factory=dict[str, Any])
    blocks: dict[int, Json] = field(default_factory=dict[int, Json])
    inputs: dict[int, str] = field(default_factory=dict[int, str])

    def take(self, event: Json) -> str:
        at, kind = int(event.get("index") or 0), event.get("type")
        if kind == "message_start":
            self.message = dict(event["message"])
        elif kind == "content_block_start":
            self.blocks[at] = dict(event["content_block"])
        elif kind == "message_delta":
            self.message |= {k: v for k, v in event["delta"].items() if v is not None}
            used = {k: v for k, v in _part(event, "usage").items() if v is not None}
            self.message["usage"] = {**(self.message.get("usage") or {}), **used}
        elif kind == "content_block_delta":
            return self._grown(at, event["delta"])
        return ""

    def _grown(self, at: int, delta: Json) -> str:
        block = self.blocks[at]
        if delta.get("type") == "input_json_delta":
            self.inputs[at] = self.inputs.get(at, "") + delta["partial_json"]
        for key in ("text", "thinking", "signature"):
            if delta.get("type") == f"{key}_delta":
                block[key] = (block.get(key) or "") + delta[key]
        return str(delta["text"]) if delta.get("type") == "text_delta" else ""

    def whole(self) -> Json:
        for at, text in self.inputs.items():
            self.blocks[at]["input"] = json.loads(text or "{}")
        return {**self.message, "content": [self.blocks[n] for n in sorted(self.blocks)]}


_SHAPES: Final[Mapping[str, Shape]] = {s.dialect: s for s in (_Chat(), _Responses(), _Messages())}


def shape_of(dialect: str) -> Shape:
    """The shape of a dialect."""
    return _SHAPES[dialect]
