"""Two ways of writing one request are one request; what is lost is what stood behind the change."""

import copy
from typing import Any

import pytest

from agentcache import CacheBreak, find_break
from agentcache.errors import OptionError

BRIEF = "You are the claims desk. " + "Mind the rules of the house, all of them. " * 300
ASKED, MORE = "Is the lamp covered?", {"role": "user", "content": "And the cable?"}
ENDING = [{"role": "assistant", "content": "It is covered."}, {"role": "user", "content": "Sure?"}]
CALL = {"name": "find", "arguments": "{}"}


def chat() -> dict[str, Any]:
    calls = [{"id": "c1", "type": "function", "function": CALL}]
    messages = [
        {"role": "system", "content": BRIEF},
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "It is."},
        *ENDING,
    ]
    return {"model": "gpt-4.1-mini", "messages": messages}


def responses() -> dict[str, Any]:
    said = [
        {"role": "user", "content": ASKED},
        {"type": "function_call", "call_id": "c1", **CALL, "id": "fc_1", "status": "completed"},
        {"type": "function_call_output", "call_id": "c1", "output": "It is."},
        {"role": "assistant", "content": "It is covered."},
        *ENDING[1:],
    ]
    return {"model": "gpt-4.1-mini", "instructions": BRIEF, "input": said}


def claude() -> dict[str, Any]:
    used = {"type": "tool_use", "id": "t1", "name": "find", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "It is."}
    messages = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
        *ENDING,
    ]
    mark = {"type": "ephemeral"}
    return {
        "model": "claude-haiku-5-5",
        "cache_control": mark,
        "system": BRIEF,
        "messages": messages,
    }


def text(said: str, kind: str = "text") -> list[dict[str, str]]:
    return [{"type": kind, "text": said}]


def grown(request: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    """The request after one more turn, with something in it written otherwise."""
    after = copy.deepcopy(request)
    key = "input" if "input" in after else "messages"
    after[key] = [*after[key], {"role": "assistant", "content": "Yes."}, MORE]
    holder, *steps = [after, *where.split(".")]
    for step in steps[:-1]:
        holder = holder[int(step)] if step.isdigit() else holder[step]
    last = steps[-1]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return after


SPELLINGS = [
    (chat, "messages.0.content", text(BRIEF)),
    (chat, "messages.1.content", text(ASKED)),
    (chat, "messages.3.content", text("It is.")),
    (responses, "input.0.content", text(ASKED, "input_text")),
    (responses, "input.0.type", "message"),
    (responses, "input.3.content", text("It is covered.", "output_text")),
    (responses, "input.1.id", None),
    (responses, "input.1.status", None),
    (claude, "system", text(BRIEF)),
    (claude, "messages.0.content", text(ASKED)),
    (claude, "messages.2.content.0.content", text("It is.")),
]


@pytest.mark.parametrize(("request_of", "where", "value"), SPELLINGS)
def test_what_is_written_in_full_is_the_same(request_of, where, value) -> None:
    before = request_of()
    assert find_break(before, grown(before, where, value)) is None
    assert find_break(grown(before, where, value), grown(before, where, value)) is None


@pytest.mark.parametrize(("request_of", "where", "value"), SPELLINGS)
def test_an_edit_is_found_however_it_is_written(request_of, where, value) -> None:
    if not isinstance(value, list):
        pytest.skip("holds no text")
    edited = [{**value[0], "text": f"No. {value[0]['text']}"}]
    assert find_break(request_of(), grown(request_of(), where, edited)) is not None


@pytest.mark.parametrize("kind", ["text_edit", "whitespace", "timestamp"])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_what_is_lost_stood_behind_the_change(kind, share) -> None:
    put = {"text_edit": ("ab", "cd"), "whitespace": ("x", "x  "), "timestamp": ("10:01", "10:02")}
    at, (old, new) = round(share * len(BRIEF)), put[kind]
    before = chat()
    after = grown(before, "messages.0.content", f"{BRIEF[:at]} {new} {BRIEF[at:]}")
    before["messages"][0]["content"] = f"{BRIEF[:at]} {old} {BRIEF[at:]}"
    found = find_break(before, after)
    assert found is not None
    assert found.kind == kind
    whole = len(BRIEF) / 3.75  # as our own estimate has it
    assert found.tokens_lost == pytest.approx((1 - share) * whole + 40, abs=0.12 * whole)


def test_a_marked_text_is_read_whole_or_not_at_all() -> None:
    before = claude()
    before["system"] = f"{BRIEF} It is 10:01."
    found = find_break(before, grown(before, "system", f"{BRIEF} It is 10:02."))
    assert found is not None
    assert (found.tokens_lost or 0) > len(BRIEF) / 5


def test_what_an_earlier_mark_holds_is_not_lost() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    before = claude()
    del before["cache_control"]
    before["system"] = [{"type": "text", "text": BRIEF, **mark}]
    after = copy.deepcopy(before)
    before["messages"][2]["content"][0] |= mark
    found = find_break(before, after)
    assert found is not None
    assert found.kind == "mark_moved_back"
    assert (found.tokens_lost or 0) < 150


@pytest.mark.parametrize("wrong", [None, [], "text", 3])
def test_what_is_no_request_is_refused(wrong) -> None:
    with pytest.raises(OptionError, match="two dicts"):
        find_break(chat(), wrong)
    with pytest.raises(OptionError, match="two dicts"):
        find_break(wrong, chat())


def test_objects_of_an_sdk_are_what_it_sends() -> None:
    types = pytest.importorskip("openai.types.chat")
    openai = pytest.importorskip("openai")

    def said(words: str) -> dict[str, Any]:
        one = types.ChatCompletionMessage(role="assistant", content=words)
        request = chat()
        return {**request, "messages": [*request["messages"], one, *ENDING]}

    def dumped(words: str) -> dict[str, Any]:
        made = said(words)
        rows = [
            m if isinstance(m, dict) else m.model_dump(exclude_unset=True) for m in made["messages"]
        ]
        return {**made, "messages": rows}

    assert find_break(said("Yes."), dumped("Yes.")) is None
    assert find_break(said("Yes."), {**said("Yes."), "tools": openai.NOT_GIVEN}) is None
    found = find_break(said("Yes."), said("No."))
    assert isinstance(found, CacheBreak)
    assert (found.kind, found.path) == ("message_edited", "messages[6].content")


def test_data_that_is_no_text_weighs_as_one_image() -> None:
    data = "QUJD" * 20_000
    image = f"data:image/png;base64,{data}"
    for words, weighs in ((image, 800), ("base64 " * 1_000, 2_000), ("signature " * 9_000, 13_000)):
        before = chat()
        before["messages"][1]["content"] = [{"type": "text", "text": words}]
        after = grown(before, "messages.0.content", f"{BRIEF} Be kind.")
        found = find_break(before, after)
        assert found is not None
        assert found.tokens_lost == pytest.approx(weighs, rel=0.3)
