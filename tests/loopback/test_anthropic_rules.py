"""claude-*: facts/providers.md §1.2."""

import pytest

from agentcache.loopback.families import family_of, min_tokens_of
from agentcache.loopback.wire import Refusal

MODEL = "claude-sonnet-4-5"
MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def text(content, mark=None):
    return {"type": "text", "text": content, **(mark or {})}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def ask(*messages, **more):
    return {"model": MODEL, "max_tokens": 10, "messages": list(messages), **more}


def shared(words, mark=MARK):
    return {"system": [text(words(2000), mark)]}


def test_without_a_mark_nothing_is_cached(play, words):
    """Opt-in only."""
    play.send("messages", **ask(user(text("x")), system=words(2000)))
    reading = play.send("messages", **ask(user(text("x")), system=words(2000)))
    assert (reading.read, reading.write) == (0, 0)


def test_a_mark_on_the_last_shared_block_is_read_by_all_forks(play, words):
    """Fork rule: explicit marker on the last shared block."""
    first = play.send("messages", **ask(user(text("one")), **shared(words)))
    second = play.send("messages", **ask(user(text("two")), **shared(words)))
    assert (first.write, second.read, second.write) == (2001, 2001, 0)


def test_automatic_caching_on_forks_is_a_write_per_fork(play, words):
    """'Automatic caching on the forks is a trap: a write per fork, never a read'."""
    body = {"system": words(2000), **MARK}
    play.send("messages", **ask(user(text("one")), **body))
    reading = play.send("messages", **ask(user(text("two")), **body))
    assert (reading.read, reading.write) == (0, reading.total)


def test_automatic_caching_serves_a_growing_conversation(play, words):
    """The mark moves; reads walk back to the prior write."""
    first = ask(user(text(words(2000))), **MARK)
    written = play.send("messages", **first).write
    grown = [*first["messages"], {"role": "assistant", "content": "ok"}, user(text("next"))]
    reading = play.send("messages", **ask(*grown, **MARK))
    assert reading.read == written
    assert reading.write == reading.total - written


def test_reads_walk_back_over_20_positions_itself_counted(play, words):
    """'at most 20 positions (itself counted), looking for prior writes'."""
    start = text(words(2000), MARK)
    play.send("messages", **ask(user(start)))
    unmarked = text(words(2000))

    def read_behind(number):
        blocks = [text(f"b{i}") for i in range(number - 1)]
        return play.start("messages", **ask(user(unmarked, *blocks, text("end", MARK)))).read

    assert read_behind(19) == 2001
    assert read_behind(20) == 0


def test_stable_content_that_nobody_wrote_is_not_found(play, words):
    """Looks for prior writes, not for stable content."""
    play.send("messages", **ask(user(text(words(2000)), text("one", MARK))))
    assert play.send("messages", **ask(user(text(words(2000)), text("two", MARK)))).read == 0


def test_a_run_of_tool_results_is_one_position(play, words):
    """'A run of consecutive tool_use blocks (likewise tool_result) counts as one position'."""
    start = ask(user(text(words(2000), MARK)))
    play.send("messages", **start)
    uses = [{"type": "tool_use", "id": f"t{i}", "name": "f", "input": {}} for i in range(15)]
    results = [{"type": "tool_result", "tool_use_id": f"t{i}", "content": "r"} for i in range(15)]
    grown = [
        user(text(words(2000))),
        {"role": "assistant", "content": uses},
        user(*results[:-1], {**results[-1], **MARK}),
    ]
    assert play.send("messages", **ask(*grown)).read == 2001


def test_a_fifth_mark_is_refused(play):
    """Max 4 breakpoints; a 5th = 400; automatic + 4 explicit = 400."""
    four = [text(f"b{i}", MARK) for i in range(4)]
    play.send("messages", **ask(user(*four, text("end"))))
    with pytest.raises(Refusal, match="maximum of 4"):
        play.send("messages", **ask(user(*four, text("end", MARK))))
    with pytest.raises(Refusal, match="maximum of 4"):
        play.send("messages", **ask(user(*four, text("end")), **MARK))


def test_an_automatic_mark_with_another_ttl_on_the_same_block_is_refused(play):
    with pytest.raises(Refusal, match="another ttl"):
        play.send("messages", **ask(user(text("end", HOUR)), **MARK))


def test_a_longer_ttl_must_come_first(play, words):
    """In one request longer TTLs must precede shorter."""
    play.send("messages", **ask(user(text("x", MARK)), **shared(words, HOUR)))
    with pytest.raises(Refusal, match="must not come after"):
        play.send("messages", **ask(user(text("x", HOUR)), **shared(words, MARK)))


@pytest.mark.parametrize(
    "block", [{"type": "text", "text": ""}, {"type": "thinking", "thinking": "x", "signature": "s"}]
)
def test_empty_text_and_thinking_carry_no_mark(play, block):
    """Not on thinking blocks or empty text."""
    message = {"role": "assistant", "content": [{**block, **MARK}]}
    with pytest.raises(Refusal, match="cache_control"):
        play.send("messages", **ask(user(text("x")), message))


def test_writes_are_split_by_ttl(play, words):
    written = play.send(
        "messages", **ask(user(text(words(500), MARK)), **shared(words, HOUR))
    ).written
    assert {part.ttl_s: part.tokens for part in written} == {3600.0: 2001, 300.0: 501}


