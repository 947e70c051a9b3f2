"""Anthropic Messages."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agentcache.dialects.base import BlockCutter, Json, Parts
from agentcache.dialects.openai_chat import texts_of

__all__ = ["AnthropicMessages"]

_INLINE_TOOLS = {"anthropic-beta": "inline-tools-2026-09-15"}
_UNMARKABLE = ("thinking", "redacted_thinking")


class AnthropicMessages(BlockCutter):
    """Dialect `anthropic.messages`: tools, then system, then messages.

    Shared context stands in `system`: a changed `tool_choice` invalidates the messages level only
    (Anthropic, table "What invalidates the cache").
    """

    name = "anthropic.messages"
    text_type = "text"
    mark_key = "cache_control"
    context_in: Literal["system", "user"] = "system"
    system_key = "system"
    messages_key = "messages"
    alternates = True
    rendered: tuple[str, ...] = ("model", "thinking", "output_config", "output_format", "speed")

    def split(self, request: Mapping[str, Any]) -> Parts:
        """Take a request apart."""
        system = tuple(texts_of(request.get("system") or ()))
        rest = {k: v for k, v in request.items() if k not in {"system", "messages", "tools"}}
        messages = tuple(request.get("messages") or ())
        return Parts(system, messages, tuple(request.get("tools") or ()), rest)

    def join(
        self,
        rest: Mapping[str, Any],
        tools: Sequence[Json],
        system: Sequence[Json],
        messages: Sequence[Json],
    ) -> Json:
        """Put a request together."""
        body: Json = {**rest, "messages": list(messages)}
        if system:
            body["system"] = list(system)
        if tools:
            body["tools"] = list(tools)
        return body

    def tool_name(self, tool: Mapping[str, Any]) -> str:
        """Name of one tool definition."""
        return str(tool.get("name", tool.get("type", "")))

    def allow(self, names: Sequence[str], mode: Literal["auto", "required"] = "auto") -> Json:
        """`tool_choice` none; Anthropic has no way to allow some tools and not others."""
        del mode
        return {} if names else {"tool_choice": {"type": "none"}}

    def added(self, tools: Sequence[Json]) -> tuple[list[Json], dict[str, str]]:
        """A system turn of `tool_addition` blocks (Anthropic, beta of 2026-09-15)."""
        inline = [{"type": "tool_definition", "definition": dict(tool)} for tool in tools]
        blocks: list[Json] = [{"type": "tool_addition", "tool": each} for each in inline]
        return ([{"role": "system", "content": blocks}] if tools else []), dict(_INLINE_TOOLS)

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Thinking blocks and empty text cannot carry a mark (Anthropic prompt caching, 2026)."""
        del message
        kind = part.get("type")
        return kind not in _UNMARKABLE and not (kind == "text" and not part.get("text"))
