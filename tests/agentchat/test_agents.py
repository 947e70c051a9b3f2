"""Agents of every kind: what each reads and says stays its own."""

import json
from itertools import pairwise

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.messages import MultiModalMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import Image
from autogen_core.code_executor import CodeExecutor, CodeResult
from autogen_core.models import UserMessage
from pydantic import BaseModel

import agentcache
from agentcache import loopback

from . import play, programs, wire
from .measure import transcript

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR"
    "9awAAAABJRU5ErkJggg=="
)


async def both(desk, build, *, task=play.TASK, script=None, model="gpt-6-luna", **info):
    """A team that `build` makes of a client, run plain and wrapped: the results, what was sent."""
    told = []
    for wrap in (False, True):
        desk.begin(script() if script else None)
        client = desk.client(model, **info)
        team = build(client)
        if wrap:
            agentcache.wrap(team, layout="tail")
        result = await team.run(task=task)
        told.append((transcript(result), desk.bodies))
    (plain, _), (wrapped, bodies) = told
    return plain, wrapped, bodies, team


def made(client):
    return programs._Desk(lambda: client)


@models
async def test_an_agent_that_is_a_tool_is_forked_too(desk, model):
    def build(client):
        desk_ = made(client)
        tool = AgentTool(desk_.agent("writer"), return_value_as_last_message=True)
        planner = desk_.agent("planner", tools=[tool])
        return RoundRobinGroupChat([planner, desk_.agent("critic")], max_turns=2)

    def script():
        asked = []

        def answer(turn):
            who = play.speaker(turn)
            asked.append(who)
            if who == "planner" and asked.count("planner") == 1:
                call = loopback.ToolCall("writer", {"task": "Draft one line."})
                return loopback.Answer(tool_calls=(call,))
            return loopback.Answer(f"Said by the {who}.")

        return answer

    plain, wrapped, bodies, team = await both(desk, build, script=script, model=model)

    assert wrapped == plain
    assert [wire.who(body) for body in bodies if wire.is_forked(body)] == [
        "planner",
        "writer",
        "critic",
    ]
    assert {row.agent for row in agentcache.report(team).rows} == {"planner", "writer", "critic"}


@models
async def test_a_team_that_is_a_tool_is_forked_too(desk, model):
    def build(client):
        desk_ = made(client)
        inner = RoundRobinGroupChat([desk_.agent("writer"), desk_.agent("critic")], max_turns=2)
        tool = TeamTool(inner, "desk", "Let the desk draft.")
        return RoundRobinGroupChat([desk_.agent("planner", tools=[tool])], max_turns=1)

    def script():
        def answer(turn):
            who = play.speaker(turn)
            if who == "planner":
                call = loopback.ToolCall("desk", {"task": "Draft one line."})
                return loopback.Answer(tool_calls=(call,))
            return loopback.Answer(f"Said by the {who}.")

        return answer

    plain, wrapped, bodies, _ = await both(desk, build, script=script, model=model)

    assert wrapped == plain
    assert [wire.who(body) for body in bodies] == ["planner", "writer", "critic"]
    assert "[writer]: Said by the writer." in wire.texts(bodies[2])


async def test_a_society_of_mind_shares_the_chat_of_its_own_team(desk):
    def build(client):
        desk_ = made(client)
        inner = RoundRobinGroupChat([desk_.agent("writer"), desk_.agent("critic")], max_turns=2)
        mind = SocietyOfMindAgent("mind", inner, client)
        return RoundRobinGroupChat([mind, desk_.agent("planner")], max_turns=3)

    def script():
        asked = play.Play()

        def answer(turn):
            if "Output a standalone response" in json.dumps(turn.body):
                return loopback.Answer("The memo is done.")
            return asked(turn)

        return answer

    plain, wrapped, bodies, _ = await both(desk, build, script=script)

    assert wrapped == plain
    assert [wire.who(body) for body in bodies] == [
        *("writer", "critic", "mind", "planner"),
        *("writer", "critic", "mind"),
    ]


def filtered(client, *, position="last"):
    """A planner, then a writer; a critic who is shown the last word of the writer only."""
    desk_, builder = made(client), DiGraphBuilder()
    planner, writer, critic = desk_.trio()
    only = MessageFilterConfig(
        per_source=[PerSourceFilter(source="writer", position=position, count=1)]
    )
    narrow = MessageFilterAgent("critic", critic, only)
    builder.add_node(planner).add_node(writer).add_node(narrow)
    builder.add_edge(planner, writer).add_edge(writer, narrow)
    return GraphFlow(builder.get_participants(), graph=builder.build())


