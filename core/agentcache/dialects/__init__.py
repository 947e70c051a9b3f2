"""Dialects: the wire APIs agentcache reads and writes."""

from collections.abc import Mapping
from typing import Any, Final

from agentcache.dialects.anthropic_messages import AnthropicMessages
from agentcache.dialects.base import Dialect, Json, Parts
from agentcache.dialects.openai_chat import OpenAIChat, OpenAIChatText
from agentcache.dialects.openai_responses import OpenAIResponses
from agentcache.errors import OptionError

__all__ = ["DIALECTS", "Dialect", "Json", "Parts", "dialect", "dialect_of"]

DIALECTS: Final[Mapping[str, Dialect]] = {
    d.name: d for d in (OpenAIChat(), OpenAIChatText(), OpenAIResponses(), AnthropicMessages())
}


def dialect(name: str) -> Dialect:
    """Return a dialect by name; raises OptionError naming those there are."""
    try:
        return DIALECTS[name]
    except KeyError:
        known = ", ".join(DIALECTS)
        raise OptionError(f"No dialect {name!r}. Known: {known}.") from None


def dialect_of(request: Mapping[str, Any]) -> Dialect:
    """Guess a request's dialect from its shape.

    `input` is Responses; a top-level `system`, Anthropic tool or content shapes are Anthropic;
    anything else with `messages` is Chat. Raises OptionError if it is none of them.
    """
    if "input" in request:
        return DIALECTS["openai.responses"]
    if "messages" not in request:
        keys = sorted(map(str, request))
        raise OptionError(f"Not a chat request: it has neither 'messages' nor 'input': {keys!r}")
    tools = request.get("tools") or ()
    anthropic = (
        "system" in request
        or "stop_sequences" in request
        or any("input_schema" in t for t in tools)
        or (str(request.get("model", "")).startswith("claude") and "max_tokens" in request)
    )
    return DIALECTS["anthropic.messages" if anthropic else "openai.chat"]
