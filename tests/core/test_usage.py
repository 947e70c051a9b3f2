"""Usage: every provider's payload in one shape; None is not zero (facts/providers, section 2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.usage import Usage
from agentcache.usage_shapes import SHAPES as SHAPES_KNOWN

SHAPES = {
    "openai chat": (
        {
            "prompt_tokens": 2000,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 1500, "cache_write_tokens": 400},
        },
        Usage(2000, 1500, 400, 30),
    ),
    "openai chat before 5.6": (
        {
            "prompt_tokens": 2000,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 1536, "cache_write_tokens": None},
        },
        Usage(2000, 1536, None, 30),
    ),
    "openai responses": (
        {
            "input_tokens": 2000,
            "output_tokens": 30,
            "input_tokens_details": {
                "cached_tokens": 1000,
                "cache_write_tokens": 900,
                "cache_write_tokens_details": {"ttl_30m_tokens": 600, "ttl_12h_tokens": 300},
            },
        },
        Usage(2000, 1000, 900, 30, (("30m", 600), ("12h", 300))),
    ),
    "anthropic": (
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 200,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 200,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": 7,
        },
        Usage(1250, 1000, 200, 7, (("5m", 200),)),
    ),
    "anthropic without a split": (
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_creation": None,
            "output_tokens": 7,
        },
        Usage(50, 0, 0, 7),
    ),
    "deepseek": (
        {
            "prompt_tokens": 900,
            "prompt_cache_hit_tokens": 640,
            "prompt_cache_miss_tokens": 260,
            "completion_tokens": 5,
        },
        Usage(900, 640, None, 5),
    ),
    "moonshot": (
        {
            "prompt_tokens": 900,
            "cached_tokens": 500,
            "prompt_tokens_details": {"cache_write_tokens": 300},
            "completion_tokens": 5,
        },
        Usage(900, 500, 300, 5),
    ),
    "qwen": (
        {
            "prompt_tokens": 900,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 800},
            "completion_tokens": 5,
        },
        Usage(900, 0, 800, 5),
    ),
    "databricks": (
        {
            "prompt_tokens": 900,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 100,
            "completion_tokens": 5,
        },
        Usage(900, 500, 100, 5),
    ),
    "qwen marked, by way of litellm": (
        {
            "prompt_tokens": 900,
            "prompt_tokens_details": {
                "cached_tokens": 100,
                "cache_creation_tokens": 700,
                "cache_creation_token_details": {
                    "ephemeral_5m_input_tokens": 500,
                    "ephemeral_1h_input_tokens": 200,
                },
            },
            "completion_tokens": 5,
        },
        Usage(900, 100, 700, 5, (("5m", 500), ("1h", 200))),
    ),
    "litellm of an anthropic model": (
        {
            "prompt_tokens": 1250,
            "completion_tokens": 7,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 200,
        },
        Usage(1250, 1000, 200, 7),
    ),
    "mistral, groq, fireworks, cerebras, z.ai": (
        {
            "prompt_tokens": 900,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 640},
        },
        Usage(900, 640, None, 5),
    ),
    "openrouter": (
        {
            "prompt_tokens": 10339,
            "completion_tokens": 60,
            "prompt_tokens_details": {"cached_tokens": 10318, "cache_write_tokens": 0},
            "cost": 0.1,
            "cache_discount": 0.2,
        },
        Usage(10339, 10318, 0, 60),
    ),
    "moonshot, in the details": (
        {
            "prompt_tokens": 900,
            "cached_tokens": 500,
            "prompt_tokens_details": {"cached_tokens": 500, "cache_write_tokens": 300},
            "completion_tokens": 5,
        },
        Usage(900, 500, 300, 5),
    ),
    "xai": (
        {
            "prompt_tokens": 125,
            "completion_tokens": 48,
            "prompt_tokens_details": {"text_tokens": 125, "cached_tokens": 98},
        },
        Usage(125, 98, None, 48),
    ),
    "xai, its own sdk": (
        {"prompt_tokens": 125, "completion_tokens": 48, "cached_prompt_text_tokens": 98},
        Usage(125, 98, None, 48),
    ),
    "anthropic with a compaction": (
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 200,
            "cache_creation": {"ephemeral_5m_input_tokens": 200},
            "output_tokens": 7,
            "iterations": [
                {
                    "type": "compaction",
                    "input_tokens": 3000,
                    "cache_read_input_tokens": 0,
                    "cache_creation_input_tokens": 500,
                    "cache_creation": {
                        "ephemeral_5m_input_tokens": 100,
                        "ephemeral_1h_input_tokens": 400,
                    },
                    "output_tokens": 90,
                },
                {
                    "type": "message",
                    "input_tokens": 50,
                    "cache_read_input_tokens": 1000,
                    "cache_creation_input_tokens": 200,
                    "output_tokens": 7,
                },
            ],
        },
        Usage(4750, 1000, 700, 97, (("5m", 300), ("1h", 400))),
    ),
    "anthropic with iterations that its totals hold": (
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": 7,
            "iterations": [{"type": "message", "input_tokens": 50, "output_tokens": 7}, None, "x"],
        },
        Usage(50, 0, 0, 7),
    ),
    "bedrock converse": (
        {
            "inputTokens": 50,
            "outputTokens": 7,
            "totalTokens": 1257,
            "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 200,
            "cacheDetails": [
                {"ttl": "5m", "inputTokens": 150},
                {"ttl": "1h", "inputTokens": 50},
            ],
        },
        Usage(1250, 1000, 200, 7, (("5m", 150), ("1h", 50))),
    ),
    "bedrock converse without caching": (
        {"inputTokens": 50, "outputTokens": 7, "totalTokens": 57},
        Usage(50, None, None, 7),
    ),
    "gemini, rest": (
        {
            "promptTokenCount": 5000,
            "cachedContentTokenCount": 4096,
            "candidatesTokenCount": 10,
            "thoughtsTokenCount": 20,
            "totalTokenCount": 5030,
        },
        Usage(5000, 4096, None, 30),
    ),
    "gemini, sdk": (
        {
            "prompt_token_count": 5000,
            "cached_content_token_count": None,
            "candidates_token_count": 10,
            "thoughts_token_count": None,
        },
        Usage(5000, None, None, 10),
    ),
    "gemini interactions": (
        {
            "total_input_tokens": 5000,
            "total_cached_tokens": 4096,
            "total_output_tokens": 10,
            "total_thought_tokens": 5,
        },
        Usage(5000, 4096, None, 15),
    ),
    "gemini interactions, rest": (
        {"totalInputTokens": 5000, "totalCachedTokens": 4096, "totalOutputTokens": 10},
        Usage(5000, 4096, None, 10),
    ),
    "llama.cpp timings": (
        {"cache_n": 2550, "prompt_n": 40, "predicted_n": 32, "prompt_ms": 30.5},
        Usage(2590, 2550, None, 32),
    ),
    "llama.cpp, a whole answer": (
        {"content": "hi", "timings": {"cache_n": 2550, "prompt_n": 40, "predicted_n": 32}},
        Usage(2590, 2550, None, 32),
    ),
    "langchain": (
        {
            "input_tokens": 2000,
            "output_tokens": 30,
            "total_tokens": 2030,
            "input_token_details": {"cache_read": 1500, "cache_creation": 400},
        },
        Usage(2000, 1500, 400, 30),
    ),
    "langchain on the priority tier": (
        {
            "input_tokens": 2000,
            "output_tokens": 30,
            "input_token_details": {"priority_cache_read": 1500, "priority": 500},
        },
        Usage(2000, 1500, None, 30),
    ),
    "langchain, flex and default added up": (
        {
            "input_tokens": 2000,
            "output_tokens": 30,
            "input_token_details": {"flex_cache_read": 500, "cache_read": 700},
        },
        Usage(2000, 1200, None, 30),
    ),
    "langchain of an anthropic model": (
        {
            "input_tokens": 1250,
            "output_tokens": 7,
            "input_token_details": {
                "cache_read": 1000,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 150,
                "ephemeral_1h_input_tokens": 50,
            },
        },
        Usage(1250, 1000, 200, 7, (("5m", 150), ("1h", 50))),
    ),
    "langchain that knows nothing": (
        {"input_tokens": 9, "output_tokens": 7, "input_token_details": {}},
        Usage(9, None, None, 7),
    ),
    "crewai": (
        {
            "prompt_tokens": 900,
            "completion_tokens": 5,
            "total_tokens": 905,
            "cached_prompt_tokens": 640,
            "cache_creation_tokens": 100,
        },
        Usage(900, 640, 100, 5),
    ),
    "crewai of an anthropic model": (
        {
            "input_tokens": 1250,
            "output_tokens": 7,
            "cached_prompt_tokens": 1000,
            "cache_creation_tokens": 200,
        },
        Usage(1250, 1000, 200, 7),
    ),
    "crewai of a gemini model": (
        {
            "prompt_token_count": 5000,
            "candidates_token_count": 10,
            "completion_tokens": 30,
            "cached_prompt_tokens": 4096,
        },
        Usage(5000, 4096, None, 30),
    ),
    "autogen": ({"prompt_tokens": 900, "completion_tokens": 5}, Usage(900, None, None, 5)),
    "autogen with the cached tokens kept": (
        {"prompt_tokens": 900, "completion_tokens": 5, "cached_tokens": 640},
        Usage(900, 640, None, 5),
    ),
    "counts that are none": (
        {"prompt_tokens": float("nan"), "completion_tokens": True, "cached_tokens": -5},
        Usage(),
    ),
    "vllm without its flag": (
        {"prompt_tokens": 900, "prompt_tokens_details": None, "completion_tokens": 5},
        Usage(900, None, None, 5),
    ),
    "an anthropic alike that says nothing of caches": (
        {"input_tokens": 900, "output_tokens": 5},
        Usage(900, None, None, 5),
    ),
    "nothing": (None, Usage()),
    "no tokens at all": ({"cost": 1}, Usage()),
}


@pytest.mark.parametrize(("payload", "usage"), SHAPES.values(), ids=SHAPES)
def test_a_payload_is_read(payload, usage) -> None:
    assert Usage.from_payload(payload) == usage


def test_reads_that_were_not_reported_leave_the_fresh_ones_unknown() -> None:
    assert Usage.from_payload(SHAPES["vllm without its flag"][0]).fresh_tokens is None


def test_a_total_that_was_not_reported_leaves_the_fresh_ones_unknown() -> None:
    assert Usage(None, 10, 10).fresh_tokens is None


def test_a_payload_that_contradicts_itself_tells_nothing() -> None:
    assert Usage(10, 8, 8).fresh_tokens is None


PATHS = sorted({path for s in SHAPES_KNOWN for path in (*s.total, *s.read, *s.write, *s.output)})
SPLITS = sorted({path for s in SHAPES_KNOWN for _, path in s.split})
counts = st.one_of(st.none(), st.integers(-3, 10_000), st.floats(), st.booleans(), st.text())
rows = st.lists(
    st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from(["type", "ttl", "inputTokens", "input_tokens", "output_tokens"]),
            st.one_of(counts, st.sampled_from(["compaction", "message", "5m"])),
        ),
    ),
    max_size=3,
)


def nested(flat) -> dict:
    """Write `{"a.b": 1}` as `{"a": {"b": 1}}`; a plain value in the way stays."""
    out: dict = {}
    for path, value in flat.items():
        *keys, last = path.split(".")
        inside = out
        for key in keys:
            inside = inside.setdefault(key, {}) if isinstance(inside, dict) else {}
        if isinstance(inside, dict):
            inside[last] = value
    return out


payloads = st.builds(
    lambda flat, more: {**nested(flat), **more},
    st.dictionaries(st.sampled_from(PATHS + SPLITS), counts, max_size=12),
    st.dictionaries(st.sampled_from(["iterations", "cacheDetails"]), rows),
)


@given(payloads)
def test_fresh_and_read_and_written_make_the_total_or_are_unknown(payload) -> None:
    usage = Usage.from_payload(payload)

    if usage.fresh_tokens is not None:
        assert usage.cached_tokens is not None
        parts = usage.fresh_tokens + usage.cached_tokens + (usage.cache_write_tokens or 0)
        assert parts == usage.input_tokens
        assert usage.fresh_tokens >= 0


@given(payloads)
def test_no_count_is_below_zero(payload) -> None:
    usage = Usage.from_payload(payload)
    counted = (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens)

    assert all(n is None or n >= 0 for n in (*counted, usage.output_tokens))
    assert all(n > 0 for _, n in usage.writes)


@pytest.mark.parametrize("payload", [payload for payload, _ in SHAPES.values()], ids=SHAPES)
def test_what_a_payload_does_not_say_is_unknown_and_not_zero(payload) -> None:
    """Every number taken out of a payload turns what it told into None, never into 0."""
    assert Usage.from_payload(without_numbers(payload)) == Usage()


def without_numbers(value):
    if isinstance(value, dict):
        return {k: without_numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_numbers(v) for v in value]
    return None if isinstance(value, int | float) else value


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999))
def test_anthropics_exclusive_count_becomes_the_inclusive_total(fresh, read, written) -> None:
    usage = Usage.from_payload(
        {
            "input_tokens": fresh,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
        }
    )

    assert (usage.input_tokens, usage.fresh_tokens) == (fresh + read + written, fresh)


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.none(), st.text(), st.booleans())))
def test_no_payload_is_an_error(payload) -> None:
    Usage.from_payload({**payload, "prompt_tokens": "many", "prompt_tokens_details": "none"})
