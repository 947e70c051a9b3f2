"""A wrapped team keeps, forgets and goes on as a plain one does."""

import asyncio
import json
from itertools import pairwise

import pytest
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import ExternalTermination
from autogen_core import CancellationToken

import agentcache

from . import measure, play, programs, wire

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
TEAMS = (
    (programs.round_robin_tools, "gpt-6-luna"),
    (programs.round_robin_tools, "claude-haiku-5-5"),
    (programs.selector, "claude-haiku-5-5"),
    (programs.swarm, "gpt-6-luna"),
)
AGAIN = "Make it shorter, please."


async def save_and_load(build):
    """A team runs and is saved; a new one loads that, could be saved as it was, and goes on."""
    first, second = build(), build()
    yield await first.run(task=play.TASK)
    state = json.loads(json.dumps(await first.save_state(), default=str))
    await second.load_state(state)
    assert json.loads(json.dumps(await second.save_state(), default=str)) == state
    yield await second.run(task=AGAIN)


async def new_task(build):
    """A team gets another task."""
    team = build()
    yield await team.run(task=play.TASK)
    yield await team.run(task=AGAIN)


async def no_task(build):
    """A team goes on without a task."""
    team = build()
    yield await team.run(task=play.TASK)
    yield await team.run()


async def reset(build):
    """A team forgets all and begins anew."""
    team = build()
    yield await team.run(task=play.TASK)
    await team.reset()
    yield await team.run(task=AGAIN)


async def external_stop(build):
    """A team is stopped from outside, then goes on."""
    team = build()
    stop = ExternalTermination()
    team._termination_condition = stop
    heard = []
    async for event in team.run_stream(task=play.TASK):
        heard.append(event)
        if len(heard) == 3:
            stop.set()
    yield TaskResult(messages=heard[:-1], stop_reason=heard[-1].stop_reason)
    yield await team.run()


STORIES = (save_and_load, new_task, no_task, reset, external_stop)


async def told(stage, story, factory, model, *, wrap):
    """What comes of a story, and the requests that it took."""
    provider = stage.begin()
    client = programs.client(provider, model)

    def build():
        team = factory(lambda: client).root
        if wrap:
            agentcache.wrap(team, layout="tail")
        return team

    results = [measure.transcript(result) async for result in story(build)]
    await client.close()
    return results, [json.loads(request.raw) for request in measure.calls(provider)]


def grows(bodies):
    """Whether each request begins with all that the one before shared."""
    shared = [wire.shared(body) for body in bodies]
    return all(after[: len(known)] == known for known, after in pairwise(shared))


@pytest.mark.parametrize(("factory", "model"), TEAMS)
@pytest.mark.parametrize("story", STORIES)
async def test_a_story_ends_as_it_does_without_wrapping_in_one_chat(stage, story, factory, model):
    plain, _ = await told(stage, story, factory, model, wrap=False)

    wrapped, bodies = await told(stage, story, factory, model, wrap=True)

    assert wrapped == plain
    assert all(wire.is_forked(body) for body in bodies)
    assert story is reset or grows(bodies)


@pytest.mark.parametrize("factory", [programs.selector, programs.swarm])
async def test_a_reset_chat_holds_nothing_of_the_one_before(stage, factory):
    _, bodies = await told(stage, reset, factory, "gpt-6-luna", wrap=True)

    half = len(bodies) // 2
    assert grows(bodies[:half])
    assert grows(bodies[half:])
    assert all("Prepare the board memo" in json.dumps(body) for body in bodies[:half])
    assert all("Prepare the board memo" not in json.dumps(body) for body in bodies[half:])


async def stopped(factory, model, *, wrap):
    """A team is cancelled while its third call is under way, then goes on."""
    loop, token, cast = asyncio.get_running_loop(), CancellationToken(), play.Play()
    asked = []

    def script(turn):
        asked.append(turn)
        if len(asked) == 3:
            loop.call_soon_threadsafe(token.cancel)
        return cast(turn)

    with measure.staged() as stage:
        provider = stage.begin(script)
        provider.fail("slow", at=3, delay_s=0.3)
        client = programs.client(provider, model)
        team = factory(lambda: client).root
        if wrap:
            agentcache.wrap(team, layout="tail")
        with pytest.raises(asyncio.CancelledError):
            await team.run(task=play.TASK, cancellation_token=token)
        results = [await team.run(task=AGAIN), await team.run()]
        await client.close()
        bodies = [json.loads(request.raw) for request in measure.calls(provider)]
    return [measure.transcript(result) for result in results], bodies


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", [programs.round_robin, programs.selector])
async def test_a_cancelled_team_goes_on_as_it_does_without_wrapping(factory, model):
    plain, _ = await stopped(factory, model, wrap=False)

    wrapped, bodies = await stopped(factory, model, wrap=True)

    assert wrapped == plain
    assert grows(bodies)
