"""Streams of wrapped clients that are left early, and what compatible hosts answer."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")


import agentcache
from agentcache import Ledger, loopback

from .agents import (
    BRIEF,
    acall,
    asked,
    call,
    client_of,
)
from .test_every_way import LONG
from .test_left_early import ODD, STREAMS, answer, errors, no_collector, odd_client

__all__ = ["no_collector"]


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as made:
        yield made


def wrapped(
    provider: loopback.Loopback, way: str, ledger: Ledger, *, is_async: bool = False
) -> Any:
    provider.reset()
    client = client_of(
        provider, "messages" if way.startswith("messages") else "chat", is_async=is_async
    )
    return agentcache.wrap(client, context=[LONG], ledger=ledger)


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("reads", [0, 1])
@pytest.mark.parametrize("way", STREAMS)
def test_closing_a_stream_records_it_and_lets_the_next_go(provider, way, reads) -> None:
    ledger = Ledger()
    client = wrapped(provider, way, ledger)
    with STREAMS[way](client) as stream:
        for _ in range(reads):
            next(iter(stream))
        assert errors(ledger) == []
    assert errors(ledger) == ["closed"]
    with STREAMS[way](client) as stream:
        assert list(stream)
    assert errors(ledger) == ["closed", ""]
    assert [c.place for c in ledger.calls] == ["leader", "follower" if reads else "leader"]


@pytest.mark.timeout(60)
@pytest.mark.anyio
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("reads", [0, 1])
@pytest.mark.parametrize("way", STREAMS)
async def test_closing_an_asynchronous_one_too(provider, way, reads) -> None:
    ledger = Ledger()
    async with wrapped(provider, way, ledger, is_async=True) as client:
        for stop in (True, False):
            made = STREAMS[way](client)
            async with made if "helper" in way else await made as stream:
                if stop:
                    for _ in range(reads):
                        await stream.__anext__()
                else:
                    assert [piece async for piece in stream]
        assert errors(ledger) == ["closed", ""]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", ["chat", "messages"])
def test_a_stream_that_is_dropped_lets_the_next_go(provider, way) -> None:
    ledger = Ledger()
    client = wrapped(provider, way, ledger)
    stream = STREAMS[way](client)
    next(stream)
    del stream
    gc.collect()
    assert errors(ledger) == ["closed"]
    call(client, "messages" if way == "messages" else "chat", "clerk")
    assert errors(ledger) == ["closed", ""]


@pytest.mark.timeout(60)
@pytest.mark.anyio
async def test_a_task_that_is_cancelled_hands_over(provider) -> None:
    ledger = Ledger()
    async with wrapped(provider, "chat", ledger, is_async=True) as client:
        task = asyncio.create_task(acall(client, "chat", "clerk"))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(acall(client, "chat", "writer"))
        await asyncio.sleep(0)
        task.cancel()
        await waiting
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sorted(errors(ledger)) in ([""], ["", "CancelledError"])


@pytest.mark.parametrize("usage", ODD, ids=repr)
def test_odd_usage_of_a_compatible_host_neither_raises_nor_warns(usage, caplog) -> None:
    client, ledger = odd_client(answer(usage)), Ledger()
    agentcache.wrap(client, context=[BRIEF], ledger=ledger)
    for _ in range(2):
        call(client, "chat", "clerk", ["search"])
    assert list(client.chat.completions.create(**asked("chat", "clerk"), stream=True))
    assert errors(ledger) == ["", "", ""]
    assert caplog.text == ""


@pytest.mark.parametrize("said", [None, 3, "text", [], [1], {}, {"choices": 3}], ids=repr)
def test_odd_answers_neither(said) -> None:
    client, ledger = odd_client(said), Ledger()
    agentcache.wrap(client, context=[BRIEF], ledger=ledger)
    call(client, "chat", "clerk", ["search"])
    client.chat.completions.with_raw_response.create(**asked("chat", "clerk", ["search"]))
    assert errors(ledger) == ["", ""]


@pytest.mark.timeout(30)
@pytest.mark.anyio
async def test_a_call_that_could_not_be_recorded_keeps_nobody_waiting(provider, mocker) -> None:
    mocker.patch("agentcache_openai.calls.kept_headers", side_effect=ArithmeticError("ours"))
    ledger = Ledger()
    client = wrapped(provider, "chat", ledger)
    held = [STREAMS["chat"](client) for _ in range(2)]
    assert all(map(list, held))
    async with wrapped(provider, "chat", ledger, is_async=True) as other:
        for _ in range(2):
            stream = await STREAMS["chat"](other)
            assert [piece async for piece in stream]
    assert errors(ledger) == []
