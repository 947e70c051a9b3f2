"""What holds of find_break for any requests: it never raises, and health is silent."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from agentcache import CacheBreak, find_break
from agentcache.errors import OptionError

from .corpus import PAIRS
from .talking import DIALECTS, Talk, talks

QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
WORDS = st.sampled_from(
    [
        "role",
        "user",
        "assistant",
        "system",
        "content",
        "text",
        "type",
        "tool_use",
        "tool_result",
        "id",
        "name",
        "model",
        "gpt-6-luna",
        "claude-haiku-5-5",
        "cache_control",
        "ttl",
        "1h",
        "ephemeral",
        "input_schema",
        "function",
        "parameters",
        "properties",
        "tool_calls",
        "call_id",
        "image",
        "image_url",
        "cachePoint",
        "usage",
        "cached_tokens",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(4301, 5000).map(lambda n: 10**n),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.sampled_from(["\ud800", "a\udfff", "\x00", '<agent name="x">', "2026-11-23", "[" * 50]),
    WORDS,
    st.builds(object),
    st.just(dict),
    st.binary(max_size=5),
)
KEYS = st.one_of(WORDS, st.text(max_size=5), st.integers(), st.none(), st.tuples(st.integers()))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=12,
)
PLACES = [
    "model",
    "modelId",
    "messages",
    "input",
    "system",
    "instructions",
    "tools",
    "toolConfig",
    "extra_headers",
    "betas",
    "cache_control",
    "prompt_cache_options",
    "prompt_cache_key",
    "tool_choice",
    "reasoning",
    "thinking",
    "user",
    "previous_response_id",
    "inferenceConfig",
    "max_tokens",
    "metadata",
]
REQUESTS = st.dictionaries(st.sampled_from(PLACES), ANYTHING, max_size=7)


def deep(levels: int) -> Any:
    value: Any = "end"
    for n in range(levels):
        value = {"content": value} if n % 2 else [value]
    return value


def circle() -> dict[str, Any]:
    request: dict[str, Any] = {"model": "gpt-6-luna", "messages": []}
    request["messages"] += [request, request]
    return request


def check(found: CacheBreak | None) -> None:
    if found is not None:
        assert str(found).encode()
        assert CacheBreak.model_validate_json(found.model_dump_json()) == found


@QUICK
@given(before=REQUESTS, after=REQUESTS, usage=ANYTHING, idle=st.none() | st.floats())
@example({"messages": [], "model": "\ud800"}, {"messages": [], "betas": 3}, None, None)
@example({"messages": 5, "tools": 3}, {"messages": {}, "tools": {"a": 1}}, {"usage": []}, -1.0)
def test_no_request_makes_it_raise(before: Any, after: Any, usage: Any, idle: float | None) -> None:
    held = usage if isinstance(usage, dict) else None
    try:
        found = find_break(before, after, idle_s=idle, before_usage=held, after_usage=held)
    except OptionError:
        assert not {"messages", "input", "modelId", "inferenceConfig"} & {*before, *after}
        return
    check(found)


def test_neither_depth_nor_a_circle_makes_it_raise() -> None:
    find_break({"messages": deep(5000)}, {"messages": deep(4999)}, idle_s=math.nan)
    find_break(circle(), {"messages": [circle()]}, after_usage={"prompt_tokens": math.inf})


@QUICK
@given(st.data())
def test_nonsense_in_a_real_request_does_not_make_it_raise(data: st.DataObject) -> None:
    pair = data.draw(st.sampled_from(PAIRS))
    one, other = (json.loads(json.dumps(r)) for r in (pair.before, pair.after))
    for request in (one, other):
        place = data.draw(st.sampled_from([*request]))
        value = request[place]
        if isinstance(value, list) and value and data.draw(st.booleans()):
            n = data.draw(st.integers(0, len(value) - 1))
            value[n] = data.draw(ANYTHING)
        else:
            request[place] = data.draw(ANYTHING)
    found = find_break(one, other)
    check(found)


@QUICK
@given(request=REQUESTS)
def test_a_request_does_not_break_with_itself(request: Any) -> None:
    if {"messages", "input", "modelId", "inferenceConfig"} & {*request}:
        assert find_break(request, request) is None


@pytest.mark.parametrize("side", ["before", "after"])
def test_nothing_of_the_corpus_breaks_with_itself(side: str) -> None:
    loud = {
        pair.name: found
        for pair in PAIRS
        if (found := find_break(getattr(pair, side), getattr(pair, side)))
    }
    assert loud == {}


@pytest.mark.parametrize("dialect", DIALECTS)
@QUICK
@given(talk=talks(), n=st.integers(1, 4), rolling=st.booleans())
def test_growth_is_silent_with_and_without_rolling_marks(
    dialect: str, talk: Talk, n: int, rolling: bool
) -> None:
    before = DIALECTS[dialect](talk, steps=n, mark=rolling)
    after = DIALECTS[dialect](talk, steps=n + 1, mark=rolling)
    assert find_break(before, after) is None


@pytest.mark.parametrize("dialect", DIALECTS)
@QUICK
@given(talk=talks(), other=talks())
def test_siblings_are_silent(dialect: str, talk: Talk, other: Talk) -> None:
    steps = tuple((f"Then {asked}", f"Well, {answered}") for asked, answered in other.steps)
    fork = Talk(talk.system, talk.trunk, steps)
    before = DIALECTS[dialect](talk, steps=3, mark=True)
    after = DIALECTS[dialect](fork, steps=1, mark=True)
    assert find_break(before, after) is None


@pytest.mark.parametrize("dialect", DIALECTS)
@QUICK
@given(talk=talks(), system=st.text("abc de\n", min_size=30, max_size=60))
def test_an_edit_of_the_system_text_is_told(dialect: str, talk: Talk, system: str) -> None:
    changed = Talk(f"{talk.system}{system}", talk.trunk, talk.steps)
    before = DIALECTS[dialect](talk, steps=1, mark=True)
    after = DIALECTS[dialect](changed, steps=2, mark=True)
    found = find_break(before, after)
    assert found is not None
    assert found.section == "system"


def test_a_break_survives_json() -> None:
    for pair in PAIRS:
        found = find_break(pair.before, pair.after, **pair.options)
        if found is not None:
            text = found.model_dump_json()
            assert CacheBreak.model_validate_json(text) == found
            assert CacheBreak.model_validate_json(text).model_dump_json() == text
