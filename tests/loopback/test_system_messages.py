"""System messages and tool changes among Anthropic messages: facts/providers.md §1.2, levers."""

import pytest

from agentcache.loopback.messages_turn import messages_turn
from agentcache.loopback.wire import Refusal

MODEL = "claude-opus-5-5"
CHANGES = "mid-conversation-tool-changes-2026-07-01"
INLINE = "inline-tools-2026-09-15"
MARK = {"cache_control": {"type": "ephemeral"}}
GO = {"role": "user", "content": "go"}
DONE = {"role": "assistant", "content": "done"}


def tool(name, **more):
    return {"name": name, "description": f"Does {name}.", "input_schema": {}, **more}


def change(kind, named, **more):
    given = {"type": "tool_reference", "name": named}
    if isinstance(named, dict):
        given = {"type": "tool_definition", "definition": named}
    return {"type": f"tool_{kind}", "tool": given, **more}


def system(*blocks):
    return {"role": "system", "content": list(blocks)}


def text(content, mark=None):
    return {"type": "text", "text": content, **(mark or {})}


def ask(*messages, model=MODEL, **more):
    return {"model": model, "max_tokens": 10, "messages": list(messages), **more}


def offered(*messages, **more):
    return messages_turn(ask(*messages, **more), MODEL).tools


def start(words):
    return {"role": "user", "content": [text(words(2000), MARK)]}


def test_inline_tools_leave_what_stands_before_them_readable(play, words):
    """Tools change without moving the prefix: tool_addition with an inline definition."""
    first = play.send(
        "messages", beta=INLINE, **ask(start(words), system(change("addition", tool("a"))))
    )
    second = play.send(
        "messages", beta=INLINE, **ask(start(words), system(change("addition", tool("b"))))
    )
    assert (first.write, second.read, second.write) == (2001, 2001, 0)
    assert second.total > 2010


def test_the_same_tools_at_the_top_level_miss_the_cache(play, words):
    """The control: tool definitions invalidate everything."""
    play.send("messages", **ask(start(words), tools=[tool("a")]))
    reading = play.send("messages", **ask(start(words), tools=[tool("b")]))
    assert (reading.read, reading.write) == (0, reading.total)


@pytest.mark.parametrize("place", [0, 1])
def test_marks_on_additions_and_on_texts_of_a_system_message_write(play, words, place):
    blocks = [change("addition", tool("a")), text("Use a.")]
    blocks[place] |= MARK
    body = ask({"role": "user", "content": words(2000)}, system(*blocks))
    written = play.send("messages", beta=INLINE, **body).write
    assert written > 2000
    assert play.send("messages", beta=INLINE, **body).read == written


def test_a_deferred_tool_is_read_where_it_is_added(play, words):
    """defer_loading tools are outside the prefix; their definition is expanded inline."""
    late = tool("late", defer_loading=True)
    plain = play.send("messages", **ask(start(words), tools=[tool("a"), late]))
    added = ask(start(words), system(change("addition", "late")), tools=[tool("a"), late])
    reading = play.send("messages", beta=CHANGES, **added)
    assert reading.read == plain.write > 2000
    long = tool("late", defer_loading=True, title=words(50))
    longer = play.send("messages", beta=CHANGES, **{**added, "tools": [tool("a"), long]})
    assert (longer.read, longer.total >= reading.total + 50) == (plain.write, True)


def test_a_withdrawn_tool_keeps_its_tokens_and_is_no_longer_offered(play, words):
    body = ask(start(words), tools=[tool("a"), tool("b")])
    written = play.send("messages", **body).write
    body["messages"].append(system(change("removal", "a")))
    assert play.send("messages", beta=CHANGES, **body).read == written
    assert messages_turn(body, MODEL).tools == ("b",)


def test_changes_apply_in_order():
    first = system(change("addition", tool("b")), change("removal", "a"))
    then = system(change("addition", "a"), change("removal", "b"))
    assert offered(GO, first, tools=[tool("a")]) == ("b",)
    assert offered(GO, first, DONE, GO, then, tools=[tool("a")]) == ("a",)


def test_a_deferred_tool_is_offered_once_it_is_added_or_can_be_searched():
    late = tool("late", defer_loading=True)
    search = {"type": "tool_search_tool_bm25_20251119", "name": "search"}
    assert offered(GO, tools=[tool("a"), late]) == ("a",)
    assert offered(GO, system(change("addition", "late")), tools=[tool("a"), late]) == ("a", "late")
    assert "late" in offered(GO, tools=[search, late])


def test_an_inline_definition_replaces_a_tool_of_its_name():
    new = tool("a") | {"input_schema": {"type": "object"}}
    turn = messages_turn(ask(GO, system(change("addition", new)), tools=[tool("a")]), MODEL)
    assert turn.tools == ("a",)
    assert turn.tool("a").schema == {"type": "object"}


