"""OpenAI Chat Completions, and the many hosts that speak it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agentcache.dialects.base import BlockCutter, Json, Parts, is_json, role_of

__all__ = ["OpenAIChat", "OpenAIChatControl", "OpenAIChatText", "is_system", "texts_of"]

_SYSTEM_ROLES = ("system", "developer")


class OpenAIChat(BlockCutter):
    """Dialect `openai.chat`: tools, then messages with the system text first among them."""

    name = "openai.chat"
    text_type = "text"
    mark_key = "prompt_cache_breakpoint"
    context_in: Literal["system", "user"] = "user"
    system_key = messages_key = "messages"
    rendered: tuple[str, ...] = (
        "model",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "parallel_tool_calls",
        "functions",
        "service_tier",
        "web_search_options",
    )

    def split(self, request: Mapping[str, Any]) -> Parts:
        """Take a request apart; the leading system or developer messages are its system text.

        One with a name is an example (OpenAI cookbook, formatting inputs) and stays a message.
        """
        messages: list[Json] = list(request.get("messages") or ())
        lead = 0
        while lead < len(messages) and is_system(messages[lead]):
            lead += 1
        system = tuple(t for m in messages[:lead] for t in texts_of(m.get("content")))
        rest = {k: v for k, v in request.items() if k not in {"messages", "tools"}}
        return Parts(system, tuple(messages[lead:]), tuple(request.get("tools") or ()), rest)

    def join(
        self,
        rest: Mapping[str, Any],
        tools: Sequence[Json],
        system: Sequence[Json],
        messages: Sequence[Json],
    ) -> Json:
        """Put a request together."""
        lead: list[Json] = [{"role": "system", "content": list(system)}] if system else []
        body: Json = {**rest, "messages": [*lead, *messages]}
        if tools:
            body["tools"] = list(tools)
        return body

    def tool_name(self, tool: Mapping[str, Any]) -> str:
        """Name of one tool definition."""
        inner = tool.get("function") or tool.get("custom") or tool
        return str(inner.get("name", tool.get("type", "")))

    def allow(self, names: Sequence[str], mode: Literal["auto", "required"] = "auto") -> Json:
        """`tool_choice` none, or the nested `allowed_tools` form of Chat Completions."""
        if not names:
            return {"tool_choice": "none"}
        tools = [{"type": "function", "function": {"name": n}} for n in names]
        allowed = {"mode": mode, "tools": tools}
        return {"tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Assistant messages cannot carry a mark (OpenAI prompt caching guide, 2026-09)."""
        return message.get("role") != "assistant" and bool(part)


class OpenAIChatControl(OpenAIChat):
    """Dialect `openai.chat.control`: Chat messages whose parts carry Anthropic's mark.

    Spoken by what passes such marks on to the provider: LiteLLM, OpenRouter. Shared context stands
    in the system message, as in `anthropic.messages`.
    """

    name = "openai.chat.control"
    mark_key = "cache_control"
    context_in: Literal["system", "user"] = "system"

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Empty text cannot carry a mark (Anthropic prompt caching, 2026)."""
        return super().markable(message, part) and part.get("text") != ""


class OpenAIChatText(OpenAIChat):
    """Dialect `openai.chat.text`: what is added to Chat messages is plain text, one per message.

    For model classes that take messages but may not know content parts; it carries no marks.
    """

    name = "openai.chat.text"
    mark_key = ""

    def join(
        self,
        rest: Mapping[str, Any],
        tools: Sequence[Json],
        system: Sequence[Json],
        messages: Sequence[Json],
    ) -> Json:
        """Put a request together, every shared text a message of its own."""
        lead = [{"role": "system", "content": part["text"]} for part in system]
        body: Json = {**rest, "messages": [*lead, *messages]}
        if tools:
            body["tools"] = list(tools)
        return body

    def opened(self, opening: Sequence[Json], messages: Sequence[Json]) -> list[Json]:
        """Put user texts in front of messages, which stay exactly as they are."""
        return [*({"role": "user", "content": part["text"]} for part in opening), *messages]


def is_system(message: object) -> bool:
    """Whether a message is system text and nothing else."""
    return is_json(message) and "name" not in message and role_of(message) in _SYSTEM_ROLES


def texts_of(content: Any) -> list[str]:
    """Text of a message content, be it a string or a list of parts."""
    if isinstance(content, str):
        return [content]
    return [str(part.get("text", "")) for part in content or () if is_json(part)]
