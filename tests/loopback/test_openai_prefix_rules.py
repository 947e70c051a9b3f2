"""gpt-4o ... gpt-5.5: facts/providers.md §1.1, columns 'GPT-5.5' and 'earlier'."""

import pytest

from agentcache.loopback.families import family_of
from agentcache.loopback.wire import Refusal

MODEL = "gpt-4o-mini"


def ask(system, user="go", **more):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"model": MODEL, "messages": messages, **more}


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-4.1-mini", "gpt-5", "gpt-5.5-pro", "o3", "openai/gpt-5.4"]
)
def test_models_before_5_6_follow_the_prefix_rule(model):
    assert family_of(model) == "openai-prefix"


def test_the_first_request_reads_nothing(play, words):
    assert play.send("chat", **ask(words(2000))).read == 0


def test_reads_are_rounded_down_to_128(play, words):
    """Reporting granularity: floor to 128."""
    play.send("chat", **ask(words(2000), "one"))
    reading = play.send("chat", **ask(words(2000), "two"))
    assert reading.read == 1920
    assert reading.read % 128 == 0


def test_two_forks_with_different_tails_share_their_prefix(play, words):
    """Longest common prefix, also in the middle of a block."""
    play.send("chat", **ask(words(1500) + " left"))
    assert play.send("chat", **ask(words(1500) + " right")).read == 1408


def test_below_1024_common_tokens_nothing_is_read(play, words):
    play.send("chat", **ask(words(1000), "one"))
    assert play.send("chat", **ask(words(1000), "two")).read == 0


def test_writes_are_not_billed_and_not_reported(play, words):
    """Write price: none; the field is absent, not 0."""
    assert play.send("chat", **ask(words(2000))).written is None


def test_a_request_that_is_not_complete_serves_nobody(play, words):
    play.start("chat", **ask(words(2000)))
    assert play.send("chat", **ask(words(2000))).read == 0


def test_another_key_reads_nothing(play, words):
    """Isolation: organization."""
    play.send("chat", "tenant-a", **ask(words(2000)))
    assert play.send("chat", "tenant-b", **ask(words(2000))).read == 0


def test_another_model_reads_nothing(play, words):
    play.send("chat", **ask(words(2000)))
    assert play.send("chat", **{**ask(words(2000)), "model": "gpt-4o"}).read == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"reasoning_effort": "low"},
        {"verbosity": "low"},
        {"parallel_tool_calls": False},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        {"tools": [{"type": "function", "function": {"name": "search"}}]},
    ],
)
def test_what_renders_before_the_messages_loses_them(play, words, changed):
    """Settings that change the rendered prefix (§1.1), freeze-set F (§7)."""
    play.send("chat", **ask(words(2000)))
    assert play.send("chat", **ask(words(2000), **changed)).read == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0.3},
        {"max_tokens": 5},
        {"user": "someone"},
        {"seed": 1},
        {"tool_choice": "none"},
        {"metadata": {"a": "b"}},
        {"prompt_cache_key": "other"},
        {"parallel_tool_calls": True},
        {"verbosity": "medium"},
    ],
)
def test_what_does_not_render_loses_nothing(play, words, changed):
    """Freeze-set V (§7); the cache key is a routing hint only."""
    play.send("chat", **ask(words(2000)))
    assert play.send("chat", **ask(words(2000), **changed)).read == 1920


def test_the_order_of_tools_counts(play, words):
    tools = [
        {"type": "function", "function": {"name": name, "description": words(800, name)}}
        for name in ("left", "right")
    ]
    play.send("chat", **ask(words(2000), tools=tools))
    assert play.send("chat", **ask(words(2000), tools=tools)).read > 3000
    assert play.send("chat", **ask(words(2000), tools=tools[::-1])).read == 0


def test_a_string_and_one_text_part_are_the_same_prompt(play, words):
    play.send("chat", **ask(words(2000)))
    parts = [{"type": "text", "text": words(2000)}]
    assert play.send("chat", **ask(parts)).read == 1920


@pytest.mark.parametrize(
    "body",
    [
        {
            "messages": [{"role": "user", "content": "x"}],
            "prompt_cache_options": {"mode": "explicit"},
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "text",
                            "text": "x",
                            "prompt_cache_breakpoint": {"mode": "explicit"},
                        }
                    ],
                }
            ]
        },
    ],
)
def test_the_newer_caching_parameters_are_refused(play, body):
    """Params accepted: 400 on prompt_cache_options and prompt_cache_breakpoint."""
    with pytest.raises(Refusal, match="prompt_cache"):
        play.send("chat", model=MODEL, **body)


def test_entries_go_after_half_an_idle_hour(play, words):
    """24h retention: typically about 30 minutes."""
    play.send("chat", **ask(words(2000)))
    play.now += 1799
    assert play.send("chat", **ask(words(2000))).read == 1920
    play.now += 1801
    assert play.send("chat", **ask(words(2000))).read == 0


def test_in_memory_entries_go_after_five_idle_minutes(play, words):
    """in_memory: 5-10 minutes idle; the shorter is emulated."""
    body = ask(words(2000), prompt_cache_retention="in_memory")
    play.send("chat", **body)
    play.now += 301
    assert play.send("chat", **body).read == 0


def test_responses_share_the_rule(play, words):
    body = {"model": "gpt-5.4", "instructions": words(2000)}
    play.send("responses", **body, input="one")
    assert play.send("responses", **body, input="two").read == 1920
