"""Which of CrewAI's model classes a model is, and so how it speaks."""

from typing import Any, Final

from agentcache_crewai.clouds import Azure, Converse, LiteLLM
from agentcache_crewai.native import Anthropic, Chat, Responses
from agentcache_crewai.wires import Wire, loaded

__all__ = ["wire_of"]

_CHAT: Final = Chat()
_RESPONSES: Final = Responses()
_KNOWN: Final = (
    ("crewai.llms.providers.anthropic.completion", "AnthropicCompletion", Anthropic()),
    ("crewai.llms.providers.openai.completion", "OpenAICompletion", _CHAT),
    ("crewai.llms.providers.azure.completion", "AzureCompletion", Azure()),
    ("crewai.llms.providers.bedrock.completion", "BedrockCompletion", Converse()),
    ("crewai.llm", "LLM", LiteLLM()),
)
_GEMINI: Final = Wire(own_format=True)


def wire_of(llm: Any) -> Wire:
    """Tell how a model speaks, without importing providers the program does not use."""
    gemini = loaded("crewai.llms.providers.gemini.completion", "GeminiCompletion")
    if gemini is not None and isinstance(llm, gemini):
        return _GEMINI
    for module, name, wire in _KNOWN:
        cls = loaded(module, name)
        if cls is not None and isinstance(llm, cls):
            return _RESPONSES if _api_of(llm) == "responses" else wire
    return Wire()


def _api_of(llm: Any) -> str:
    """OpenAI's API that is used, which may change once a model was refused by the other one."""
    effective = getattr(llm, "_effective_api", None)
    return str(effective() if callable(effective) else getattr(llm, "api", ""))
