"""Plain SDK clients that are wrapped: DESIGN section 5 on the wire, whole and streamed."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import openai

import agentcache
from agentcache import loopback
from agentcache.blocks import dumps
from agentcache.dialects import dialect_of
from agentcache.layout import lift

from .agents import (
    BRIEF,
    ROLES,
    WAYS,
    acall,
    agentcache_calls,
    asked,
    blocks_of,
    bodies,
    call,
    client_of,
    counted,
    of,
    parent_of,
    result,
    texts_in,
)


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=loopback.agent) as made:
        yield made


def check_forks(provider: loopback.Loopback, client: Any, way: str) -> None:
    """Laws 1 and 2, and that what all share is written once and read by the others."""
    parent, sent = parent_of(client), bodies(provider)
    assert len(parent) >= 3
    assert all(blocks_of(body)[: len(parent)] == parent for body in sent)
    for body, (role, tools) in zip(sent, ROLES.items(), strict=True):
        before = asked(way, role, tools)
        parts = dialect_of(before).split(before)
        whole = texts_in({k: v for k, v in body.items() if k != "tools"})
        for text in [*parts.system, *(m["content"] for m in parts.messages)]:
            assert lift(text, [BRIEF]) in whole
        assert whole.count(BRIEF) == 1
        assert all(dumps(one) in dumps(body) for one in parts.tools)
    cached = [r.cached_tokens or 0 for r in provider.log]
    assert cached[0] == 0
    assert min(cached[1:]) > 2_000
    report = agentcache.report(client)
    assert report.total.cached == sum(cached)
    assert report.breaks == ()
    assert [r.forked for r in agentcache_calls(client)] == [True] * 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_every_request_is_a_fork_of_one_parent(provider, way, stream) -> None:
    provider.reset()
    client = client_of(provider, way)
    assert agentcache.wrap(client, context=[BRIEF]) is client
    for role, tools in ROLES.items():
        call(client, way, role, tools, **({"stream": True} if stream else {}))
    check_forks(provider, client, way)


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_of_asynchronous_clients_too(provider, way, stream) -> None:
    provider.reset()
    async with client_of(provider, way, is_async=True) as client:
        agentcache.wrap(client, context=[BRIEF])
        for role, tools in ROLES.items():
            await acall(client, way, role, tools, **({"stream": True} if stream else {}))
        check_forks(provider, client, way)


@pytest.mark.parametrize("way", WAYS)
def test_unwrap_restores_every_request_byte_for_byte(provider, way) -> None:
    sent = []
    for wraps in (0, 1):
        provider.reset()
        client = client_of(provider, way)
        before = dict(vars(client))
        copied = None
        if wraps:
            agentcache.wrap(client, context=[BRIEF])
            copied = client.with_options(timeout=9)
            assert "request" in vars(copied)
            agentcache.unwrap(client)
            assert not {"request", "_build_request"} & set(vars(copied))
        assert {k: vars(client)[k] for k in before} == before
        assert not {"request", "_build_request", "copy", "with_options"} & set(vars(client))
        for role, tools in ROLES.items():
            call(copied or client, way, role, tools)
        sent.append([r.raw for r in provider.log])
    assert sent[0] == sent[1]


def test_wrapped_forks_for_a_block(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    with agentcache.wrapped(client, context=[BRIEF]) as forked:
        assert forked is client
        call(client, "chat", "writer")
    call(client, "chat", "writer")
    inside, after = bodies(provider)
    assert after == asked("chat", "writer")
    assert inside != after


@pytest.mark.parametrize("way", WAYS)
def test_wrapping_twice_is_wrapping_once(provider, way) -> None:
    sent = []
    for times in (1, 2):
        provider.reset()
        client = client_of(provider, way)
        for _ in range(times):
            agentcache.wrap(client, context=[BRIEF])
        for role, tools in ROLES.items():
            call(client, way, role, tools)
        sent.append([r.raw for r in provider.log])
        agentcache.unwrap(client)
    assert sent[0] == sent[1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_calls_in_threads_make_one_cold_call(provider, way, stream) -> None:
    provider.reset()
    client = client_of(provider, way)
    agentcache.wrap(client, context=[BRIEF])
    more = {"stream": True} if stream else {}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: call(client, way, f"clerk {n}", **more), range(6)))
    assert sum(not r.cached_tokens for r in provider.log) == 1
    assert len(provider.log) == 6


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_calls_in_tasks_make_one_cold_call(provider, way, stream) -> None:
    provider.reset()
    async with client_of(provider, way, is_async=True) as client:
        agentcache.wrap(client, context=[BRIEF])
        more = {"stream": True} if stream else {}
        await asyncio.gather(*(acall(client, way, f"clerk {n}", **more) for n in range(6)))
    assert sum(not r.cached_tokens for r in provider.log) == 1
    assert len(provider.log) == 6


@pytest.mark.timeout(30)
@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_is_left_keeps_nobody_waiting(provider, way) -> None:
    provider.reset()
    client = client_of(provider, way)
    agentcache.wrap(client, context=[BRIEF])
    streams = [
        of(client, way).create(**asked(way, f"clerk {n}", stream=True, **counted(way)))
        for n in range(2)
    ]
    next(iter(streams[0]))
    streams[0].close()
    done = threading.Thread(target=call, args=(client, way, "writer"))
    done.start()
    streams[1].close()
    done.join(20)
    assert not done.is_alive()
    assert sorted(c.error for c in agentcache_calls(client)) == ["", "closed", "closed"]


@pytest.mark.timeout(30)
def test_a_failed_leader_hands_over() -> None:
    with loopback.serve(faults=[loopback.Fault("500", at=1)]) as provider:
        client = client_of(provider, "chat")
        agentcache.wrap(client, context=[BRIEF])
        with pytest.raises(openai.InternalServerError):
            call(client, "chat", "clerk")
        call(client, "chat", "writer")
        assert [c.error for c in agentcache_calls(client)] == ["InternalServerError", ""]
        assert [c.place for c in agentcache_calls(client)] == ["leader", "leader"]


def test_a_call_that_is_sent_again_is_one_call() -> None:
    with loopback.serve(faults=[loopback.Fault("500", at=1)]) as provider:
        client = client_of(provider, "chat").with_options(max_retries=2)
        agentcache.wrap(client, context=[BRIEF])
        call(client, "chat", "clerk")
        first, second = bodies(provider)
        assert first == second
        assert [(c.forked, c.error) for c in agentcache_calls(client)] == [(True, "")]


def test_a_streamed_chat_is_counted_and_the_program_sees_what_it_saw_before(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    plain = call(client, "chat", "writer", stream=True)
    agentcache.wrap(client, context=[BRIEF])
    forked = call(client, "chat", "writer", stream=True)
    wished = call(client, "chat", "writer", stream=True, stream_options={"include_usage": True})
    told = call(client, "chat", "writer", stream=True, stream_options={"include_usage": False})
    for pieces in (plain, forked, told):
        assert all(len(piece.choices) == 1 and piece.usage is None for piece in pieces)
    assert wished[-1].usage.prompt_tokens
    assert [c.usage.input_tokens is None for c in agentcache_calls(client)] == [False, False, True]


def test_one_agent_alone_is_left_alone_until_another_one_speaks(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client)
    call(client, "chat", "clerk")
    assert bodies(provider) == [asked("chat", "clerk")]
    for role in ("judge", "guard", "clerk"):
        call(client, "chat", role)
    reasons = [c.reason.partition(":")[0] for c in agentcache_calls(client)]
    assert reasons[0] == "alone"
    assert reasons[2:] == ["", ""]
    assert provider.log[-1].cached_tokens > 2_000


PRICE = {"gpt-6-luna": (0.1, 1.25), "gpt-4.1-mini": (0.25, 1.0), "claude-haiku-5-5": (0.1, 1.25)}


def bill(provider: loopback.Loopback, model: str) -> float:
    """What the input cost, in tokens at the full price, as the provider counted them."""
    read, write = PRICE[model]
    total = 0.0
    for r in provider.log:
        cached, written = r.cached_tokens or 0, r.cache_write_tokens or 0
        fresh = (r.input_tokens or 0) - cached - written
        total += fresh + cached * read + written * write
    return total


def talk(client: Any, model: str, role: str, tools: Sequence[str], said: str) -> None:
    way = "messages" if model.startswith("claude") else "chat"
    request = asked(way, role, tools, model=model)
    request["messages"][-1] = {"role": "user", "content": said}
    for one in request.get("tools", ()):
        one.get("function", one)["description"] = f"The {tools} of the house. " * 200
    for _ in range(2):
        of(client, way).create(**request)
        request["messages"] = [*request["messages"], *result(way, 0)]


PROGRAMS: dict[str, list[tuple[str, tuple[str, ...], str]]] = {
    "one alone": [("clerk", ("search",), BRIEF)],
    "heavy tools of their own": [("clerk", ("search",), "Go."), ("judge", ("delete",), "Go.")],
    "a brief for all": [(role, (), f"{BRIEF} Be {role}.") for role in ("a", "b", "c")],
    "one tool for all": [(role, ("search",), f"Be {role}.") for role in ("a", "b", "c")],
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("model", PRICE)
def test_the_bill_is_never_above_that_of_the_program_alone(provider, model, program) -> None:
    paid = []
    for wraps in (False, True):
        provider.reset()
        client = client_of(provider, "messages" if model.startswith("claude") else "chat")
        if wraps:
            agentcache.wrap(client)
        for each in PROGRAMS[program]:
            talk(client, model, *each)
        paid.append(bill(provider, model))
    assert paid[1] <= paid[0]
