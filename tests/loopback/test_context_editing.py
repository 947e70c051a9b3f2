"""Anthropic's context editing: what the provider clears before it reads a request."""

import json
from typing import Any

import pytest

from agentcache.loopback.wire import Refusal

BETA = "context-management-2025-06-27"
CLEAR = "clear_tool_uses_20250919"
MODEL = "claude-haiku-5-5"


@pytest.fixture
def loop(words):
    """A request after so many tool calls, its last result marked, with one edit asked for."""

    def made(uses: int, **edit: Any) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
        for n in range(uses):
            call = {"type": "tool_use", "id": f"t{n}", "name": f"tool{n % 2}", "input": {"n": n}}
            result = {"type": "tool_result", "tool_use_id": f"t{n}", "content": words(600)}
            messages += [
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [result]},
            ]
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        edits = {"edits": [{"type": CLEAR, **edit}]}
        return {"model": MODEL, "messages": messages, "context_management": edits}

    return made


def sent(play, body: dict[str, Any], beta: str = BETA):
    """The request as the model reads it, its reading, and what was told of it."""
    raw = json.dumps(body).encode()
    call = play.provider.resolve(
        play.provider.receive("/v1/messages", {"anthropic-beta": beta}, raw)
    )
    reading = play.provider.read(call)
    play.provider.publish(reading)
    turn = play.provider.turn(call)
    reply = play.provider.answer(call, turn, reading, with_usage=True)
    return call.body, reading, play.provider.body(call, reply)["context_management"]


def by_tokens(value: int, keep: int = 1) -> dict[str, Any]:
    trigger = {"type": "input_tokens", "value": value}
    return {"trigger": trigger, "keep": {"type": "tool_uses", "value": keep}}


def results(body: dict[str, Any]) -> list[int]:
    """The lengths of the tool results."""
    parts = [
        part for m in body["messages"] if isinstance(m["content"], list) for part in m["content"]
    ]
    return [len(part["content"]) for part in parts if part["type"] == "tool_result"]


def test_nothing_is_cleared_below_the_trigger(play, loop) -> None:
    body, reading, told = sent(play, loop(2, **by_tokens(5000)))

    assert told == {"applied_edits": []}
    assert body["messages"] == loop(2)["messages"]
    assert reading.total > 1200


def test_above_it_all_but_the_latest_results_are_cleared_and_counted(play, loop) -> None:
    whole = sent(play, loop(4, **by_tokens(99_999)))[1].total

    body, reading, told = sent(play, loop(4, **by_tokens(2000)))

    assert [length < 100 for length in results(body)] == [True, True, True, False]
    gone = whole - reading.total
    edit = {"type": CLEAR, "cleared_tool_uses": 3, "cleared_input_tokens": gone}
    assert told == {"applied_edits": [edit]}
    assert gone > 1700


def test_what_is_cleared_can_no_longer_be_read(play, loop) -> None:
    grown = [sent(play, loop(n, **by_tokens(2000)))[1] for n in (2, 3, 4)]
    again = sent(play, loop(4, **by_tokens(2000)))[1]

    assert grown[1].read == grown[0].total
    assert grown[2].read == 0
    assert again.read == again.total


@pytest.mark.parametrize(
    ("edit", "cleared"),
    [
        ({"trigger": {"type": "tool_uses", "value": 4}}, 0),
        (
            {
                "trigger": {"type": "tool_uses", "value": 3},
                "keep": {"type": "tool_uses", "value": 0},
            },
            4,
        ),
        ({**by_tokens(2000), "exclude_tools": ["tool0"]}, 1),
        ({**by_tokens(2000), "clear_at_least": {"type": "input_tokens", "value": 9999}}, 0),
        ({}, 0),
    ],
)
def test_the_options_of_an_edit_are_kept(play, loop, edit, cleared) -> None:
    told = sent(play, loop(4, **edit))[2]["applied_edits"]

    assert sum(each["cleared_tool_uses"] for each in told) == cleared


def test_inputs_are_cleared_where_that_is_asked_for(play, loop) -> None:
    body, _, _ = sent(play, loop(4, **by_tokens(2000), clear_tool_inputs=True))

    calls = [m["content"][0] for m in body["messages"] if m["role"] == "assistant"]
    assert [call["input"] for call in calls] == [{}, {}, {}, {"n": 3}]


def test_it_needs_its_beta_header(play, loop) -> None:
    with pytest.raises(Refusal, match="Extra inputs are not permitted"):
        sent(play, loop(1), beta="")


def test_a_request_without_it_is_read_as_it_is(play, loop) -> None:
    body = {k: v for k, v in loop(4).items() if k != "context_management"}

    assert play.send("messages", **body).total > 2400
