"""Agents that start at the same time: one of them writes what is shared, the others read it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow

import agentcache
from agentcache import loopback

from . import play, programs, wire
from .measure import MODELS, calls

SLOW = loopback.Latency(base_s=0.05)


@contextmanager
def slowly() -> Iterator[loopback.Loopback]:
    """A provider that takes its time, so that calls overlap."""
    with loopback.serve(script=play.Play(), latency=SLOW) as provider:
        yield provider


def at_once(client: Any, *, stream: bool = False) -> GraphFlow:
    """Three agents that all begin."""
    builder = DiGraphBuilder()
    for agent in programs.Staff(lambda: client, stream).trio():
        builder.add_node(agent)
    return GraphFlow(builder.get_participants(), graph=builder.build())


async def cold(team: GraphFlow, provider: loopback.Loopback) -> int:
    """How many calls found nothing in the cache."""
    await team.run(task=play.BRIEF)
    log = calls(provider)
    assert len(log) == 3
    return sum(not request.cached_tokens for request in log)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
async def test_agents_that_begin_at_once_make_one_cold_call(model, stream):
    with slowly() as provider:
        client = programs.client(provider, model)
        team = agentcache.wrap(at_once(client, stream=stream))

        assert await cold(team, provider) == 1

        await client.close()


@pytest.mark.parametrize("model", MODELS)
async def test_without_the_gate_every_one_of_them_is_cold(mocker, model):
    def open_to_all(flight, _keys):
        return nullcontext(flight.ungated())

    mocker.patch("agentcache.flights.Flight.aenter", open_to_all)
    with slowly() as provider:
        client = programs.client(provider, model)
        team = agentcache.wrap(at_once(client))

        assert await cold(team, provider) == 3

        await client.close()


@pytest.mark.parametrize("model", MODELS)
async def test_after_a_first_speaker_one_of_those_who_follow_writes_its_words(model):
    with slowly() as provider:
        client = programs.client(provider, model)
        team = agentcache.wrap(programs.graph_join(lambda: client).root, layout="tail")
        await team.run(task=play.BRIEF)
        await client.close()
        _, *wide, _ = calls(provider)

    most = max(request.cached_tokens for request in wide)
    assert sum(request.cached_tokens < most for request in wide) == 1
    assert most > 2000


@pytest.mark.parametrize("model", MODELS)
async def test_if_the_first_call_fails_the_others_go_on(model):
    with slowly() as provider:
        provider.fail("500", at=1)
        client = programs.client(provider, model)
        agents = agentcache.wrap(programs.Staff(lambda: client).trio(), layout="tail")

        runs = [asyncio.ensure_future(agent.run(task=play.BRIEF)) for agent in agents]
        ended, waiting = await asyncio.wait(runs, timeout=10)
        await client.close()

    assert not waiting
    assert sorted(run.exception() is None for run in ended) == [False, True, True]


async def test_the_gate_does_not_hold_back_what_shares_nothing():
    with slowly() as provider:
        client = programs.client(provider, "gpt-6-luna")
        teams = [agentcache.wrap(at_once(client), layout="tail") for _ in range(2)]
        await asyncio.gather(
            teams[0].run(task=play.BRIEF), teams[1].run(task=play.BRIEF.replace("memo", "note"))
        )
        await client.close()
        log = calls(provider)

    assert sum(not request.cached_tokens for request in log) == 2
    assert len({wire.shared(request.body)[-1] for request in log}) == 2
