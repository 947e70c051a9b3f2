"""The model classes that build the request of OpenAI, of what is compatible, or of Anthropic."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from crewai import BaseLLM

from agentcache.rules import Rule
from agentcache_crewai.routes import rule_of
from agentcache_crewai.wires import PROBE, Seam, Wire, takes_tools

__all__ = ["BY_NAME", "Anthropic", "Chat", "Responses", "named_by", "speaker_of"]

BY_NAME: Final = ("openai", "anthropic", "claude")


@dataclass(frozen=True)
class Chat(Wire):
    """Chat Completions as CrewAI's own class for OpenAI sends them."""

    seam: Seam = "completion"
    lacks: tuple[str, ...] = ()
    sdk: str = "openai.resources.chat.completions:Completions.create"
    extra: str = "extra_body"
    official: bool = True
    header_key: str = "extra_headers"

    def spoken(self, rule: Rule) -> str:
        """Chat, with whichever mark the rule's provider reads."""
        return "openai.chat.control" if rule.mark_key == "cache_control" else "openai.chat"

    def rule(self, llm: BaseLLM, provider: str | None) -> Rule:
        """The caching rule that applies to the model."""
        return rule_of(llm, self.route(llm), provider)

    def route(self, llm: Any) -> str:
        """CrewAI's name of the provider; OpenAI's and Anthropic's models tell it themselves."""
        named = str(llm.provider or "")
        return "" if named in BY_NAME else named

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """CrewAI's tool schemas as this class would send them."""
        if not schemas or not takes_tools(llm):
            return []
        return list(llm._convert_tools_for_interference(list(schemas)))

    def params(self, llm: Any) -> dict[str, Any]:
        """The parameters that this model sends with every request, without sending one."""
        return self.body(llm._prepare_completion_params(list(PROBE)), offered=False)

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        said = llm._format_messages(messages)
        return self.body(llm._prepare_completion_params(said, tools), offered=bool(tools))

    def arguments(self, body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """Move request fields that the installed SDK does not name into its extra ones."""
        known = named_by(self.sdk)
        extra = {k: v for k, v in body.items() if k not in params and known and k not in known}
        if not extra:
            return body
        more: dict[str, Any] = {**(params.get(self.extra) or {}), **extra}
        return {**{k: v for k, v in body.items() if k not in extra}, self.extra: more}

    def beside(self, body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The program's own arguments, and what the fork changes as `extra_body`, which wins.

        CrewAI hands its arguments to listeners, which should see the program's messages. And the
        SDK looks at every part of what it is given, but not at its extra body.
        """
        if self.extra != "extra_body" or not self.official:
            return self.arguments(body, params)
        changed = {k: v for k, v in body.items() if params.get(k, self) is not v}
        kept = {k: v for k, v in params.items() if k in body or k == self.extra}
        return {**kept, self.extra: {**(params.get(self.extra) or {}), **changed}}


@dataclass(frozen=True)
class Responses(Chat):
    """OpenAI Responses, also as Azure's class uses it."""

    seam: Seam = "responses"
    sdk: str = "openai.resources.responses:Responses.create"

    def spoken(self, rule: Rule) -> str:
        """Responses."""
        del rule
        return "openai.responses"

    def rule(self, llm: BaseLLM, provider: str | None) -> Rule:
        """The rule; an allow-list cannot name OpenAI's own tools beside functions."""
        rule = rule_of(llm, self.route(llm), provider)
        if not getattr(llm, "builtin_tools", None):
            return rule
        return rule.model_copy(update={"restrict": ()})

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """OpenAI's own tools, which every request carries, and CrewAI's schemas."""
        asked = list(schemas) if schemas and takes_tools(llm) else None
        params = speaker_of(llm)._prepare_responses_params(list(PROBE), asked)
        return list(params.get("tools") or ())

    def params(self, llm: Any) -> dict[str, Any]:
        """The parameters that this model sends with every request, without sending one."""
        return dict(speaker_of(llm)._prepare_responses_params(list(PROBE)))

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        speaker = speaker_of(llm)
        return dict(speaker._prepare_responses_params(speaker._format_messages(messages), tools))

    def chained(self, llm: Any) -> str:
        """Requests that continue a response on the server: its prefix is kept there."""
        for name in ("previous_response_id", "auto_chain", "auto_chain_reasoning"):
            if getattr(llm, name, None):
                return f"chained: {name}={getattr(llm, name)!r} continues a response on the server"
        return ""


@dataclass(frozen=True)
class Anthropic(Chat):
    own_format: bool = True
    writes: bool = True
    sdk: str = "anthropic.resources.messages:Messages.create"

    def spoken(self, rule: Rule) -> str:
        """Anthropic Messages."""
        del rule
        return "anthropic.messages"

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        said, system = llm._format_messages_for_anthropic(messages)
        return dict(llm._prepare_completion_params(said, system, tools))


def speaker_of(llm: Any) -> Any:
    """The model that sends the requests: itself, or the one Azure's class hands Responses to."""
    return getattr(llm, "_responses_delegate", None) or llm


@lru_cache(maxsize=8)
def named_by(path: str) -> frozenset[str]:
    """The parameters that an SDK's method names; none where it is not installed."""
    module, _, names = path.partition(":")
    found: Any = __import__(module, fromlist=["*"])
    for name in names.split("."):
        found = getattr(found, name)
    return frozenset(inspect.signature(found).parameters)
