"""Where each API and framework keeps its counts of tokens: a table, one row per shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["SHAPES", "Payload", "Shape"]

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where one API keeps its counts. A path's dots go one object deeper.

    `known_by`: it is this shape if one of these keys is there. Of `total`, `read` and `write` the
    first that holds a number counts; of reads and writes the sum with `adds`; of `output` always
    the sum. `fresh`: the total leaves the cached tokens out. `split` maps TTL names to paths,
    `listed` is the key of a list of them.
    """

    known_by: tuple[str, ...]
    total: tuple[str, ...]
    read: tuple[str, ...]
    write: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    split: tuple[tuple[str, str], ...] = ()
    listed: str = ""
    fresh: bool = False
    adds: bool = False

    def fits(self, payload: Payload) -> bool:
        """Whether a payload has this shape."""
        return any(key in payload for key in self.known_by)


_TIERS: Final = ("", "priority_", "flex_")


def _tiers(*names: str) -> tuple[str, ...]:
    return tuple(f"input_token_details.{tier}{name}" for name in names for tier in _TIERS)


_DETAILS: Final = "prompt_tokens_details"
SHAPES: Final = (
    Shape(  # CrewAI's counters: whatever the provider, the total is inclusive
        known_by=("cached_prompt_tokens",),
        total=("prompt_tokens", "prompt_token_count", "input_tokens"),
        read=("cached_prompt_tokens",),
        write=("cache_creation_tokens",),
        output=("completion_tokens", "output_tokens"),
    ),
    Shape(  # llama.cpp, beside or instead of its usage
        known_by=("cache_n", "prompt_n", "timings"),
        total=("prompt_n", "timings.prompt_n"),
        read=("cache_n", "timings.cache_n"),
        output=("predicted_n", "timings.predicted_n"),
        fresh=True,
    ),
    Shape(  # Gemini generateContent, as its SDK gives it
        known_by=("prompt_token_count",),
        total=("prompt_token_count",),
        read=("cached_content_token_count",),
        output=("candidates_token_count", "thoughts_token_count"),
    ),
    Shape(  # Gemini generateContent, REST
        known_by=("promptTokenCount",),
        total=("promptTokenCount",),
        read=("cachedContentTokenCount",),
        output=("candidatesTokenCount", "thoughtsTokenCount"),
    ),
    Shape(  # Gemini Interactions
        known_by=("total_input_tokens",),
        total=("total_input_tokens",),
        read=("total_cached_tokens",),
        output=("total_output_tokens", "total_thought_tokens"),
    ),
    Shape(  # Gemini Interactions, REST
        known_by=("totalInputTokens",),
        total=("totalInputTokens",),
        read=("totalCachedTokens",),
        output=("totalOutputTokens", "totalThoughtTokens"),
    ),
    Shape(  # Bedrock Converse
        known_by=("inputTokens",),
        total=("inputTokens",),
        read=("cacheReadInputTokens", "cacheReadInputTokenCount"),
        write=("cacheWriteInputTokens",),
        output=("outputTokens",),
        listed="cacheDetails",
        fresh=True,
    ),
    Shape(  # OpenAI Chat and all who speak it
        known_by=("prompt_tokens",),
        total=("prompt_tokens",),
        read=(
            f"{_DETAILS}.cached_tokens",
            "prompt_cache_hit_tokens",  # DeepSeek
            "cached_tokens",  # Moonshot
            "cache_read_input_tokens",  # Databricks, LiteLLM
            "cached_prompt_text_tokens",  # xAI's own SDK
        ),
        write=(
            f"{_DETAILS}.cache_write_tokens",
            f"{_DETAILS}.cache_creation_input_tokens",  # Qwen
            "cache_creation_input_tokens",  # Databricks, LiteLLM
            f"{_DETAILS}.cache_creation_tokens",  # LiteLLM
        ),
        output=("completion_tokens",),
        split=(
            ("30m", f"{_DETAILS}.cache_write_tokens_details.ttl_30m_tokens"),
            ("12h", f"{_DETAILS}.cache_write_tokens_details.ttl_12h_tokens"),
            ("5m", f"{_DETAILS}.cache_creation_token_details.ephemeral_5m_input_tokens"),
            ("1h", f"{_DETAILS}.cache_creation_token_details.ephemeral_1h_input_tokens"),
        ),
    ),
    Shape(  # LangChain: where a lifetime is known, cache_creation does not count its tokens
        known_by=("input_token_details",),
        total=("input_tokens",),
        read=_tiers("cache_read"),
        write=(
            *_tiers("cache_creation"),
            "input_token_details.ephemeral_5m_input_tokens",
            "input_token_details.ephemeral_1h_input_tokens",
        ),
        output=("output_tokens",),
        split=(
            ("5m", "input_token_details.ephemeral_5m_input_tokens"),
            ("1h", "input_token_details.ephemeral_1h_input_tokens"),
        ),
        adds=True,
    ),
    Shape(  # Anthropic Messages
        known_by=("cache_read_input_tokens", "cache_creation_input_tokens"),
        total=("input_tokens",),
        read=("cache_read_input_tokens",),
        write=("cache_creation_input_tokens",),
        output=("output_tokens",),
        split=(
            ("5m", "cache_creation.ephemeral_5m_input_tokens"),
            ("1h", "cache_creation.ephemeral_1h_input_tokens"),
        ),
        fresh=True,
    ),
    Shape(  # OpenAI Responses
        known_by=("input_tokens",),
        total=("input_tokens",),
        read=("input_tokens_details.cached_tokens",),
        write=("input_tokens_details.cache_write_tokens",),
        output=("output_tokens",),
        split=(
            ("30m", "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens"),
            ("12h", "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens"),
        ),
    ),
)
"""The first that fits applies, so the most particular stand first."""
