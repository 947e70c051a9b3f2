"""Dialects: the wire APIs agentcache reads and writes."""

from collections.abc import Mapping
from typing import Any, Final

from agentcache.dialects.anthropic_messages import AnthropicMessages
from agentcache.dialects.base import Dialect, Json, Parts, is_json
from agentcache.dialects.bedrock_converse import BedrockConverse
from agentcache.dialects.openai_chat import OpenAIChat, OpenAIChatControl, OpenAIChatText
from agentcache.dialects.openai_responses import OpenAIResponses
from agentcache.errors import OptionError

__all__ = ["DIALECTS", "Dialect", "Json", "Parts", "dialect", "dialect_of"]

_ALL: Final[tuple[Dialect, ...]] = (
    OpenAIChat(),
    OpenAIChatText(),
    OpenAIChatControl(),
    OpenAIResponses(),
    AnthropicMessages(),
    BedrockConverse(),
)
DIALECTS: Final[Mapping[str, Dialect]] = {d.name: d for d in _ALL}


def dialect(name: str) -> Dialect:
    """Return a dialect by name; raises OptionError naming those there are."""
    try:
        return DIALECTS[name]
    except KeyError:
        known = ", ".join(DIALECTS)
        raise OptionError(f"No dialect {name!r}. Known: {known}.") from None


def dialect_of(request: Mapping[str, Any]) -> Dialect:
    """Guess a request's dialect from its shape.

    `modelId` or `inferenceConfig` is Bedrock Converse; `input` is Responses; a top-level `system`
    or `stop_sequences`, Anthropic's shape of a tool, or a Claude model with `max_tokens` is
    Anthropic; anything else with `messages` is Chat. Raises OptionError if it is none of them.
    """
    if "modelId" in request or "inferenceConfig" in request:
        return DIALECTS["bedrock.converse"]
    if "input" in request:
        return DIALECTS["openai.responses"]
    if "messages" not in request:
        keys = sorted(map(str, request))
        raise OptionError(f"Not a chat request: it has neither 'messages' nor 'input': {keys!r}")
    tools = request.get("tools") or ()
    anthropic = (
        "system" in request
        or "stop_sequences" in request
        or any(is_json(tool) and "input_schema" in tool for tool in tools)
        or (str(request.get("model", "")).startswith("claude") and "max_tokens" in request)
    )
    return DIALECTS["anthropic.messages" if anthropic else "openai.chat"]
