"""What is shared on the wire: one chat, written alike for every reader, that only grows."""

import json
from itertools import pairwise

import pytest

from . import play, programs, wire
from .measure import MODELS

MARKED = ("gpt-6-luna", "claude-haiku-5-5")
GROWING = (
    programs.round_robin,
    programs.round_robin_tools,
    programs.tool_summary,
    programs.selector,
    programs.swarm,
    programs.swarm_tools,
    programs.nested,
)
CHATS = (*GROWING, programs.graph_join, programs.memory)


def skip_where_autogen_refuses(factory, model):
    if factory is programs.memory and model.startswith("claude"):
        pytest.skip("AutoGen itself refuses memory for Anthropic")


@pytest.mark.parametrize("layout", ["tail", "roster"])
@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", GROWING)
async def test_each_request_begins_with_all_that_the_one_before_shared(ran, factory, model, layout):
    run = await ran(factory, model, layout)

    assert all(wire.is_forked(body) for body in run.bodies)
    for before, body in pairwise(run.bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", CHATS)
async def test_whatever_stays_where_what_is_shared_begins_one_chat(ran, factory, model):
    skip_where_autogen_refuses(factory, model)

    run = await ran(factory, model, "auto", task=play.BRIEF)

    every = [wire.shared(body) for body in run.bodies if wire.is_forked(body)]
    chat = max(every, key=len)
    assert len(every) >= len(run.bodies) - 1
    assert all(each == chat[: len(each)] for each in every)


@pytest.mark.parametrize("layout", ["tail", "auto"])
@pytest.mark.parametrize("factory", CHATS)
async def test_the_chat_is_written_as_said_by_name(ran, factory, layout):
    run = await ran(factory, "gpt-6-luna", layout, task=play.BRIEF)

    said = [
        f"[{message.source}]: {message.content}"
        for message in run.result.messages
        if message.type in ("TextMessage", "HandoffMessage", "ToolCallSummaryMessage")
    ]
    every = [wire.shared(body) for body in run.bodies]
    longest = [json.loads(block) for block in max(every, key=len)]
    texts = [block[1]["text"] for block in longest if isinstance(block, list)]
    heard = [text for text in texts if text.startswith("[")]
    assert heard[0] == f"[user]: {play.BRIEF}"
    assert set(heard) <= set(said)
    if run.program.ordered:
        assert heard == said[: len(heard)]


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", GROWING)
async def test_a_mark_stands_where_what_is_shared_ends(ran, factory, model):
    run = await ran(factory, model, "tail")

    for body in run.bodies:
        assert len(wire.shared(body)) - 1 in wire.marked(body)


@pytest.mark.parametrize("model", MARKED)
async def test_no_request_has_more_marks_than_the_provider_takes(ran, model):
    every = [await ran(f, model, layout) for f in GROWING for layout in ("tail", "roster")]

    assert all(len(wire.marked(body)) <= 4 for run in every for body in run.bodies)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", CHATS)
async def test_each_agent_keeps_its_own_text_word_for_word(ran, factory, model):
    skip_where_autogen_refuses(factory, model)

    run = await ran(factory, model, "tail")

    for body in run.bodies:
        name = wire.who(body)
        if name in play.PROMPTS:
            assert play.PROMPTS[name] in wire.own_text(body)
            assert not any(
                text in json.dumps(body) for who, text in play.PROMPTS.items() if who != name
            )


@pytest.mark.parametrize("model", MODELS)
async def test_nothing_that_a_plain_request_says_is_lost(ran, model):
    plain = await ran(programs.every_tool, model)
    wrapped = await ran(programs.every_tool, model, "tail")

    for before, after in zip(plain.bodies, wrapped.bodies, strict=True):
        assert set(wire.names(before)) <= set(wire.names(after))
        for message in before["messages"]:
            content = message.get("content") or []
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            for part in parts:
                said = part.get("text") or part.get("content")
                wanted = json.dumps(said)[1:-1] if said else json.dumps(part["input"])
                assert wanted in wire.texts(after)


@pytest.mark.parametrize("model", MODELS)
async def test_the_choice_of_a_speaker_reads_the_chat_instead_of_a_copy_of_it(ran, model):
    run = await ran(programs.selector, model, "tail", task=play.BRIEF)

    choices = [body for body in run.bodies if "select the next role" in wire.own_text(body)]
    assert len(choices) == programs.TURNS
    for body in choices:
        assert json.dumps(body).count("In week 50 the Harbour Line") == 1
        assert "the conversation above" in wire.own_text(body)


@pytest.mark.parametrize("model", MODELS)
async def test_reflection_on_a_tool_carries_the_tools_it_may_not_call(ran, model):
    run = await ran(programs.round_robin_tools, model, "tail")

    told = [body for body in run.bodies if any(_is_result(m) for m in body["messages"][-1:])]
    assert told
    for body in told:
        assert wire.names(body) == ["search_archive"]
        if not model.startswith("claude"):
            assert body["tool_choice"] == "none"


def _is_result(message):
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return message["role"] == "tool" or any(p["type"] == "tool_result" for p in parts)