def test_tool_choice_may_name_an_added_tool():
    choice = {"type": "tool", "name": "b"}
    body = ask(GO, system(change("addition", tool("b"))), tool_choice=choice)
    assert messages_turn(body, MODEL).forced_tool == "b"


def test_system_texts_are_system_texts_to_a_script():
    assert messages_turn(ask(GO, system(text("be brief")), system="start"), MODEL).system == (
        "start\nbe brief"
    )


def test_a_text_needs_no_beta_and_leaves_the_prefix_readable(play, words):
    """GA: text-only system messages."""
    written = play.send("messages", **ask(start(words))).write
    for content in ("be brief", [text("be brief")]):
        later = {"role": "system", "content": content}
        assert play.send("messages", **ask(start(words), later)).read == written


@pytest.mark.parametrize(
    ("block", "beta", "needed"),
    [
        (change("addition", tool("b")), "", INLINE),
        (change("addition", tool("b")), CHANGES, INLINE),
        (change("addition", "a"), "other-beta", CHANGES),
        (change("removal", "a"), "", CHANGES),
    ],
)
def test_changes_need_their_beta(play, block, beta, needed):
    with pytest.raises(Refusal, match=rf"messages\.1\.content\.0: .*anthropic-beta: {needed}"):
        play.send("messages", beta=beta, **ask(GO, system(block), tools=[tool("a")]))


@pytest.mark.parametrize("beta", [INLINE, f"{CHANGES},{INLINE}", f"other, {INLINE}"])
def test_the_inline_beta_covers_every_change(play, beta):
    """langchain-anthropic 1.7.7 sends it alone, also for removals."""
    blocks = [change("addition", tool("b")), change("removal", "a")]
    assert play.send("messages", beta=beta, **ask(GO, system(*blocks), tools=[tool("a")]))


SAYS = system(text("be brief"))
USE = {"type": "tool_use", "id": "t", "name": "a", "input": {}}
SERVER = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([SAYS, GO], r"messages\.0: use the top-level 'system' parameter"),
        ([GO, DONE, SAYS], r"messages\.2: role 'system' must follow a 'user' message"),
        ([GO, {"role": "assistant", "content": [USE]}, SAYS], r"messages\.2: .* must follow"),
        ([GO, SAYS, GO], r"messages\.1: role 'system' must precede an 'assistant' message"),
        ([GO, SAYS, SAYS, GO], r"messages\.2: role 'system' must precede"),
    ],
)
def test_a_system_message_at_a_wrong_place_is_refused(play, messages, reason):
    """Must follow a user message, be last or followed by an assistant message, not first."""
    with pytest.raises(Refusal, match=reason):
        play.send("messages", **ask(*messages))


@pytest.mark.parametrize(
    "messages",
    [
        [GO, SAYS],
        [GO, SAYS, SAYS],
        [GO, SAYS, DONE, GO],
        [GO, {"role": "assistant", "content": [SERVER]}, SAYS],
        [GO, DONE, {"role": "system", "content": [], "output_config": {"effort": "low"}}, GO],
    ],
)
def test_a_system_message_at_a_right_place_is_taken(play, messages):
    assert play.send("messages", **ask(*messages)).total > 0


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "image", "source": {}}, "blocks only"),
        (change("addition", "nobody"), "'nobody' has no corresponding tool definition"),
        (change("removal", "nobody"), "'nobody' has no corresponding tool definition"),
        (change("removal", tool("a")), "names its tool with a tool_reference"),
    ],
)
def test_a_bad_block_is_refused(play, block, reason):
    with pytest.raises(Refusal, match=reason):
        play.send("messages", beta=f"{CHANGES},{INLINE}", **ask(GO, system(block)))


def test_an_empty_system_message_is_refused(play):
    with pytest.raises(Refusal, match="at least one block"):
        play.send("messages", **ask(GO, system()))


@pytest.mark.parametrize(
    "body",
    [
        ask({"role": "user", "content": [change("addition", tool("b"))]}),
        ask(GO, system=[change("addition", tool("b"))]),
    ],
)
def test_changes_outside_a_system_message_are_refused(play, body):
    with pytest.raises(Refusal, match="only permitted in system messages"):
        play.send("messages", beta=INLINE, **body)


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-sonnet-5", False),
        ("claude-sonnet-5-20260203", False),
        ("anthropic/claude-sonnet-5", False),
        ("claude-sonnet-5-5", True),
        ("claude-sonnet-5-5-20260930", True),
        ("claude-opus-5", True),
        ("claude-fable-5-1", True),
    ],
)
def test_sonnet_5_takes_no_system_messages(play, model, takes):
    """'not sonnet-5'."""
    body = ask(GO, SAYS, model=model)
    if takes:
        assert play.send("messages", **body).total > 0
        return
    with pytest.raises(Refusal, match="role 'system' is not supported on this model"):
        play.send("messages", **body)
