"""What is not forked goes out as the program made it, and is said."""

import json
import warnings

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import StructuredMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
)
from autogen_core.tools import FunctionTool
from pydantic import BaseModel

import agentcache
from agentcache import AgentcacheWarning, loopback
from agentcache.errors import ToolConflictError

from . import play, programs, wire
from .measure import MODELS

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])


def said_in(report):
    return " ".join([*report.notes, *(passed.reason for passed in report.passed_through)])


def passed(report):
    return {each.agent: each.reason.partition(":")[0] for each in report.passed_through}


def requests_of(desk, name):
    return [body for body in desk.bodies if f"You are the {name} of" in json.dumps(body)]


@models
@pytest.mark.parametrize(
    "bounded",
    [
        lambda: BufferedChatCompletionContext(2),
        lambda: HeadAndTailChatCompletionContext(1, 1),
    ],
    ids=["buffered", "head_and_tail"],
)
async def test_an_agent_that_forgets_is_not_forked_and_its_neighbours_are(desk, model, bounded):
    client = desk.client(model)
    made = programs.Staff(lambda: client)
    planner, _, critic = made.trio()
    forgetful = made.agent("writer", model_context=bounded())
    team = RoundRobinGroupChat([planner, forgetful, critic], max_turns=7)

    with pytest.warns(AgentcacheWarning, match="writer: bounded_context"):
        agentcache.wrap(team, layout="tail")
    await team.run(task=play.TASK)

    forked = [wire.is_forked(body) for body in desk.bodies]
    assert forked == [True, False, True, True, False, True, True]
    assert passed(agentcache.report(team)) == {"writer": "bounded_context"}
    own = requests_of(desk, "writer")[-1]
    assert json.dumps(own).count("Note 1 by the planner") <= 1


async def test_an_agent_with_a_limit_of_tokens_is_not_forked(desk):
    client = desk.client()
    limited = TokenLimitedChatCompletionContext(client, token_limit=2000)
    made = programs.Staff(lambda: client)
    agents = [made.agent("planner"), made.agent("writer", model_context=limited)]

    with pytest.warns(AgentcacheWarning, match="writer: bounded_context.*TokenLimited"):
        agentcache.wrap(agents, layout="tail")


async def test_a_forgetful_agent_is_sent_what_it_is_sent_unwrapped(desk):
    async def run(wrap):
        desk.begin()
        client = desk.client()
        made = programs.Staff(lambda: client)
        planner, _, critic = made.trio()
        forgetful = made.agent("writer", model_context=BufferedChatCompletionContext(4))
        team = RoundRobinGroupChat([planner, forgetful, critic], max_turns=7)
        if wrap:
            with pytest.warns(AgentcacheWarning, match="bounded_context"):
                agentcache.wrap(team, layout="tail")
        await team.run(task=play.TASK)
        return [raw for raw in desk.raw if b"You are the writer of" in raw]

    assert await run(wrap=True) == await run(wrap=False)


@models
async def test_a_selector_that_forgets_is_not_forked(desk, model):
    client = desk.client(model)
    team = SelectorGroupChat(
        programs.Staff(lambda: client).trio(),
        client,
        max_turns=4,
        model_context=BufferedChatCompletionContext(2),
    )

    with pytest.warns(AgentcacheWarning, match="bounded_context"):
        agentcache.wrap(team, layout="tail")
    await team.run(task=play.TASK)

    chosen = [body for body in desk.bodies if "Then select the next role" in json.dumps(body)]
    assert len(chosen) == 4
    assert not any(wire.is_forked(body) for body in chosen)
    assert passed(agentcache.report(team)) == {team._group_chat_manager_name: "bounded_context"}


@models
async def test_an_agent_alone_is_left_alone_and_that_is_said(desk, model):
    agent = programs.Staff(lambda: desk.client(model)).agent("writer")
    agentcache.wrap(agent)

    await agent.run(task=play.TASK)
    await agent.run(task="Make it shorter, please.")

    assert not any(wire.is_forked(body) for body in desk.bodies)
    assert passed(agentcache.report(agent)) == {"writer": "alone"}


