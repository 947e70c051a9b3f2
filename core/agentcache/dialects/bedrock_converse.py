"""Amazon Bedrock Converse."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from agentcache.blocks import Block, Cuts, frozen
from agentcache.dialects.base import BlockCutter, Json, Parts, Sent, is_json, is_list
from agentcache.dialects.openai_chat import texts_of

__all__ = ["BedrockConverse"]

_MARK: Final = "cachePoint"
_PULLED: Final = "*tools"
"""Stands in `toolConfig` for its tools while they are cut into blocks of their own."""
_UNMARKABLE: Final = frozenset({"document", "video", "reasoningContent", _MARK})


class BedrockConverse(BlockCutter):
    """Dialect `bedrock.converse`: tools, then system, then messages; no part names its type.

    A mark is a block of its own, `{"cachePoint": ...}`, behind the block it covers. Read, it is
    folded into that block; written, it is unfolded again. Nothing here restricts tools: Converse
    has no choice "none", and none of several tools.
    """

    name = "bedrock.converse"
    text_type = ""
    mark_key = _MARK
    context_in: Literal["system", "user"] = "system"
    system_key = "system"
    messages_key = "messages"
    alternates = True
    rendered: tuple[str, ...] = ("modelId", "additionalModelRequestFields", "performanceConfig")

    def split(self, request: Mapping[str, Any]) -> Parts:
        """Take a request apart; what is left of `toolConfig` stays in the rest."""
        flat = _flat(request)
        system = tuple(text for text in texts_of(flat.get("system") or ()) if text)
        big = {"system", "messages", "tools"}
        rest = {k: v for k, v in flat.items() if k not in big}
        config = rest.pop("toolConfig", None)
        left = {k: v for k, v in config.items() if k != "tools"} if is_json(config) else {}
        if left:
            rest["toolConfig"] = left
        return Parts(system, tuple(flat.get("messages") or ()), self.tools_of(request), rest)

    def join(
        self,
        rest: Mapping[str, Any],
        tools: Sequence[Json],
        system: Sequence[Json],
        messages: Sequence[Json],
    ) -> Json:
        """Put a request together."""
        body: Json = {**rest, "messages": [_unfolded_message(m) for m in messages]}
        if system:
            body["system"] = _unfolded(system)
        if tools:
            body["toolConfig"] = {"tools": _unfolded(tools), **rest.get("toolConfig", {})}
        return body

    def tools_of(self, request: Mapping[str, Any]) -> tuple[Any, ...]:
        """The tools without their marks; a mark that covers no tool stands for itself."""
        config: Any = request.get("toolConfig")
        tools: Any = config.get("tools") if is_json(config) else None
        return tuple(map(_bare, _folded(tools))) if is_list(tools) else ()

    def tool_name(self, tool: Mapping[str, Any]) -> str:
        """Name of one tool definition; a system tool is known by its own."""
        inner: Any = tool.get("toolSpec") or tool.get("systemTool") or {}
        return str(inner.get("name", ""))

    def allow(self, names: Sequence[str], mode: Literal["auto", "required"] = "auto") -> Json:
        """Nothing: `toolChoice` is auto, any, or one tool (Converse, API reference)."""
        del names, mode
        return {}

    def mark(self, ttl: str = "") -> Json:
        """The value of a mark; the lifetime is named where it is not the default."""
        return {"type": "default", "ttl": ttl} if ttl else {"type": "default"}

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Not behind documents, videos, reasoning or empty text (Bedrock, Prompt caching)."""
        del message
        return not _UNMARKABLE & set(part) and part.get("text") != "" and bool(part)

    def blocks(self, request: Mapping[str, Any]) -> tuple[Block, ...]:
        """Cut a request into blocks, in the order the provider hashes them."""
        return super().blocks(_flat(request))

    def hashed(
        self,
        request: Mapping[str, Any],
        cuts: Cuts | None = None,
        keep: int | None = None,
        keys: Callable[[Any], object] = frozen,
        skip: int = 0,
    ) -> tuple[Block, ...]:
        """The blocks that render, without section `free`."""
        del keys  # the messages cut are folded ones, made anew
        known = request.blocks_of(self) if isinstance(request, Sent) else None
        return super().hashed(_flat(request), cuts, keep, skip=skip) if known is None else known

    def request(self, blocks: Sequence[Block]) -> Json:
        """Put blocks back together: the inverse of `blocks`, byte for byte."""
        found = super().request(blocks)
        config = found.get("toolConfig")
        pulled = found.pop("tools") if is_json(config) and config.get("tools") == _PULLED else None
        out = {k: _unfolded_value(k, v) for k, v in found.items()}
        if pulled is not None:
            out["toolConfig"] = {**out["toolConfig"], "tools": _unfolded(pulled)}
        return out


def _flat(request: Mapping[str, Any]) -> Json:
    """The request with its tools at the top and every mark folded into the block it covers."""
    flat: Json = {}
    for key, value in request.items():
        flat[key] = value
        if key == "toolConfig" and is_json(value) and "tools" not in request:
            tools: Any = value.get("tools")
            if is_list(tools):
                flat[key] = {**value, "tools": _PULLED}
                flat["tools"] = _folded(tools)
        elif key == "system" and is_list(value):
            flat[key] = _folded(value)
        elif key == "messages" and is_list(value):
            flat[key] = [_folded_message(message) for message in value]
    return flat


def _folded_message(message: Any) -> Any:
    content: Any = message.get("content") if is_json(message) else None
    return {**message, "content": _folded(content)} if is_list(content) else message


def _folded(parts: Sequence[Any]) -> list[Any]:
    out: list[Any] = []
    for part in parts:
        before: Any = out[-1] if out else None
        if _is_mark(part) and is_json(before) and before and _MARK not in before:
            out[-1] = {**before, **part}
        else:
            out.append(part)
    return out


def _unfolded_value(key: str, value: Any) -> Any:
    if key == "system" and is_list(value):
        return _unfolded(value)
    if key == "messages" and is_list(value):
        return [_unfolded_message(message) for message in value]
    return value


def _unfolded_message(message: Any) -> Any:
    content: Any = message.get("content") if is_json(message) else None
    return {**message, "content": _unfolded(content)} if is_list(content) else message


def _unfolded(parts: Sequence[Any]) -> list[Any]:
    out: list[Any] = []
    for part in parts:
        if not is_json(part) or _is_mark(part):
            out.append(part)
            continue
        bare = {k: v for k, v in part.items() if k != _MARK and (k, v) != ("type", "")}
        out.append(bare)
        if _MARK in part:
            out.append({_MARK: part[_MARK]})
    return out


def _bare(part: Any) -> Any:
    marked = is_json(part) and not _is_mark(part)
    return {k: v for k, v in part.items() if k != _MARK} if marked else part


def _is_mark(part: object) -> bool:
    return is_json(part) and list(part) == [_MARK]
