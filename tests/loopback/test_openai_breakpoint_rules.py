"""gpt-5.6 and later: facts/providers.md §1.1, column 'GPT-5.6 and later'."""

import pytest

from agentcache.loopback.families import family_of
from agentcache.loopback.wire import Refusal

MODEL = "gpt-5.6-luna"
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
EXPLICIT = {"prompt_cache_options": {"mode": "explicit"}}


def said(role, text, *, mark=False):
    if not mark:
        return {"role": role, "content": text}
    return {"role": role, "content": [{"type": "text", "text": text, **MARK}]}


def ask(*messages, **more):
    return {"model": MODEL, "messages": list(messages), **more}


@pytest.mark.parametrize(
    "model", ["gpt-5.6-sol", "gpt-6-luna", "gpt-6.1-terra", "openai/gpt-6-astra"]
)
def test_5_6_and_later_follow_the_breakpoint_rule(model):
    assert family_of(model) == "openai-breakpoint"


def test_a_shared_prefix_is_not_a_cached_prefix(play, words):
    """'There is no fallback to the longest unmarked common prefix' (§0.1; codex#35300: 0 %)."""
    shared = said("system", words(3000))
    play.send("chat", **ask(shared, said("user", "one")))
    reading = play.send("chat", **ask(shared, said("user", "two")))
    assert (reading.read, reading.write) == (0, reading.total)


def test_a_mark_on_the_shared_part_in_all_forks_is_read(play, words):
    """Same controlled replay with an explicit breakpoint: 98-99 %."""
    shared = said("system", words(3000), mark=True)
    play.send("chat", **ask(shared, said("user", "one")))
    reading = play.send("chat", **ask(shared, said("user", "two")))
    assert reading.read == 3002
    assert reading.write == reading.total - 3002


def test_a_mark_that_only_the_fork_carries_reads_nothing(play, words):
    play.send("chat", **ask(said("system", words(3000)), said("user", "one")))
    shared = said("system", words(3000), mark=True)
    assert play.send("chat", **ask(shared, said("user", "two"))).read == 0


def test_a_fork_appends_to_a_parent_that_ended_at_the_fork_point(play, words):
    """Guide example: the parent's latest eligible message ended exactly at the fork point."""
    parent = [said("system", "be good"), said("user", words(3000))]
    first = play.send("chat", **ask(*parent))
    fork = play.send("chat", **ask(*parent, said("user", "your task")))
    assert fork.read == first.total
    assert fork.write == fork.total - first.total


def test_growing_the_same_message_loses_the_boundary(play, words):
    """'Extending an old message (A -> A+B in the same message) loses the boundary'."""
    text = words(3000)
    play.send("chat", **ask(said("user", text)))
    assert play.send("chat", **ask(said("user", text + " more"))).read == 0
    parts = [{"type": "text", "text": text, **MARK}, {"type": "text", "text": "more"}]
    assert play.send("chat", **ask({"role": "user", "content": parts})).read == 0


def test_explicit_mode_does_not_write_the_tail(play, words):
    """mode 'explicit': only the latest 4 explicit marks are written."""
    reading = play.send(
        "chat", **ask(said("system", words(2000), mark=True), said("user", words(500)), **EXPLICIT)
    )
    assert (reading.write, reading.fresh) == (2002, reading.total - 2002)


def test_explicit_mode_without_marks_neither_caches_nor_bills(play, words):
    """'none => no caching and no write fee'."""
    body = ask(said("user", words(3000)), **EXPLICIT)
    play.send("chat", **body)
    reading = play.send("chat", **body)
    assert (reading.read, reading.write) == (0, 0)


def test_switching_to_explicit_loses_implicit_entries_without_a_mark_there(play, words):
    """'loses the implicit entries unless an explicit marker sits on the same boundary'."""
    user = words(3000)
    first = play.send("chat", **ask(said("user", user)))
    unmarked = ask(said("user", user), said("user", "x"), **EXPLICIT)
    marked = ask(said("user", user, mark=True), said("user", "x"), **EXPLICIT)
    assert play.send("chat", **unmarked).read == 0
    assert play.send("chat", **marked).read == first.total


