"""Both AutoGens in one process: each is wrapped by its own adapter and neither sees the other."""

import asyncio

import pytest

import agentcache
from agentcache.errors import NothingToForkError, UnknownObjectError

from . import measure, programs, wire

agents = pytest.importorskip("autogen_agentchat.agents")
teams = pytest.importorskip("autogen_agentchat.teams")
clients = pytest.importorskip("autogen_ext.models.openai")

INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "family": "unknown",
    "structured_output": True,
    "multiple_system_messages": True,
}


async def talk(provider, *, wrap):
    """Run a team of AgentChat's on the play of the classic one."""
    client = clients.OpenAIChatCompletionClient(
        model="gpt-6-luna", api_key="dummy", base_url=provider.openai_url, model_info=INFO
    )
    talking = [
        agents.AssistantAgent(name, client, system_message=programs.PROMPTS[name])
        for name in programs.TRIO
    ]
    team = teams.RoundRobinGroupChat(talking, max_turns=4)
    if wrap:
        agentcache.wrap(team, layout="tail")
    result = await team.run(task=programs.TASK)
    await client.close()
    return team, [(m.source, m.content) for m in result.messages]


def both(stage, *, wrap):
    provider = stage.begin()
    program = programs.round_robin(programs.llm_config(provider, "gpt-6-luna"))
    if wrap:
        agentcache.wrap(program.root, layout="tail")
    first = measure.transcript(program.run())
    team, second = asyncio.run(talk(provider, wrap=wrap))
    third = measure.transcript(program.run())
    return program, team, [first, second, third]


def test_a_program_that_uses_both_says_the_same_wrapped(stage):
    *_, plain = both(stage, wrap=False)
    program, team, wrapped = both(stage, wrap=True)

    assert wrapped == plain
    assert agentcache.report(program.root).total.calls == 2 * programs.TURNS
    assert agentcache.report(team).total.calls == 4
    assert all(wire.is_forked(request.body) for request in measure.calls(stage.provider))


def test_a_list_of_both_is_refused(stage):
    program, team, _ = both(stage, wrap=False)

    with pytest.raises(UnknownObjectError):
        agentcache.wrap([program.root, team])


def test_unwrapping_the_one_leaves_the_other_wrapped(stage):
    program, team, _ = both(stage, wrap=True)

    agentcache.unwrap(program.root)

    assert agentcache.report(team).total.calls == 4
    with pytest.raises(NothingToForkError):
        agentcache.report(program.root)
