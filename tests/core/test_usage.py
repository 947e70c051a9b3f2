"""Usage: every provider's payload in one shape; None is not zero (facts/providers, section 2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.usage import Usage

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


counts = st.one_of(st.none(), st.integers(0, 10_000))
payloads = st.one_of(
    st.fixed_dictionaries(
        {"prompt_tokens": counts},
        optional={
            "prompt_tokens_details": st.one_of(
                st.none(),
                st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens"]), counts),
            ),
            "prompt_cache_hit_tokens": counts,
            "cached_tokens": counts,
        },
    ),
    st.fixed_dictionaries(
        {"input_tokens": counts},
        optional={
            "cache_read_input_tokens": counts,
            "cache_creation_input_tokens": counts,
            "input_tokens_details": st.one_of(
                st.none(),
                st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens"]), counts),
            ),
        },
    ),
)


@given(payloads)
def test_fresh_and_read_and_written_make_the_total_or_are_unknown(payload) -> None:
    usage = Usage.from_payload(payload)

    if usage.fresh_tokens is not None:
        assert usage.cached_tokens is not None
        parts = usage.fresh_tokens + usage.cached_tokens + (usage.cache_write_tokens or 0)
        assert parts == usage.input_tokens
        assert usage.fresh_tokens >= 0


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
