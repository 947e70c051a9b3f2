"""Usage: what a call cost in tokens, in one shape for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

__all__ = ["Usage"]

_OPENAI_TTLS: Final = {"30m": "ttl_30m_tokens", "12h": "ttl_12h_tokens"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `None` means the provider did not say, never zero.

    `input_tokens` is the inclusive total: fresh + `cached_tokens` (read) + `cache_write_tokens`.
    `writes` splits the written tokens by TTL name where the provider does, e.g. `(("5m", 1200),)`.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    writes: tuple[tuple[str, int], ...] = ()

    @property
    def fresh_tokens(self) -> int | None:
        """Input tokens neither read from nor written to a cache; None where that is unknown.

        A provider that reports reads and no writes bills no writes: they count as fresh.
        """
        if self.input_tokens is None or self.cached_tokens is None:
            return None
        fresh = self.input_tokens - self.cached_tokens - (self.cache_write_tokens or 0)
        return fresh if fresh >= 0 else None  # a payload that contradicts itself tells nothing

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any] | None) -> "Usage":
        """Read a provider's `usage` object: OpenAI Chat or Responses, Anthropic, or alike.

        Whether the raw input count already holds the cached tokens differs: OpenAI's does,
        Anthropic's does not (Anthropic: `total = input + cache_creation + cache_read`).
        """
        if not payload:
            return cls()
        if "prompt_tokens" in payload:
            return _chat(payload)
        if "cache_read_input_tokens" in payload or "cache_creation_input_tokens" in payload:
            return _anthropic(payload)
        if "input_tokens" in payload:
            return _responses(payload)
        return cls()


def _int(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _first(*values: Any) -> int | None:
    return next((n for value in values if (n := _int(value)) is not None), None)


def _details(payload: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Any = payload.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _chat(payload: Mapping[str, Any]) -> Usage:
    details = _details(payload, "prompt_tokens_details")
    cached = _first(
        details.get("cached_tokens"),
        payload.get("prompt_cache_hit_tokens"),  # DeepSeek
        payload.get("cached_tokens"),  # Moonshot
        payload.get("cache_read_input_tokens"),  # Databricks, LiteLLM
    )
    write = _first(
        details.get("cache_write_tokens"),
        details.get("cache_creation_input_tokens"),  # Qwen
        payload.get("cache_creation_input_tokens"),  # Databricks, LiteLLM
    )
    split = _details(details, "cache_write_tokens_details")
    return Usage(
        _int(payload.get("prompt_tokens")),
        cached,
        write,
        _int(payload.get("completion_tokens")),
        _split(split, _OPENAI_TTLS),
    )


def _responses(payload: Mapping[str, Any]) -> Usage:
    details = _details(payload, "input_tokens_details")
    split = _details(details, "cache_write_tokens_details")
    return Usage(
        _int(payload.get("input_tokens")),
        _int(details.get("cached_tokens")),
        _int(details.get("cache_write_tokens")),
        _int(payload.get("output_tokens")),
        _split(split, _OPENAI_TTLS),
    )


def _anthropic(payload: Mapping[str, Any]) -> Usage:
    fresh = _int(payload.get("input_tokens"))
    read = _int(payload.get("cache_read_input_tokens"))
    write = _int(payload.get("cache_creation_input_tokens"))
    split = _details(payload, "cache_creation")
    return Usage(
        None if fresh is None else fresh + (read or 0) + (write or 0),
        read,
        write,
        _int(payload.get("output_tokens")),
        _split(split, {"5m": "ephemeral_5m_input_tokens", "1h": "ephemeral_1h_input_tokens"}),
    )


def _split(payload: Mapping[str, Any], keys: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    found = ((ttl, _int(payload.get(key))) for ttl, key in keys.items())
    return tuple((ttl, count) for ttl, count in found if count)
