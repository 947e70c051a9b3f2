"""Where a model's calls go: its endpoint, and the caching rule of whoever answers there."""

import os
from typing import Any, Final

from agentcache.rules import Rule, match_route

__all__ = ["base_url_of", "rule_of"]

_URL_VARIABLES: Final = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "anthropic": ("ANTHROPIC_BASE_URL",),
}
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")


def rule_of(llm: Any, route: str, provider: str | None) -> Rule:
    """The rule that applies: the user's choice, the host's, the route's, or the model's.

    `route` is CrewAI's name of who answers; empty where the model's own name tells.
    """
    name = route.removesuffix("_chat").removeprefix("hosted_")
    routes = (route, name) if route else ()
    return match_route(llm.model, base_url_of(llm), routes, provider).rule


def base_url_of(llm: Any) -> str:
    """The endpoint a model calls; empty for its provider's own."""
    override: Any = getattr(llm, "client_params", None) or {}
    client: Any = getattr(getattr(llm, "_client", None), "meta", None)  # boto3's
    given = (
        override.get("base_url")
        or getattr(llm, "base_url", None)
        or getattr(llm, "api_base", None)
        or getattr(llm, "endpoint", None)
        or getattr(client, "endpoint_url", None)
    )
    named = next(
        (os.environ[v] for v in _URL_VARIABLES.get(llm.provider, ()) if v in os.environ), ""
    )
    url = str(given or named).rstrip("/")
    return "" if url in _VENDOR_URLS else url