def test_implicit_mode_writes_one_ending_and_the_latest_three_marks(play, words):
    """Where writes happen: 1 implicit slot + up to latest 3 explicit."""
    marks = [said("user", words(1100, f"w{i}"), mark=True) for i in "abcde"]
    play.send("chat", **ask(*marks, said("user", "end")))
    explicit = [play.start("chat", **ask(*marks[: n + 1], **EXPLICIT)).read > 0 for n in range(5)]
    assert explicit == [False, False, True, True, True]


def test_explicit_mode_writes_the_latest_four_marks(play, words):
    marks = [said("user", words(1100, f"w{i}"), mark=True) for i in "abcde"]
    play.send("chat", **ask(*marks, **EXPLICIT))
    explicit = [play.start("chat", **ask(*marks[: n + 1], **EXPLICIT)).read > 0 for n in range(5)]
    assert explicit == [False, True, True, True, True]


def test_below_1024_tokens_nothing_is_written(play, words):
    """Minimum: 1,024 input tokens through the breakpoint."""
    assert play.send("chat", **ask(said("user", words(1021)))).write == 0
    assert play.send("chat", **ask(said("user", words(1022)))).write == 1024


def test_boundaries_are_exact_not_rounded(play, words):
    """Reporting granularity: exact boundary, no rounding."""
    body = ask(said("user", words(1501)))
    play.send("chat", **body)
    reading = play.send("chat", **body)
    assert (reading.read, reading.write) == (1503, 0)


def test_implicit_look_up_covers_the_one_and_20_earlier_endings(play, words):
    """Lookup: the implicit one + up to 20 earlier eligible message endings."""
    parent = said("user", words(2000))
    play.send("chat", **ask(parent))
    turns = [said("user", f"turn {i}") for i in range(21)]
    assert play.start("chat", **ask(parent, *turns[:20])).read == 2002
    assert play.start("chat", **ask(parent, *turns)).read == 0


def test_explicit_look_up_covers_the_first_2_and_the_latest_50(play, words):
    """Lookup, explicit-only: first 2 + latest 50 explicit breakpoints."""

    def marked(number):
        return [said("user", f"turn {i}", mark=True) for i in range(number)]

    def read_of(place):
        trunk = marked(place)
        play.provider.reset()
        play.send("chat", **ask(*trunk, said("user", words(2000), mark=True), **EXPLICIT))
        more = [said("user", f"more {i}", mark=True) for i in range(60)]
        body = ask(*trunk, said("user", words(2000), mark=True), *more, **EXPLICIT)
        return play.start("chat", **body).read

    assert read_of(1) > 2000
    assert read_of(2) == 0


def test_the_end_of_the_leading_developer_run_is_always_looked_up(play, words):
    """Lookup: '+ end of the initial developer run', however long the conversation is."""
    leading = [said("developer", words(1500)), said("system", "and be brief")]
    play.send("chat", **ask(*leading))
    turns = [said("user", f"turn {i}") for i in range(40)]
    assert play.send("chat", **ask(*leading, *turns)).read > 1500


def test_a_later_developer_message_is_no_boundary(play, words):
    """'Later developer messages are not lookup boundaries in implicit mode: mark them'."""
    start = [said("user", words(1100)), said("developer", words(1100, "beta"))]
    play.send("chat", **ask(*start))
    assert play.send("chat", **ask(*start, said("user", "x"))).read == 1102


def test_only_the_last_of_a_run_of_tool_results_is_a_boundary(play, words):
    calls = [
        {"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in "ab"
    ]
    assistant = {"role": "assistant", "content": None, "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": i, "content": words(1100, i)} for i in "ab"]
    start = [said("user", "go"), assistant, results[0]]
    first = play.send("chat", **ask(*start))
    assert first.write == first.total
    assert play.send("chat", **ask(*start, results[1])).read == 0
    assert play.send("chat", **ask(*start, results[1], said("user", "x"))).read > 2200


