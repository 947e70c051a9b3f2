"""Agents of every kind: what each reads and says stays its own."""

import json

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    CodeExecutorAgent,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core.code_executor import CodeExecutor, CodeResult
from autogen_core.models import UserMessage
from pydantic import BaseModel

import agentcache
from agentcache import loopback

from . import play, programs, wire

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])


def made(client):
    return programs.Staff(lambda: client)


@models
async def test_an_agent_that_is_a_tool_is_forked_too(desk, model):
    def build(client):
        staff = made(client)
        tool = AgentTool(staff.agent("writer"), return_value_as_last_message=True)
        planner = staff.agent("planner", tools=[tool])
        return RoundRobinGroupChat([planner, staff.agent("critic")], max_turns=2)

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

    plain, wrapped, bodies, team = await desk.both(build, script=script, model=model)

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
        staff = made(client)
        inner = RoundRobinGroupChat([staff.agent("writer"), staff.agent("critic")], max_turns=2)
        tool = TeamTool(inner, "desk", "Let the desk draft.")
        return RoundRobinGroupChat([staff.agent("planner", tools=[tool])], max_turns=1)

    def script():
        def answer(turn):
            who = play.speaker(turn)
            if who == "planner":
                call = loopback.ToolCall("desk", {"task": "Draft one line."})
                return loopback.Answer(tool_calls=(call,))
            return loopback.Answer(f"Said by the {who}.")

        return answer

    plain, wrapped, bodies, _ = await desk.both(build, script=script, model=model)

    assert wrapped == plain
    assert [wire.who(body) for body in bodies] == ["planner", "writer", "critic"]
    assert "[writer]: Said by the writer." in wire.texts(bodies[2])


async def test_a_society_of_mind_shares_the_chat_of_its_own_team(desk):
    def build(client):
        staff = made(client)
        inner = RoundRobinGroupChat([staff.agent("writer"), staff.agent("critic")], max_turns=2)
        mind = SocietyOfMindAgent("mind", inner, client)
        return RoundRobinGroupChat([mind, staff.agent("planner")], max_turns=3)

    def script():
        asked = play.Play()

        def answer(turn):
            if "Output a standalone response" in json.dumps(turn.body):
                return loopback.Answer("The memo is done.")
            return asked(turn)

        return answer

    plain, wrapped, bodies, _ = await desk.both(build, script=script)

    assert wrapped == plain
    assert [wire.who(body) for body in bodies] == [
        *("writer", "critic", "mind", "planner"),
        *("writer", "critic", "mind"),
    ]


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

    plain, wrapped, bodies, _ = await desk.both(build, script=script, model=model)

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

    plain, wrapped, bodies, _ = await desk.both(build)

    assert wrapped == plain
    assert '"[ann]: Mention the tides, please."' in "\n".join(wire.shared(bodies[-1]))


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