async def test_an_agent_alone_is_forked_where_that_is_asked(desk):
    agent = programs.Staff(desk.client).agent("writer")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agentcache.wrap(agent, layout="tail")

    await agent.run(task=play.TASK)

    assert wire.is_forked(desk.bodies[0])


class Memo(BaseModel):
    """What the writer answers with."""

    title: str
    pages: int


async def test_structured_output_passes_through_untouched_and_is_recorded(desk):
    def script(turn: loopback.Turn) -> loopback.Answer:
        asked = turn.response_schema is not None
        return loopback.Answer('{"title": "Harbour", "pages": 1}' if asked else "Noted.")

    async def run(wrap):
        desk.begin(script)
        client = desk.client()
        made = programs.Staff(lambda: client)
        planner, _, critic = made.trio()
        writer = made.agent("writer", output_content_type=Memo)
        team = RoundRobinGroupChat(
            [planner, writer, critic], max_turns=3, custom_message_types=[StructuredMessage[Memo]]
        )
        if wrap:
            agentcache.wrap(team, layout="tail")
        return team, await team.run(task=play.TASK), list(desk.raw)

    _, _, plain = await run(wrap=False)
    team, result, sent = await run(wrap=True)

    assert result.messages[2].content == Memo(title="Harbour", pages=1)
    assert sent[1] == plain[1]
    assert [wire.is_forked(json.loads(raw)) for raw in sent] == [True, False, True]
    assert passed(agentcache.report(team)) == {"writer": "structured_output"}
    assert agentcache.report(team).total.calls == 3


@pytest.mark.parametrize("model", MODELS)
async def test_magentics_orchestrator_stays_outside_and_its_agents_share(ran, model):
    run = await ran(programs.magentic, model, "tail")

    report = agentcache.report(run.program.root)
    forked = [body for body in run.bodies if wire.is_forked(body)]
    assert "MagenticOneOrchestrator" in said_in(report)
    assert len(forked) == report.total.calls == 4
    assert [wire.who(body) for body in forked] == ["planner", "writer", "critic", "planner"]


async def test_two_tools_of_one_name_are_refused_before_anything_is_sent(desk):
    def narrow(query: str) -> str:
        return query

    def wide(query: str, limit: int) -> str:
        return query * limit

    client = desk.client()
    agents = [
        AssistantAgent(name, client, tools=[FunctionTool(work, "Search.", name="search")])
        for name, work in (("planner", narrow), ("writer", wide))
    ]
    team = RoundRobinGroupChat(agents, max_turns=2)

    with pytest.raises(ToolConflictError, match="search") as refused:
        agentcache.wrap(team)

    assert "planner" in str(refused.value)
    assert "writer" in str(refused.value)
    assert all(agent._model_client is client for agent in agents)
    assert desk.raw == []


async def test_agents_of_different_models_share_with_their_like_and_that_is_noted(desk):
    luna, mini = desk.client("gpt-6-luna"), desk.client("gpt-4.1-mini")
    made = [
        AssistantAgent(name, client, system_message=play.PROMPTS[name])
        for name, client in zip(play.PROMPTS, (luna, mini, luna, mini), strict=False)
    ]
    team = agentcache.wrap(RoundRobinGroupChat(made, max_turns=4), layout="tail")

    await team.run(task=play.TASK)

    assert "2 sessions, one per cache domain" in said_in(agentcache.report(team))
    assert all(wire.is_forked(body) for body in desk.bodies)
    first, second = (agentcache.session(team, model=m) for m in ("gpt-6-luna", "gpt-4.1-mini"))
    assert first is not second
    keys = [body["prompt_cache_key"] for body in desk.bodies]
    assert keys[0] == keys[2] != keys[1] == keys[3]
