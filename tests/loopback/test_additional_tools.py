"""OpenAI Responses, `additional_tools`: facts/providers.md §1.1."""

import pytest

from agentcache.loopback.responses_turn import responses_turn
from agentcache.loopback.wire import Refusal

NEW, OLD = "gpt-6-luna", "gpt-5.5"
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def tool(name):
    return {"type": "function", "name": name, "parameters": {"type": "object"}}


def added(*names, **more):
    return {
        "type": "additional_tools",
        "role": "developer",
        "tools": [tool(name) for name in names],
        **more,
    }


def user(text):
    return {"role": "user", "content": text}


def ask(*items, model=NEW, **more):
    return {"model": model, "input": list(items), **more}


@pytest.mark.parametrize("model", [NEW, OLD, "llama-3.1-8b"])
def test_added_tools_leave_what_stands_before_them_readable(play, words, model):
    """'append-only': safe to vary per fork."""
    first, second = (
        play.send(
            "responses", **ask(user(words(2000)), added(name), model=model, tools=[tool("x")])
        )
        for name in ("a", "b")
    )
    assert first.read == 0
    assert second.read >= (1920 if model == OLD else 2000)
    assert second.total - second.read < 200


@pytest.mark.parametrize("model", [NEW, OLD, "llama-3.1-8b"])
def test_the_same_tools_at_the_top_level_miss_the_cache(play, words, model):
    """The control: rendered order is tools, then developer, then history."""
    for name in ("a", "b"):
        body = ask(user(words(2000)), model=model, tools=[tool(name)])
        reading = play.send("responses", **body)
    assert reading.read < 20


def test_they_are_tokens_of_the_prompt(play):
    bare = play.send("responses", **ask(user("x"))).total
    one = play.send("responses", **ask(user("x"), added("a"))).total
    two = play.send("responses", **ask(user("x"), added("a", "b"))).total
    assert bare < one < two


def test_its_id_moves_nothing(play, words):
    body = ask(user("go"), added("a"), user(words(2000)))
    total = play.send("responses", **body).total
    body["input"][1]["id"] = "at_1"
    assert play.send("responses", **body).read == total


def test_a_script_sees_them_beside_the_top_level_ones():
    turn = responses_turn(ask(user("x"), added("b", "a"), tools=[tool("a")]), NEW)
    assert turn.tools == turn.callable_tools == ("a", "b")


@pytest.mark.parametrize(
    ("choice", "left", "forced"),
    [
        ({"type": "allowed_tools", "mode": "auto", "tools": [tool("b")]}, ("b",), None),
        ({"type": "allowed_tools", "mode": "required", "tools": [tool("b")]}, ("b",), ""),
        ({"type": "function", "name": "b"}, ("a", "b"), "b"),
    ],
)
def test_tool_choice_may_name_them(choice, left, forced):
    body = ask(user("x"), added("b"), tools=[tool("a")], tool_choice=choice)
    turn = responses_turn(body, NEW)
    assert (turn.callable_tools, turn.forced_tool) == (left, forced)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (added("a", **BREAKPOINT), "input[0].prompt_cache_breakpoint"),
        (
            added() | {"tools": [tool("a") | BREAKPOINT]},
            "input[0].tools[0].prompt_cache_breakpoint",
        ),
        (added("a", role="user"), "input[0].role"),
        (added("a", role="system"), "input[0].role"),
        ({"type": "additional_tools", "tools": [tool("a")]}, "input[0].role"),
        ({"type": "additional_tools", "role": "developer"}, "input[0].tools"),
    ],
)
def test_a_bad_item_is_refused(play, item, param):
    """Markers: 'not on `additional_tools`'; its role: 'Only `developer` is supported'."""
    with pytest.raises(Refusal) as caught:
        play.send("responses", **ask(item))
    assert caught.value.param == param


def test_the_developer_run_before_them_stays_a_boundary(play, words):
    """Lookup: 'end of the initial developer run'."""
    lead = {"role": "developer", "content": words(2000)}
    for name in ("a", "b"):
        reading = play.send("responses", **ask(lead, added(name), user("x")))
    assert reading.read == 0  # implicit mode writes the latest eligible ending only
    play.send("responses", **ask(lead))
    assert play.send("responses", **ask(lead, added("c"), user("x"))).read > 2000
