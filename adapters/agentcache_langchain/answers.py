"""What comes back: usage read, and calls to another agent's tools made harmless."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from agentcache.allow import foreign_tools
from agentcache.breaks.vendors import Verdict, verdict_in
from agentcache.dialects.base import is_json, is_list
from agentcache.usage import Usage

__all__ = [
    "FirstCall",
    "Tally",
    "as_text",
    "dropped",
    "foreign_calls",
    "guard_event",
    "renamed",
]

_CALLS: Final = ("tool_use", "tool_call", "tool_call_chunk", "function_call", "custom_tool_call")
_PIECES: Final = (*_CALLS, "input_json_delta")
_COUNTS: Final = ("prompt_tokens", "input_tokens")
_MARK: Final = "not_your_tool__"
"""Stands before the name of a tool that is not the agent's: its own tool runner refuses it."""


class Tally:
    """The usage of one answer, be it whole or in pieces, and the provider's signs on it."""

    def __init__(self, *, cumulative: bool) -> None:
        """Nothing has been said yet; `cumulative` pieces each say what was used so far."""
        self._said: dict[str, Any] = {}
        self._raw: Mapping[str, Any] | None = None
        self.cumulative = cumulative
        self._add = _highest if cumulative else _sum
        self.signs: tuple[str, ...] = ()
        self.verdict: Verdict | None = None

    def result(self, result: ChatResult) -> None:
        """Read a whole answer; its usage is known already where it came in pieces."""
        self.notice(result.llm_output or {})
        for generation in result.generations if not self._said else ():
            self.piece(generation)

    def piece(self, generation: ChatGeneration) -> None:
        """Read an answer, or a piece of one."""
        message = generation.message
        self.notice(generation.generation_info or {})
        self.notice(message.response_metadata)
        if isinstance(message, AIMessage) and message.usage_metadata is not None:
            self._said = self._add(self._said, cast("dict[str, Any]", message.usage_metadata))

    def notice(self, metadata: Mapping[str, Any]) -> None:
        """Read what a class says beside an answer; the API's own counts among it."""
        raw = metadata.get("token_usage") or metadata.get("usage")
        if is_json(raw) and any(raw.get(key) is not None for key in _COUNTS):
            self._raw = raw
        self.verdict = verdict_in(metadata) or self.verdict
        self.sign(metadata.get("id"), metadata.get("system_fingerprint"))

    def sign(self, *signs: object) -> None:
        """Notice an answer's id or fingerprint."""
        self.signs += tuple(str(sign) for sign in signs if sign)

    @property
    def usage(self) -> Usage:
        """What the provider said; the API's own words tell more than LangChain's."""
        return Usage.from_payload(self._raw if self._raw is not None else self._said or None)


