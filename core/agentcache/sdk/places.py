"""Where an SDK's client sends its requests, and whose they are."""

from typing import Any, Final

from agentcache.errors import UnknownObjectError
from agentcache.parent import CacheDomain

__all__ = ["dialects_of", "is_async", "place_of"]

_SECRETS: Final = ("api_key", "auth_token", "organization", "project")
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")


def place_of(client: Any) -> tuple[str, str]:
    """A client's base URL, empty for a vendor's own, and a digest of whose key it uses."""
    url = str(getattr(client, "base_url", "") or "").rstrip("/")
    secrets = [getattr(client, name, None) for name in _SECRETS]
    digest = CacheDomain.digest(*(s if isinstance(s, str) else None for s in secrets))
    return "" if url in _VENDOR_URLS else url, digest


def dialects_of(client: Any) -> tuple[str, ...]:
    """The APIs that a client speaks, its usual one first; raises UnknownObjectError for none."""
    if not isinstance(client, type):
        if hasattr(client, "chat") and hasattr(client, "responses"):
            return ("openai.chat", "openai.responses")
        if hasattr(client, "messages") and hasattr(client, "with_options"):
            return ("anthropic.messages",)
    raise UnknownObjectError(
        f"{client!r:.80} is no client of openai or anthropic. Pass openai.OpenAI(), "
        "anthropic.AsyncAnthropic(), or another client of theirs."
    )


def is_async(client: Any) -> bool:
    """Whether a client's calls are awaited."""
    return hasattr(client, "__aenter__")
