"""What is shared on the wire: one chat, written alike for every reader, that only grows."""

import json
from itertools import pairwise

import pytest

import agentcache

from . import measure, programs, wire
from .measure import MODELS

GROWING = (
    programs.round_robin,
    programs.auto,
    programs.introductions,
    programs.auto_tools_summary,
    programs.every_tool,
    programs.two_agents,
    programs.round_robin_pattern,
    programs.auto_pattern,
    programs.default_pattern,
    programs.default_pattern_tools,
    programs.colliding_pattern,
)
LONG = (programs.auto, programs.auto_tools_summary, programs.two_agents, programs.auto_pattern)
SELECTING = (programs.auto, programs.auto_tools_summary, programs.auto_pattern)
SUMMING = (programs.auto_tools_summary, programs.two_agents, programs.round_robin_pattern)

MARKED = ("gpt-6-luna", "claude-haiku-5-5")
AUTOGENS_OWN = ("None", "Please continue.", "Some internal function(s)", "Running the function")
"""What its Anthropic client writes so that roles alternate and a request without tools has none."""


def of(run, asked):
    return [body for body in run.bodies if asked in wire.own_text(body)]


@pytest.mark.parametrize(
    ("model", "layout"),
    [("gpt-6-luna", "tail"), ("claude-haiku-5-5", "tail"), ("gpt-6-luna", "roster")],
)
@pytest.mark.parametrize("factory", GROWING)
def test_each_request_begins_with_all_that_the_one_before_shared(ran, factory, model, layout):
    run = ran(factory, model, layout)

    assert all(wire.is_forked(body) for body in run.bodies)
    for before, body in pairwise(run.bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


@pytest.mark.parametrize("model", MARKED)
def test_a_chat_inside_a_turn_begins_with_what_all_chats_share(ran, model):
    run = ran(programs.nested, model, "tail")

    inner, outer = [], []
    for body in run.bodies:
        whole = wire.chat(body)[0] == f"[user]: {programs.TASK}"
        (outer if whole else inner).append(wire.shared(body))
    assert len(inner) == 6
    for before, after in pairwise(outer):
        assert after[: len(before)] == before
    system = len(wire.shared(run.bodies[0])) - 1
    assert all(each[:system] == outer[0][:system] for each in inner)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", LONG)
def test_whatever_stays_where_what_is_shared_begins_one_chat(ran, factory, model):
    run = ran(factory, model, "auto", task=programs.BRIEF)

    every = [wire.shared(body) for body in run.bodies if wire.is_forked(body)]
    chat = max(every, key=len)
    assert len(every) >= len(run.bodies) - 1
    assert all(each == chat[: len(each)] for each in every)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", GROWING)
def test_the_chat_is_written_as_said_by_name(ran, factory, model):
    run = ran(factory, model, "tail")

    said = [
        f"[{message.get('name', 'user')}]: {message['content']}"
        for message in run.outcome.said
        if message["content"] not in (None, "", "None") and message["role"] != "tool"
    ]
    heard = max((wire.chat(body) for body in run.bodies), key=len)
    if factory is programs.introductions:
        assert heard[0].startswith("[chat_manager]: Hello everyone.")
        heard = heard[1:]
    heard = [text.replace("[_User]: ", "[user]: ") for text in heard]
    assert len(heard) >= 4
    assert heard == said[: len(heard)]


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", GROWING)
def test_a_mark_stands_where_what_is_shared_ends(ran, factory, model):
    run = ran(factory, model, "tail")

    for body in run.bodies:
        assert len(wire.shared(body)) - 1 in wire.marked(body)


@pytest.mark.parametrize("model", MARKED)
def test_no_request_has_more_marks_than_the_provider_takes(ran, model):
    cases = [(f, "tail") for f in GROWING] + [(programs.auto_tools_summary, "roster")]
    every = [ran(factory, model, layout) for factory, layout in cases]

    assert all(len(wire.marked(body)) <= 4 for run in every for body in run.bodies)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", GROWING)
def test_each_agent_keeps_its_own_text_word_for_word(ran, factory, model):
    run = ran(factory, model, "tail")

    for before, after in zip(ran(factory, model).bodies, run.bodies, strict=True):
        own, text = json.dumps(before), wire.texts(after)
        for prompt in programs.PROMPTS.values():
            written = json.dumps(prompt)[1:-1]
            assert (written in text) == (written in own)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", GROWING)
def test_nothing_that_a_plain_request_says_is_lost(ran, factory, model):
    plain, wrapped = ran(factory, model), ran(factory, model, "tail")

    for before, after in zip(plain.bodies, wrapped.bodies, strict=True):
        assert set(wire.names(before)) <= set(wire.names(after))
        for text in _said(before):
            assert json.dumps(text)[1:-1] in wire.texts(after)


def _said(body):
    system = body.get("system") or ""
    texts = [system if isinstance(system, str) else system[0]["text"]]
    for message in body["messages"]:
        content = message.get("content") or ""
        parts = [{"text": content}] if isinstance(content, str) else content
        texts += [part.get("text") or part.get("content") or "" for part in parts]
    lines = [line for text in texts for line in text.split("\n")]
    return [line for line in lines if not line.startswith(AUTOGENS_OWN)]


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", SELECTING)
def test_the_choice_of_a_speaker_reads_the_chat_and_may_call_no_tool(ran, factory, model):
    run = ran(factory, model, "tail")

    choices = of(run, "Then select the next role from")
    assert len(choices) >= programs.TURNS - 1
    for body in choices:
        assert wire.chat(body)
        assert_no_tool_may_be_called(body)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", SUMMING)
def test_a_summary_reads_the_chat_and_may_call_no_tool(ran, factory, model):
    run = ran(factory, model, "tail")

    (body,) = of(run, "Summarize the takeaway")
    assert body == run.bodies[-1]
    assert len(wire.chat(body)) >= 4
    assert_no_tool_may_be_called(body)


def assert_no_tool_may_be_called(body):
    if not body.get("tools"):
        return
    if body["model"].startswith("gpt"):
        assert body["tool_choice"] == "none"
    else:
        assert "You have no tools in this conversation." in wire.own_text(body)


@pytest.mark.parametrize("model", MARKED)
def test_an_agent_is_told_which_of_all_tools_it_may_call(ran, model):
    run = ran(programs.every_tool, model, "tail")

    for body in run.bodies:
        assert wire.names(body) == sorted(programs.OWN.values())
        asked = [name for name in programs.TRIO if f"You are the {name} of" in wire.own_text(body)]
        for name in asked:
            own = programs.OWN[name]
            if model.startswith("gpt"):
                allowed = body["tool_choice"]["allowed_tools"]
                assert [tool["function"]["name"] for tool in allowed["tools"]] == [own]
            else:
                assert f"You may call only these tools: `{own}`." in wire.own_text(body)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("layout", ["tail", "roster"])
def test_a_chat_that_only_grows_warns_of_no_broken_cache(stage, recwarn, model, layout):
    def prepare(program):
        agentcache.wrap(program.root, layout=layout)

    measure.run(programs.auto_tools_summary, model, prepare, stage=stage, task=programs.BRIEF)

    assert not [w for w in recwarn if issubclass(w.category, agentcache.AgentcacheWarning)]
