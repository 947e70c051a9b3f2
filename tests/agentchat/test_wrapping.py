"""wrap changes a team in place, unwrap restores it, whenever that is done."""

import copy
import json
import pickle
import re

import pytest
from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat

import agentcache
from agentcache.errors import NothingToForkError, OptionError, UnknownObjectError

from . import play, programs, wire

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
TEAMS = (programs.round_robin, programs.selector, programs.swarm, programs.graph_flow)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", TEAMS)
async def test_unwrap_restores_every_request_byte_for_byte(desk, factory, model):
    client = desk.client(model)
    plain = desk.team(factory, client)
    await plain.run(task=play.TASK)
    expected = sorted(desk.raw)

    team = desk.team(factory, client)
    agentcache.unwrap(agentcache.wrap(team))
    desk.begin()
    await team.run(task=play.TASK)

    assert _unnumbered(desk.raw) == _unnumbered(expected)


def _unnumbered(raw):
    """Requests in any order, without the numbers that a provider gives to calls of tools."""
    return sorted(re.sub(rb"(call_|toolu_)\d+_\d+", b"", each) for each in raw)


@pytest.mark.parametrize("factory", TEAMS)
async def test_unwrap_puts_the_same_clients_back(desk, factory):
    client = desk.client()
    team = desk.team(factory, client)

    agentcache.wrap(team)
    assert all(agent._model_client is not client for agent in team._participants)
    agentcache.unwrap(team)

    assert all(agent._model_client is client for agent in team._participants)


async def test_wrap_returns_the_team_itself(desk):
    team = desk.team()

    assert agentcache.wrap(team) is team
    assert agentcache.unwrap(team) is team


@pytest.mark.parametrize("factory", TEAMS)
async def test_wrapping_twice_is_wrapping_once(desk, factory):
    once, twice = desk.team(factory), desk.team(factory)
    agentcache.wrap(once, layout="tail")
    agentcache.wrap(agentcache.wrap(twice, layout="tail"), layout="tail")

    await once.run(task=play.TASK)
    first = _unnumbered(desk.raw)
    desk.begin()
    await twice.run(task=play.TASK)

    assert _unnumbered(desk.raw) == first


async def test_wrapping_again_with_other_wishes_is_refused(desk):
    team = agentcache.wrap(desk.team(), layout="tail")

    with pytest.raises(OptionError, match="wrapped already"):
        agentcache.wrap(team, layout="roster")


async def test_a_with_block_wraps_for_as_long_as_it_lasts(desk):
    team = desk.team()

    with agentcache.wrapped(team, layout="tail") as same:
        assert same is team
        await team.run(task=play.TASK)
    forked = len(desk.bodies)
    await team.run(task="Make it shorter, please.")

    assert all(wire.is_forked(body) for body in desk.bodies[:forked])
    assert not any(wire.is_forked(body) for body in desk.bodies[forked:])


@pytest.mark.parametrize("factory", [programs.round_robin, programs.selector, programs.swarm])
async def test_a_team_that_has_run_before_is_wrapped_too(desk, factory):
    team = desk.team(factory)
    await team.run(task=play.TASK)
    plain = len(desk.bodies)

    agentcache.wrap(team, layout="tail")
    await team.run(task="Make it shorter, please.")

    assert not any(wire.is_forked(body) for body in desk.bodies[:plain])
    assert len(desk.bodies) > plain
    for body in desk.bodies[plain:]:
        assert wire.is_forked(body)
        assert f"[user]: {play.TASK[:60]}" in wire.shared(body)[_first_user(body)]


def _first_user(body):
    return next(n for n, block in enumerate(wire.shared(body)) if '"[user]' in block)


@pytest.mark.parametrize("factory", [programs.round_robin, programs.selector, programs.swarm])
async def test_a_team_is_unwrapped_after_it_has_run(desk, factory):
    team = agentcache.wrap(desk.team(factory), layout="tail")
    await team.run(task=play.TASK)
    forked = len(desk.bodies)

    agentcache.unwrap(team)
    await team.run(task="Make it shorter, please.")

    assert not any(wire.is_forked(body) for body in desk.bodies[forked:])