def _sum(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return _joined(a, b, lambda x, y: x + y)


def _highest(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return _joined(a, b, max)


def _joined(a: dict[str, Any], b: dict[str, Any], by: Callable[[int, int], int]) -> dict[str, Any]:
    """Two counts as one, field by field; what only one says is as it says."""
    out = dict(a)
    for key, value in b.items():
        if is_json(value):
            out[key] = _joined(out.get(key) or {}, value, by)
        elif isinstance(value, int):
            out[key] = by(out[key], value) if isinstance(out.get(key), int) else value
    return out


def as_text(message: BaseMessage) -> None:
    """Give an answer that is text alone as a text: Chat Completions has no blocks."""
    content: Any = message.content
    if is_list(content) and all(is_json(b) and b.get("type") == "text" for b in content):
        message.content = "".join(str(block.get("text") or "") for block in content)


def foreign_calls(message: BaseMessage, allowed: Sequence[str]) -> tuple[str, ...]:
    """Tools that a message, or a piece of one, calls and that this request did not offer."""
    if not isinstance(message, AIMessage):
        return ()
    return foreign_tools([n for n in _names(message) if n], allowed)


def guard_event(event: Any, allowed: Sequence[str]) -> None:
    """Rename calls to other tools in a protocol event, in place, however deep they stand."""
    if is_list(event):
        for each in event:
            guard_event(each, allowed)
    elif is_json(event):
        name = event.get("name")
        if event.get("type") in _CALLS and name and foreign_tools([str(name)], allowed):
            event["name"] = _MARK + str(name)
        for value in event.values():
            guard_event(value, allowed)


def _names(message: AIMessage) -> Iterator[str]:
    """The name of every tool called, wherever LangChain keeps it."""
    for call in _calls(message):
        yield str(call.get("name") or "")
    for inner in _raw_calls(message):
        yield str(inner.get("name") or "")


def _raw_calls(message: AIMessage) -> list[dict[str, Any]]:
    """Tool calls as an API gave them, which LangChain keeps beside its own."""
    kept: Any = message.additional_kwargs.get("tool_calls")
    calls: list[Any] = kept if is_list(kept) else []
    found: list[Any] = [call.get("function") for call in calls if is_json(call)]
    return [inner for inner in found if is_json(inner)]


def _calls(message: AIMessage) -> list[Any]:
    found: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
    if isinstance(message, AIMessageChunk):
        found += message.tool_call_chunks
    return found + _called_in(message.content)


def _called_in(content: Any) -> list[Any]:
    blocks = content if is_list(content) else []
    return [b for b in blocks if is_json(b) and b.get("type") in _CALLS]


def renamed(message: BaseMessage, foreign: Sequence[str]) -> None:
    """Rename calls to these tools, in place: the agent's tool runner answers that it has none such.

    The agent reads that, and goes on.
    """
    if not isinstance(message, AIMessage) or not foreign:
        return
    for call in _calls(message):
        if call.get("name") in foreign:
            call["name"] = _MARK + str(call["name"])
    for inner in _raw_calls(message):
        if inner.get("name") in foreign:
            inner["name"] = _MARK + str(inner["name"])


def dropped(message: BaseMessage, refusal: str) -> None:
    """Drop every call, in place, and say why: an agent without tools has nobody to refuse one."""
    if not isinstance(message, AIMessage):
        return
    message.tool_calls, message.invalid_tool_calls = [], []
    message.additional_kwargs.pop("tool_calls", None)
    if isinstance(message, AIMessageChunk):
        message.tool_call_chunks = []
    content: Any = message.content
    if is_list(content):
        kept = [b for b in content if not (is_json(b) and b.get("type") in _PIECES)]
        message.content = [*kept, {"type": "text", "text": refusal}] if refusal else kept
    elif refusal:
        message.content = f"{content}\n{refusal}" if content else refusal


class FirstCall:
    """Keeps an answer, be it whole or in pieces, to the first tool that it calls."""

    def __init__(self) -> None:
        """Nothing is called yet."""
        self._first: object = None

    def keep(self, message: BaseMessage) -> None:
        """Drop every call but the first, in place."""
        if not isinstance(message, AIMessage):
            return
        if isinstance(message, AIMessageChunk):
            message.tool_call_chunks = self._kept(message.tool_call_chunks, "index")
        else:
            message.tool_calls = self._kept(message.tool_calls, "id")
        key = "index" if isinstance(message, AIMessageChunk) else "id"
        raw: Any = message.additional_kwargs.get("tool_calls")
        if raw:
            message.additional_kwargs["tool_calls"] = self._kept(raw, key)
        content: Any = message.content
        if is_list(content):
            calls = [id(block) for block in self._kept(_called_in(content), key)]
            message.content = [b for b in content if not _called_in([b]) or id(b) in calls]

    def _kept(self, calls: Sequence[Any], key: str) -> list[Any]:
        out: list[Any] = []
        for call in calls:
            name = call.get(key, call.get("call_id"))
            if self._first is None:
                self._first = name
            if name == self._first:
                out.append(call)
        return out