@models
@pytest.mark.parametrize("layout", ["auto", "tail", "roster"])
async def test_a_filtered_agent_is_not_shown_what_its_filter_hides(desk, model, layout):
    team = agentcache.wrap(filtered(desk.client(model)), layout=layout)

    await team.run(task=play.BRIEF)

    last = desk.bodies[-1]
    assert "Note 1 by the writer" in wire.texts(last)
    assert "Note 1 by the planner" not in wire.texts(last)
    assert "In week 50" not in wire.texts(last)


@models
async def test_a_filtered_agent_says_what_it_says_unwrapped(desk, model):
    plain, wrapped, _, _ = await both(desk, filtered, model=model)

    assert wrapped == plain


async def test_words_said_twice_stand_where_they_were_heard(desk):
    def build(client):
        desk_ = made(client)
        _, writer, critic = desk_.trio()
        only = MessageFilterConfig(
            per_source=[PerSourceFilter(source="writer", position="last", count=1)]
        )
        return RoundRobinGroupChat(
            [writer, MessageFilterAgent("critic", critic, only)], max_turns=4
        )

    def script():
        def answer(turn):
            who = play.speaker(turn)
            return loopback.Answer("Done." if who == "writer" else "Go on.")

        return answer

    plain, wrapped, bodies, _ = await both(desk, build, script=script)

    assert wrapped == plain
    said = [
        line for line in wire.texts(bodies[-1]).split("\n") if ": Done." in line or "Go" in line
    ]
    assert ["Done." in line for line in said] == [True, False, True]


class Sandbox(CodeExecutor):
    """Runs nothing, and says so."""

    async def execute_code_blocks(self, code_blocks, cancellation_token):
        return CodeResult(exit_code=0, output=f"{len(code_blocks)} block(s) ran")

    async def start(self):
        """Nothing to start."""

    async def stop(self):
        """Nothing to stop."""

    async def restart(self):
        """Nothing to restart."""


@pytest.mark.filterwarnings("ignore:No approval function:UserWarning")
@models
async def test_an_agent_that_executes_code_is_forked(desk, model):
    def build(client):
        coder = CodeExecutorAgent(
            "writer", Sandbox(), model_client=client, system_message=play.PROMPTS["writer"]
        )
        return RoundRobinGroupChat([coder, made(client).agent("critic")], max_turns=3)

    def script():
        asked = []

        def answer(turn):
            who = play.speaker(turn)
            asked.append(who)
            code = "```python\nprint(1)\n```" if asked.count(who) == 1 and who == "writer" else ""
            return loopback.Answer(code or f"Said by the {who}, {asked.count(who)}.")

        return answer

    plain, wrapped, bodies, _ = await both(desk, build, script=script, model=model)

    assert wrapped == plain
    assert "block(s) ran" in json.dumps(wrapped)
    assert all(wire.is_forked(body) for body in bodies)


async def test_a_person_in_the_team_is_heard_by_name(desk):
    def build(client):
        def ask(_prompt):
            return "Mention the tides, please."

        planner, writer, _ = made(client).trio()
        return RoundRobinGroupChat(
            [planner, UserProxyAgent("ann", input_func=ask), writer], max_turns=3
        )

    plain, wrapped, bodies, _ = await both(desk, build)

    assert wrapped == plain
    assert '"[ann]: Mention the tides, please."' in "\n".join(wire.shared(bodies[-1]))


@models
@pytest.mark.parametrize("vision", [False, True])
async def test_an_image_is_shown_to_all_who_can_see(desk, model, vision):
    def build(client):
        return RoundRobinGroupChat(made(client).trio(), max_turns=3)

    task = MultiModalMessage(content=["Look at this pier.", Image.from_uri(DOT)], source="user")
    plain, wrapped, bodies, _ = await both(desk, build, task=task, model=model, vision=vision)

    assert wrapped == plain
    for before, body in pairwise(bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known
    for body in bodies:
        assert "Look at this pier." in "\n".join(wire.shared(body))
        assert ("base64" in "\n".join(wire.shared(body))) == vision


async def test_what_an_agent_remembers_stands_behind_the_chat(ran):
    run = await ran(programs.memory, "gpt-6-luna", "tail")

    for body in run.bodies:
        mine = "The board reads one page." in json.dumps(body)
        assert mine == (wire.who(body) == "writer")
        assert "The board reads one page." not in "\n".join(wire.shared(body))


class Page(BaseModel):
    """A page."""

    number: int


async def test_json_output_of_an_own_call_is_left_as_it_is(desk):
    client = desk.client()
    agent = AssistantAgent("writer", client, system_message=play.PROMPTS["writer"])
    agentcache.wrap(agent, layout="tail")
    desk.begin(lambda _turn: loopback.Answer('{"number": 1}'))
    said = [UserMessage(content="Which page?", source="user")]
    await agent._model_client.create(said, json_output=Page)
    await client.create(said, json_output=Page)

    assert desk.raw[0] == desk.raw[1]
