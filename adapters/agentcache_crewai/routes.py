"""Where a model's calls go: its endpoint, and the caching rule of whoever answers there."""

import os
from typing import Any, Final

from agentcache.rules import Rule, all_rules, match_rule

__all__ = ["NOT_TAKEN", "base_url_of", "rule_of"]

_URL_VARIABLES: Final = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "anthropic": ("ANTHROPIC_BASE_URL",),
}
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")
NOT_TAKEN: Final[dict[str, Any]] = {
    "marks": False,
    "affinity": None,
    "affinities": (),
    "single_shot": {},
    "restrict": (),
}
"""What a rule may ask for besides text; left out where a wire or a host may not know it."""


def rule_of(llm: Any, route: str, provider: str | None) -> Rule:
    """The rule that applies: the user's choice, the host's, the route's, or the model's.

    `route` is CrewAI's name of who answers; empty where the model's own name tells. Where no row is
    about that route, the model's family decides how it matches, and nothing is sent that the host
    may not know.
    """
    found = match_rule(llm.model, base_url_of(llm), provider)
    if found.by in ("provider", "host") or not route:
        return found.rule
    name = route.removesuffix("_chat").removeprefix("hosted_")
    for known in (route, name):
        if any(known in (row.provider, *row.aliases) for row in all_rules()):
            return match_rule(llm.model, "", known).rule
    return found.rule.model_copy(update=NOT_TAKEN)


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
