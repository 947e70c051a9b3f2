"""A tool that is not an agent's own is never executed, though the union shows it to the model."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from autogen_agentchat.teams import SelectorGroupChat, Swarm

import agentcache
from agentcache import loopback
from agentcache.errors import ForeignToolError

from . import play, wire
from .house import TOLD, House, reckless, results, said
from .measure import MODELS

ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
models = pytest.mark.parametrize("model", MODELS)


@models
@ways
async def test_without_the_guard_a_tool_that_was_hidden_is_executed(desk, model, stream):
    desk.begin(reckless(insists=True))
    house = House(desk.client(model), stream=stream)

    await agentcache.wrap(house.team(), layout="tail", guard=False).run(task="Tidy up.")

    assert house.ran == ["drop_table"]


@models
@ways
async def test_an_agent_that_calls_anothers_tool_is_told_and_recovers(desk, model, stream):
    desk.begin(reckless(insists=False))
    house = House(desk.client(model), stream=stream)

    result = await agentcache.wrap(house.team(), layout="tail").run(task="Tidy up.")

    assert house.ran == []
    assert said(result) == ["Tidy up.", "Said by the planner."]
    assert TOLD in wire.texts(desk.bodies[-1])
    known = wire.shared(desk.bodies[0])
    assert all(wire.shared(body) == known for body in desk.bodies)


@models
@ways
async def test_an_agent_that_insists_is_refused_by_its_own_tool_runner(desk, model, stream):
    desk.begin(reckless(insists=True))
    house = House(desk.client(model), stream=stream)

    result = await agentcache.wrap(house.team(), layout="tail").run(task="Tidy up.")

    assert house.ran == []
    (refused,) = results(result)
    assert "drop_table" in refused
    assert "not found" in refused
    assert len(desk.bodies) == 2


@models
async def test_a_call_that_follows_streamed_words_is_refused_without_saying_them_twice(desk, model):
    def script(turn: loopback.Turn) -> loopback.Answer:
        return loopback.Answer("I will.", (loopback.ToolCall("drop_table", {"query": "users"}),))

    desk.begin(script)
    house = House(desk.client(model), stream=True)
    team = agentcache.wrap(house.team(), layout="tail")

    events = [event async for event in team.run_stream(task="Tidy up.")]

    chunks = [e.content for e in events[:-1] if e.type == "ModelClientStreamingChunkEvent"]
    assert "".join(chunks) == "I will."
    assert house.ran == []


@models
async def test_the_owner_of_the_tool_may_call_it(desk, model):
    desk.begin(reckless(insists=True, who="writer"))
    house = House(desk.client(model))

    await agentcache.wrap(house.team(2), layout="tail").run(task="Tidy up.")

    assert house.ran == ["drop_table"]


@models
@ways
async def test_an_agent_without_tools_that_calls_one_is_told_and_recovers(desk, model, stream):
    desk.begin(reckless(insists=False))
    house = House(desk.client(model), stream=stream, tools=False)

    result = await agentcache.wrap(house.team(), layout="tail").run(task="Tidy up.")

    assert said(result) == ["Tidy up.", "Said by the planner."]


@models
@ways
async def test_an_agent_without_tools_that_insists_ends_in_an_error(desk, model, stream):
    desk.begin(reckless(insists=True))
    house = House(desk.client(model), stream=stream, tools=False)
    agent = house.planner
    agentcache.wrap([agent, house.writer], layout="tail")

    with pytest.raises(ForeignToolError, match="'planner' called 'drop_table'"):
        await agent.run(task="Tidy up.")

    assert house.ran == []


@models
@pytest.mark.parametrize("insists", [False, True])
async def test_a_handoff_that_is_not_an_agents_own_hands_nothing_over(desk, model, insists):
    desk.begin(reckless(insists=insists, name="transfer_to_critic"))
    house = House(desk.client(model))
    planner = house.agent("planner", handoffs=["writer"])
    writer = house.agent("writer", handoffs=["critic"])
    team = Swarm([planner, writer, house.agent("critic")], max_turns=1)

    result = await agentcache.wrap(team, layout="tail").run(task="Tidy up.")

    assert not any(message.type == "HandoffMessage" for message in result.messages)
    assert bool(results(result)) == insists
    assert ("Said by the planner." in said(result)) != insists


@models
@pytest.mark.parametrize("insists", [False, True])
async def test_of_two_tools_called_at_once_only_the_own_one_ever_runs(desk, model, insists):
    def script(turn: loopback.Turn) -> loopback.Answer:
        if not insists and any(TOLD in text.text for text in turn.texts):
            return loopback.Answer("I only read.")
        both = ("read_table", "drop_table")
        return loopback.Answer("", tuple(loopback.ToolCall(n, {"query": "users"}) for n in both))

    desk.begin(script)
    house = House(desk.client(model))

    await agentcache.wrap(house.team(), layout="tail").run(task="Tidy up.")

    assert house.ran == (["read_table"] if insists else [])


@models
@ways
async def test_a_model_that_calls_a_tool_while_it_selects_is_told_and_selects(desk, model, stream):
    def script(turn: loopback.Turn) -> loopback.Answer:
        if play.speaker(turn) != "selector":
            return loopback.Answer(f"Said by the {play.speaker(turn)}.")
        if "drop_table" in turn.tools and TOLD not in json.dumps(turn.body):
            return loopback.Answer("", (loopback.ToolCall("drop_table", {"query": "x"}),))
        return loopback.Answer("writer")

    desk.begin(script)
    client = desk.client(model)
    house = House(client, tools=False)
    team = SelectorGroupChat(
        [house.planner, house.writer, house.agent("critic")],
        client,
        max_turns=1,
        model_client_streaming=stream,
    )

    result = await agentcache.wrap(team, layout="tail").run(task="Tidy up.")

    assert house.ran == []
    assert said(result) == ["Tidy up.", "Said by the writer."]


@models
@ways
async def test_a_model_that_calls_a_tool_while_it_reflects_is_told_and_reflects(
    desk, model, stream
):
    def script(turn: loopback.Turn) -> loopback.Answer:
        if any(TOLD in text.text for text in turn.texts):
            return loopback.Answer("All is read.")
        return loopback.Answer("", (loopback.ToolCall("read_table", {"query": "users"}),))

    desk.begin(script)
    house = House(desk.client(model), stream=stream)
    house.planner = house.agent(
        "planner", tools=[house.tool("read_table")], reflect_on_tool_use=True
    )

    result = await agentcache.wrap(house.team(), layout="tail").run(task="Tidy up.")

    assert house.ran == ["read_table"]
    assert said(result) == ["Tidy up.", "All is read."]


@models
async def test_tools_an_agent_may_call_are_told_to_the_provider_or_the_model(desk, model):
    desk.begin(reckless(insists=False, who="nobody"))
    house = House(desk.client(model))

    await agentcache.wrap(house.team(2), layout="tail").run(task="Tidy up.")

    for body, own in zip(desk.bodies, ("read_table", "drop_table"), strict=True):
        assert sorted(wire.names(body)) == ["drop_table", "read_table"]
        choice: Mapping[str, Any] = body.get("tool_choice", {})
        assert f"`{own}`" in wire.own_text(body) or own in json.dumps(choice)