def test_an_assistant_message_is_no_boundary_and_carries_no_mark(play, words):
    """Markers are not allowed on assistant messages: 400."""
    with pytest.raises(Refusal, match="messages\\[1\\]"):
        play.send("chat", **ask(said("user", "x"), said("assistant", "y", mark=True)))


def test_instructions_cannot_be_marked(play):
    """Not on top-level `instructions`: they are a string."""
    marked = [{"type": "input_text", "text": "x", **MARK}]
    with pytest.raises(Refusal, match="instructions"):
        play.send("responses", model=MODEL, instructions=marked, input="hi")


def test_tools_cannot_be_marked(play):
    tool = {"type": "function", "function": {"name": "f"}, **MARK}
    with pytest.raises(Refusal, match="tools"):
        play.send("chat", **ask(said("user", "x"), tools=[tool]))


def test_function_call_outputs_can_be_marked(play, words):
    output = [{"type": "input_text", "text": words(2000), **MARK}]
    items = [
        {"role": "user", "content": "go"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": output},
    ]
    body = {"model": MODEL, "input": items, **EXPLICIT}
    assert play.send("responses", **body).write > 2000
    assert play.send("responses", **body).read > 2000


def test_entries_live_30_minutes_and_each_use_renews_them(play, words):
    """TTL 30m minimum, refreshed free on every reuse."""
    body = ask(said("user", words(2000)))
    play.send("chat", **body)
    for _ in range(3):
        play.now += 1799
        assert play.send("chat", **body).read == 2002
    play.now += 1801
    assert play.send("chat", **body).read == 0


def test_12_hours_are_for_responses_only(play, words):
    """ttl '12h': Responses only, Chat rejects it."""
    long = {"prompt_cache_options": {"ttl": "12h"}}
    with pytest.raises(Refusal, match="ttl"):
        play.send("chat", **ask(said("user", "x"), **long))
    body = {"model": MODEL, "input": words(2000), **long}
    assert [part.ttl_s for part in play.send("responses", **body).written] == [43200.0]
    play.now += 43000
    assert play.send("responses", **body).read > 2000


def test_allowed_tools_and_tool_choice_do_not_move_the_prefix(play, words):
    """Safe ways to vary per fork."""
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    allowed = {"mode": "auto", "tools": [tools[0]]}
    body = ask(said("user", words(2000)), tools=tools)
    total = play.send("chat", **body).total
    for choice in ("none", {"type": "allowed_tools", "allowed_tools": allowed}):
        assert play.send("chat", **body, tool_choice=choice).read == total


def test_configuration_update_changes_the_effort_without_moving_the_prefix(play, words):
    """'changes reasoning.effort and text.format mid-conversation without touching the prefix'."""
    start = {"role": "user", "content": words(2000)}
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    body = {"model": "gpt-6-luna"}
    total = play.send("responses", **body, input=[start]).total
    grown = [start, update, {"role": "user", "content": "x"}]
    assert play.send("responses", **body, input=grown).read == total
    changed = {**body, "reasoning": {"effort": "high"}}
    assert play.send("responses", **changed, input=[start]).read == 0


def test_concurrent_cold_forks_all_pay_the_write(play, words):
    """§3.4: naive concurrent cold forks are dearer than no caching."""
    shared = said("system", words(2000), mark=True)
    started = [play.start("chat", **ask(shared, said("user", str(i)))) for i in range(3)]
    assert [reading.write for reading in started] == [reading.total for reading in started]


def test_previous_response_id_needs_a_known_response(play):
    with pytest.raises(Refusal, match="not found"):
        play.send("responses", model=MODEL, input="x", previous_response_id="resp_none")
