"""Calls of the programs' clients, as programs make them themselves or set them up."""

import asyncio

import pytest
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

import agentcache

from . import play, programs, wire

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
SAID = [UserMessage(content="You are the writer of the Harbour Line desk. Go.", source="user")]


def forked(desk, model="gpt-6-luna", factory=programs.round_robin, **options):
    """The client of the writer of a wrapped team."""
    team = agentcache.wrap(desk.team(factory, desk.client(model)), layout="tail", **options)
    return team._participants[1]._model_client


@models
async def test_a_stream_that_is_left_half_way_holds_nobody_back(desk, model):
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail")
    left = team._participants[0]._model_client.create_stream(SAID)

    assert isinstance(await anext(left), str)
    await left.aclose()
    result = await asyncio.wait_for(team.run(task=play.TASK), 10)

    assert len(result.messages) == programs.TURNS + 1


@models
async def test_a_call_that_is_cancelled_holds_nobody_back(desk, model):
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail")
    token = CancellationToken()
    call = asyncio.ensure_future(
        team._participants[0]._model_client.create(SAID, cancellation_token=token)
    )
    await asyncio.sleep(0)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    result = await asyncio.wait_for(team.run(task=play.TASK), 10)

    assert len(result.messages) == programs.TURNS + 1


@models
async def test_a_forked_client_is_of_its_own_class_and_knows_what_it_knew(desk, model):
    plain = desk.client(model)
    team = agentcache.wrap(desk.team(client=plain))
    client = team._participants[0]._model_client

    assert isinstance(client, type(plain))
    assert client.model_info == plain.model_info
    assert client.dump_component() == plain.dump_component()
    assert client.total_usage() == plain.total_usage()


async def test_a_forced_tool_is_called_as_the_program_asks(desk):
    client = forked(desk, factory=programs.every_tool)
    tool = programs.Staff(desk.client).tool("read_calendar")

    made = await client.create(SAID, tools=[tool], tool_choice=tool)

    (body,) = desk.bodies
    assert body["tool_choice"] == {"type": "function", "function": {"name": "read_calendar"}}
    assert [call.name for call in made.content] == ["read_calendar"]


@pytest.mark.parametrize("option", ["parallel_tool_calls", "temperature", "seed", "user"])
@pytest.mark.parametrize("factory", [programs.round_robin_tools, programs.swarm])
async def test_what_a_client_sends_besides_stays_in_every_fork(desk, factory, option):
    value = {"parallel_tool_calls": False, "temperature": 0.5, "seed": 7, "user": "ann"}[option]

    async def run(wrap):
        desk.begin()
        client = OpenAIChatCompletionClient(
            model="gpt-4.1-mini",
            base_url=desk.provider.openai_url,
            api_key="dummy",
            model_info={**programs._INFO, "family": "gpt-41"},
            **{option: value},
        )
        desk.clients.append(client)
        team = factory(lambda: client).root
        if wrap:
            agentcache.wrap(team, layout="tail")
        await team.run(task=play.TASK)
        return [body.get(option, "not sent") for body in desk.bodies]

    plain, wrapped = await run(wrap=False), await run(wrap=True)

    assert wrapped == plain
    assert all(wire.is_forked(body) for body in desk.bodies)


async def test_a_team_on_a_runtime_of_the_programs_own_is_forked(desk):
    runtime = SingleThreadedAgentRuntime()
    agents = programs.Staff(desk.client).trio()
    team = RoundRobinGroupChat(agents, max_turns=4, runtime=runtime)
    agentcache.wrap(team, layout="tail")

    runtime.start()
    await team.run(task=play.TASK)
    await runtime.stop_when_idle()

    assert [wire.who(body) for body in desk.bodies] == ["planner", "writer", "critic", "planner"]
    assert "Note 1 by the planner" in "\n".join(wire.shared(desk.bodies[-1]))


async def test_agents_each_with_a_client_of_its_own_share_if_the_clients_are_alike(desk):
    staff = programs.Staff(desk.client)
    team = agentcache.wrap(RoundRobinGroupChat(staff.trio(), max_turns=4), layout="tail")

    await team.run(task=play.TASK)

    assert len(agentcache.report(team).rows) == 3
    assert len({body["prompt_cache_key"] for body in desk.bodies}) == 1
    assert agentcache.session(team) is not None


async def test_clients_with_other_keys_share_nothing(desk):
    def client(key):
        made = OpenAIChatCompletionClient(
            model="gpt-6-luna",
            base_url=desk.provider.openai_url,
            api_key=key,
            model_info={**programs._INFO, "family": "gpt-41"},
        )
        desk.clients.append(made)
        return made

    keys = iter(("one", "one", "two"))
    team = RoundRobinGroupChat(programs.Staff(lambda: client(next(keys))).trio(), max_turns=3)
    agentcache.wrap(team, layout="tail")

    await team.run(task=play.TASK)

    first, second, third = (body["prompt_cache_key"] for body in desk.bodies)
    assert first == second != third
