"""How each of CrewAI's model classes speaks: its dialect, and where its request can be seen."""

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from crewai import BaseLLM

from agentcache.parent import CacheDomain
from agentcache.rules import Rule, rule_for

__all__ = ["Wire", "fit_sdk", "wire_of"]

_URL_VARIABLES: Final = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "anthropic": ("ANTHROPIC_BASE_URL",),
}
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")
_PROBE: Final = [{"role": "user", "content": "?"}]


@dataclass(frozen=True, slots=True)
class Wire:
    """A model class's way to the wire.

    `native` classes build the provider's own request, which is where a fork is written. For any
    other class it is written into the messages given to `call`: no marks and no wire parameters.
    """

    kind: Literal["openai", "anthropic", "messages"]
    dialect: str

    @property
    def native(self) -> bool:
        """Whether the provider's own request is built by the class, where a fork can be written."""
        return self.kind != "messages"

    def rule(self, llm: BaseLLM, provider: str | None) -> Rule:
        """The caching rule that applies to the model, less what this class cannot send."""
        rule = rule_for(llm.model, base_url_of(llm), provider)
        if self.native:
            return rule
        return rule.model_copy(
            update={"marks": False, "affinity": None, "restrict": (), "single_shot": {}}
        )

    def domain(self, llm: BaseLLM, rule: Rule) -> CacheDomain:
        """Whose cache the model's calls can share."""
        secrets = (llm.api_key, getattr(llm, "organization", None), getattr(llm, "project", None))
        return CacheDomain(rule.provider, llm.model, base_url_of(llm), CacheDomain.digest(*secrets))

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """CrewAI's tool schemas as this class would send them."""
        if not schemas or not takes_tools(llm):
            return []
        if not self.native:
            return [dict(schema) for schema in schemas]
        return list(llm._convert_tools_for_interference(list(schemas)))

    def params(self, llm: Any) -> dict[str, Any]:
        """The parameters that this model sends with every request, without sending one."""
        if not self.native:
            return {}
        return dict(llm._prepare_completion_params(list(_PROBE)))

    def sample(
        self, llm: Any, system: str, user: str, schemas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The first request of a conversation, without sending one."""
        messages = [
            {"role": "system", "content": system, "cache_breakpoint": True},
            {"role": "user", "content": user, "cache_breakpoint": True},
        ]
        tools = list(schemas) if schemas and takes_tools(llm) else None
        if self.kind == "anthropic":
            said, told = llm._format_messages_for_anthropic(messages)
            return dict(llm._prepare_completion_params(said, told, tools))
        plain = [{k: v for k, v in m.items() if k in ("role", "content")} for m in messages]
        if self.kind == "openai":
            return dict(llm._prepare_completion_params(plain, tools))
        return {"messages": plain, **({"tools": tools} if tools else {})}


def wire_of(llm: BaseLLM) -> Wire:
    """Tell how a model speaks, without importing providers the program does not use."""
    anthropic = _loaded("crewai.llms.providers.anthropic.completion", "AnthropicCompletion")
    openai = _loaded("crewai.llms.providers.openai.completion", "OpenAICompletion")
    if anthropic is not None and isinstance(llm, anthropic):
        return Wire("anthropic", "anthropic.messages")
    if openai is not None and isinstance(llm, openai) and getattr(llm, "api", "") == "completions":
        return Wire("openai", "openai.chat")
    return Wire("messages", "openai.chat.text")


def takes_tools(llm: Any) -> bool:
    """Whether CrewAI sends this model tools at all, or writes them into the prompt's text."""
    asks = getattr(llm, "supports_function_calling", None)
    return bool(asks()) if callable(asks) else False


def base_url_of(llm: Any) -> str:
    """The endpoint a model calls; empty for its provider's own."""
    given = getattr(llm, "base_url", None) or getattr(llm, "api_base", None)
    named = next(
        (os.environ[v] for v in _URL_VARIABLES.get(llm.provider, ()) if v in os.environ), ""
    )
    url = str(given or named).rstrip("/")
    return "" if url in _VENDOR_URLS else url


def fit_sdk(wire: Wire, params: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Move request fields that the installed SDK does not name yet into its `extra_body`."""
    known = _sdk_names(wire.kind)
    extra = {k: v for k, v in params.items() if k not in before and known and k not in known}
    if not extra:
        return params
    body: dict[str, Any] = {**(params.get("extra_body") or {}), **extra}
    return {**{k: v for k, v in params.items() if k not in extra}, "extra_body": body}


@lru_cache(maxsize=4)
def _sdk_names(kind: str) -> frozenset[str]:
    if kind == "openai":
        from openai.resources.chat.completions import Completions  # noqa: PLC0415

        return frozenset(inspect.signature(Completions.create).parameters)
    if kind == "anthropic":
        from anthropic.resources.messages import Messages  # noqa: PLC0415

        return frozenset(inspect.signature(Messages.create).parameters)
    return frozenset()


def _loaded(module: str, name: str) -> type | None:
    found = sys.modules.get(module)
    return getattr(found, name, None) if found is not None else None
