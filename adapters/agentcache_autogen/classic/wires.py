"""How an agent's client calls its provider, and whose cache it can share.

An agent keeps an `OpenAIWrapper`, which is built anew whenever its tools change, with one client
for each entry of its `config_list`. Those of OpenAI, Azure and Anthropic are forked where they call
their SDK, the first entry's only: the others are asked when it fails.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.parent import CacheDomain
from agentcache.rules import Rule, match_route
from agentcache.sdk.lines import line, plain_client

__all__ = ["Wire", "connect", "disconnect", "wire_of"]

_CLASSES: Final = (
    ("autogen.oai.client", "OpenAIClient", "openai.chat", "_oai_client"),
    ("autogen.oai.anthropic", "AnthropicClient", "anthropic.messages", "_client"),
)
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")
_SECRETS: Final = ("api_key", "auth_token", "organization", "project", "aws_region")
_LATER: Final = "fallback: only the first entry of config_list is forked"


@dataclass(frozen=True, slots=True)
class Wire:
    """How the first client of a wrapper speaks; `config` is its entry."""

    dialect: str
    sdk: Any
    config: Json

    @property
    def model(self) -> str:
        """The model's name, as the provider knows it."""
        return str(self.config.get("model") or "")

    @property
    def url(self) -> str:
        """The endpoint it calls; empty for its provider's own."""
        url = str(getattr(self.sdk, "base_url", "") or "").rstrip("/")
        return "" if url in _VENDOR_URLS else url

    def rule(self, provider: str | None) -> Rule:
        """The caching rule that applies."""
        routes = ("azure",) if "Azure" in type(self.sdk).__name__ else ()
        return match_route(self.model, self.url, routes, provider).rule

    def domain(self, rule: Rule) -> CacheDomain:
        """Whose cache its calls can share."""
        found = [getattr(self.sdk, name, None) for name in _SECRETS]
        secrets = [str(s) if isinstance(s, str) else f"{s!r}" if s else None for s in found]
        return CacheDomain(rule.provider, self.model, self.url, CacheDomain.digest(*secrets))

    def tools(self, tools: Any) -> list[Json]:
        """Tools of an agent as its client sends them."""
        held = [dict(tool) for tool in tools or () if is_json(tool)]
        if self.dialect != "anthropic.messages":
            return held
        convert = sys.modules["autogen.oai.anthropic"].AnthropicClient.openai_func_to_anthropic
        return [dict(convert(dict(tool["function"]))) for tool in held]


def wire_of(wrapper: Any) -> Wire | None:
    """How the first client of a wrapper speaks; None for a class that is not known."""
    clients: list[Any] = wrapper._clients
    for _, client, dialect, attribute in _known(clients[:1]):
        sdk = plain_client(getattr(client, attribute))
        return Wire(dialect, sdk, dict(wrapper._config_list[0]))
    return None


def connect(wrapper: Any) -> None:
    """Have a wrapper's clients call their SDKs through lines of ours."""
    for n, client, _, attribute in _known(wrapper._clients):
        sdk = getattr(client, attribute)
        if plain_client(sdk) is sdk:
            setattr(client, attribute, line(sdk, _LATER if n else ""))


def disconnect(wrapper: Any) -> None:
    """Give a wrapper's clients their SDKs back."""
    for _, client, _, attribute in _known(getattr(wrapper, "_clients", ())):
        setattr(client, attribute, plain_client(getattr(client, attribute)))


def _known(clients: Any) -> Iterator[tuple[int, Any, str, str]]:
    """(number, client, dialect, where it keeps its SDK) of those whose class is known."""
    for n, client in enumerate(clients):
        for module, name, dialect, attribute in _CLASSES:
            cls = getattr(sys.modules.get(module), name, None)
            if cls is not None and isinstance(client, cls):
                yield n, client, dialect, attribute