@pytest.mark.parametrize("factory", TEAMS)
async def test_a_wrapped_team_is_dumped_as_the_plain_one(desk, factory):
    client = desk.client()
    team = desk.team(factory, client)
    plain = team.dump_component()

    agentcache.wrap(team)

    assert team.dump_component() == plain
    assert "Forked" not in team.dump_component().model_dump_json()


async def test_a_dumped_team_loads_and_runs_unwrapped(desk, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "dummy")
    dumped = agentcache.wrap(desk.team(), layout="tail").dump_component()

    loaded = RoundRobinGroupChat.load_component(dumped)
    result = await loaded.run(task=play.TASK)
    for agent in loaded._participants:
        await agent._model_client.close()

    assert result.stop_reason == f"Maximum number of turns {programs.TURNS} reached."
    assert not any(wire.is_forked(body) for body in desk.bodies)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
async def test_a_wrapped_client_is_copied_if_a_plain_one_is(desk, how):
    team = desk.team()
    plain = _outcome(how, team._participants[0]._model_client)

    agentcache.wrap(team)

    assert _outcome(how, team._participants[0]._model_client) == plain


def _outcome(how, client):
    try:
        how(client)
    except Exception as error:  # noqa: BLE001
        return type(error)
    return None


async def test_two_teams_with_one_client_stay_apart(desk):
    client = desk.client()
    teams = [desk.team(programs.round_robin, client) for _ in range(2)]
    for team in teams:
        agentcache.wrap(team, layout="tail")

    await teams[0].run(task=play.TASK)
    first = len(desk.bodies)
    await teams[1].run(task="Write about the tides.")

    assert agentcache.session(teams[0]) is not agentcache.session(teams[1])
    assert agentcache.report(teams[0]).total.calls == first
    assert not any("Prepare the board" in json.dumps(body) for body in desk.bodies[first:])


async def test_unwrapping_one_of_two_teams_leaves_the_other_forked(desk):
    client = desk.client()
    first, second = (desk.team(programs.round_robin, client) for _ in range(2))
    agentcache.wrap(first, layout="tail")
    agentcache.wrap(second, layout="tail")

    agentcache.unwrap(first)
    await second.run(task=play.TASK)

    assert all(wire.is_forked(body) for body in desk.bodies)


async def test_teams_in_a_list_share_one_session(desk):
    client = desk.client()
    teams = [desk.team(programs.round_robin, client) for _ in range(2)]

    assert agentcache.wrap(teams, layout="tail") is teams

    assert agentcache.session(teams[0]) is agentcache.session(teams[1])
    await teams[0].run(task=play.TASK)
    first = len(desk.bodies)
    await teams[1].run(task=play.TASK)
    assert wire.shared(desk.bodies[0]) == wire.shared(desk.bodies[first])


async def test_agents_in_a_list_share_one_session(desk):
    client = desk.client()
    agents = programs.Staff(lambda: client).trio()
    agentcache.wrap(agents, layout="tail")

    for agent in agents:
        await agent.run(task=play.TASK)

    known = wire.shared(desk.bodies[0])
    assert all(wire.shared(body) == known for body in desk.bodies)
    assert known[-1].endswith('winter timetable."}]')


async def test_what_is_no_team_is_refused(desk):
    with pytest.raises(UnknownObjectError, match="teams and agents, not MaxMessageTermination"):
        agentcache.wrap([desk.team(), MaxMessageTermination(3)])


async def test_a_team_without_a_model_is_refused():
    people = RoundRobinGroupChat([UserProxyAgent("ann"), UserProxyAgent("ben")])

    with pytest.raises(NothingToForkError, match="no agent with a model client"):
        agentcache.wrap(people)