def test_the_ttl_runs_from_the_start_of_the_request(play, words):
    """'measured from the START of the request (a 4-minute stream leaves ~1 minute)'."""
    reading = play.start("messages", **ask(user(text("x")), **shared(words)))
    play.now += 240
    play.provider.publish(reading)
    play.now += 59
    assert play.start("messages", **ask(user(text("x")), **shared(words))).read == 2001
    play.provider.reset()
    reading = play.start("messages", **ask(user(text("x")), **shared(words)))
    play.now += 240
    play.provider.publish(reading)
    play.now += 61
    assert play.start("messages", **ask(user(text("x")), **shared(words))).read == 0


def test_each_use_renews_the_entry(play, words):
    """Refreshed free on each use."""
    body = ask(user(text("x")), **shared(words))
    play.send("messages", **body)
    for _ in range(4):
        play.now += 299
        assert play.send("messages", **body).read == 2001
    play.now += 301
    assert play.send("messages", **body).read == 0


def test_an_hour_long_entry_lives_an_hour(play, words):
    body = ask(user(text("x")), **shared(words, HOUR))
    play.send("messages", **body)
    play.now += 3599
    assert play.send("messages", **body).read == 2001


def test_nothing_is_readable_before_the_first_event(play, words):
    """'Readable by others only after the first response begins'."""
    first = play.start("messages", **ask(user(text("one")), **shared(words)))
    second = play.start("messages", **ask(user(text("two")), **shared(words)))
    assert (first.write, second.read, second.write) == (2001, 0, 2001)
    play.provider.publish(first)
    assert play.start("messages", **ask(user(text("three")), **shared(words))).read == 2001


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-haiku-5-5", 512),
        ("claude-fable-5-2", 512),
        ("claude-opus-5", 512),
        ("claude-sonnet-5", 1024),
        ("claude-sonnet-4-5-20250929", 1024),
        ("claude-opus-4-8", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-haiku-4-5", 4096),
        ("anthropic/claude-opus-4-6", 4096),
    ],
)
def test_each_model_has_its_minimum(play, words, model, least):
    """Minimum cacheable prefix, silently ignored below."""
    assert min_tokens_of(model, family_of(model)) == least
    body = {"model": model, "max_tokens": 9, "messages": [user(text("x"))]}
    below = play.send("messages", **body, system=[text(words(least - 2), MARK)])
    at = play.send("messages", **body, system=[text(words(least - 1), MARK)])
    assert (below.write, at.write) == (0, least)


TOOLS = "tools", "system", "messages"


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"tools": [{"name": "other", "input_schema": {}}]}, 0),
        ({"model": "claude-sonnet-4-6"}, 0),
        ({"speed": "fast"}, 1),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, 1),
        ({"system": [text("other", MARK)]}, 1),
        ({"tool_choice": {"type": "none"}}, 2),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, 2),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, 2),
        ({"output_config": {"effort": "low"}}, 2),
        ({"output_config": {"effort": "high"}}, 3),
        ({"tool_choice": {"type": "auto"}}, 3),
        ({"temperature": 0.5, "max_tokens": 7, "metadata": {"user_id": "u"}}, 3),
    ],
)
def test_a_change_invalidates_its_level_and_those_after_it(play, words, change, kept):
    """The official invalidation table: tools -> system -> messages."""
    tool = {"name": "f", "description": words(1100), "input_schema": {}, **MARK}
    body = ask(user(text(words(1100), MARK)), tools=[tool], system=[text(words(1100), MARK)])
    full = play.send("messages", **body).total
    read = play.send("messages", **{**body, **change}).read
    levels = [0, full - 2 * 1101, full - 1101, full]
    assert read == levels[kept]


def test_an_image_added_invalidates_the_messages_only(play, words):
    image = {
        "type": "image",
        "source": {"type": "base64", "data": "AAAA", "media_type": "image/png"},
    }
    body = shared(words)
    play.send("messages", **ask(user(text(words(1100), MARK)), **body))
    reading = play.send("messages", **ask(user(text(words(1100), MARK), image), **body))
    assert reading.read == 2001


def test_deferred_tools_stand_outside_the_prefix(play, words):
    """defer_loading:true: deferred tools are outside the prefix."""
    body = shared(words)
    play.send("messages", **ask(user(text("x")), **body))
    deferred = [{"name": "later", "input_schema": {}, "defer_loading": True}]
    assert play.send("messages", **ask(user(text("x")), **body, tools=deferred)).read == 2001


@pytest.mark.parametrize(
    "bad",
    [
        {"stream": True},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"tool_choice": {"type": "any"}},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
    ],
)
def test_prewarm_refuses_what_it_cannot_have(play, bad):
    """max_tokens 0: 400 with stream, thinking enabled, output_config.format, forced tools."""
    with pytest.raises(Refusal, match="max_tokens 0"):
        play.send("messages", **{**ask(user(text("x"))), "max_tokens": 0, **bad})


def test_prewarm_writes_what_a_fork_then_reads(play, words):
    warm = {**ask(user(text("ready?")), **shared(words)), "max_tokens": 0}
    play.send("messages", **warm)
    assert play.send("messages", **ask(user(text("task")), **shared(words))).read == 2001


def test_a_gateway_request_in_chat_shape_honours_the_marks(play, words):
    system = {"role": "system", "content": [text(words(2000), MARK)]}
    body = {"model": f"anthropic/{MODEL}"}
    play.send("chat", **body, messages=[system, {"role": "user", "content": "one"}])
    reading = play.send("chat", **body, messages=[system, {"role": "user", "content": "two"}])
    assert (reading.read, reading.write) == (2002, 0)
