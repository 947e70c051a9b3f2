"""OpenAI Responses."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agentcache.dialects.base import BlockCutter, Json, Parts, role_of
from agentcache.dialects.openai_chat import is_system, texts_of

__all__ = ["OpenAIResponses"]

_RESULTS = ("function_call_output", "custom_tool_call_output")


class OpenAIResponses(BlockCutter):
    """Dialect `openai.responses`: instructions cannot carry a mark, so they become input items."""

    name = "openai.responses"
    text_type = "input_text"
    mark_key = "prompt_cache_breakpoint"
    context_in: Literal["system", "user"] = "user"
    system_key = "instructions"
    messages_key = "input"
    rendered: tuple[str, ...] = (
        "model",
        "text",
        "reasoning",
        "parallel_tool_calls",
        "service_tier",
        "truncation",
        "context_management",
        "previous_response_id",
        "conversation",
        "prompt",
    )

    def split(self, request: Mapping[str, Any]) -> Parts:
        """Take a request apart; instructions and leading developer items are its system text."""
        value = request.get("input") or ()
        items: list[Json] = (
            [{"role": "user", "content": value}] if isinstance(value, str) else list(value)
        )
        lead = 0
        while lead < len(items) and is_system(items[lead]):
            lead += 1
        instructions = request.get("instructions")
        system = [instructions] if isinstance(instructions, str) and instructions else []
        system += [t for m in items[:lead] for t in texts_of(m.get("content"))]
        rest = {k: v for k, v in request.items() if k not in {"input", "tools", "instructions"}}
        return Parts(tuple(system), tuple(items[lead:]), tuple(request.get("tools") or ()), rest)

    def join(
        self,
        rest: Mapping[str, Any],
        tools: Sequence[Json],
        system: Sequence[Json],
        messages: Sequence[Json],
    ) -> Json:
        """Put a request together, the shared system text as a developer item."""
        lead: list[Json] = [{"role": "developer", "content": list(system)}] if system else []
        body: Json = {**rest, "input": [*lead, *messages]}
        if tools:
            body["tools"] = list(tools)
        return body

    def content_key(self, message: Mapping[str, Any]) -> str:
        """A tool's result keeps it under `output`."""
        return "output" if role_of(message) in _RESULTS else "content"

    def tool_name(self, tool: Mapping[str, Any]) -> str:
        """Name of one tool definition; built-in tools are named by their type."""
        return str(tool.get("name", tool.get("type", "")))

    def allow(self, names: Sequence[str], mode: Literal["auto", "required"] = "auto") -> Json:
        """`tool_choice` none, or the flat `allowed_tools` form of Responses."""
        if not names:
            return {"tool_choice": "none"}
        tools = [{"type": "function", "name": n} for n in names]
        return {"tool_choice": {"type": "allowed_tools", "mode": mode, "tools": tools}}

    def added(self, tools: Sequence[Json]) -> tuple[list[Json], dict[str, str]]:
        """An `additional_tools` item (OpenAI Responses, input items, 2026-09)."""
        item = {"type": "additional_tools", "role": "developer", "tools": list(tools)}
        return ([item] if tools else []), {}

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Only input parts carry marks, never assistant output (OpenAI guide, 2026-09)."""
        return message.get("role") != "assistant" and str(part.get("type", "")).startswith("input_")
