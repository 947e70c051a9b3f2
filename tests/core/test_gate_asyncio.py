"""The gate in event loops, alone and mixed with threads."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from agentcache.gate import Gate, Terms

KEY = "prefix"
COMPLETION = Terms(readable="completion")
FIRST_EVENT = Terms(readable="first_event")

pytestmark = pytest.mark.anyio


def queued(gate: Gate) -> int:
    return sum(len(prefix.queue) for prefix in gate._prefixes.values())


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        await asyncio.sleep(0.001)


async def call(gate: Gate, terms: Terms = COMPLETION, hold_s: float = 0.01) -> str:
    async with gate.aenter(KEY, terms) as held:
        await asyncio.sleep(hold_s)
        return held.role


def call_in_loop(gate: Gate, count: int) -> list[str]:
    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(*(call(gate) for _ in range(count))))

    return asyncio.run(all_of_them())


def call_in_thread(gate: Gate) -> str:
    with gate.enter(KEY, COMPLETION) as held:
        time.sleep(0.01)
        return held.role


async def test_eight_tasks_make_one_cold_call() -> None:
    gate = Gate()

    roles = await asyncio.gather(*(call(gate) for _ in range(8)))

    assert sorted(roles) == ["follower"] * 7 + ["leader"]


async def test_a_cancelled_leader_hands_over() -> None:
    gate = Gate()
    leader = asyncio.create_task(call(gate, hold_s=60))
    await until(lambda: KEY in gate._prefixes)
    others = [asyncio.create_task(call(gate)) for _ in range(3)]
    await until(lambda: queued(gate) == 3)

    leader.cancel()

    assert sorted(await asyncio.gather(*others)) == ["follower", "follower", "leader"]


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    gate = Gate()
    leader = asyncio.create_task(call(gate, hold_s=0.05))
    await until(lambda: KEY in gate._prefixes)
    waiter = asyncio.create_task(call(gate))
    await until(lambda: queued(gate) == 1)

    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter

    assert (queued(gate), await leader) == (0, "leader")


async def test_a_waiter_cancelled_between_its_grant_and_its_waking_hands_over() -> None:
    gate = Gate()
    let_go = asyncio.Event()

    async def fail() -> None:
        async with gate.aenter(KEY, COMPLETION):
            await let_go.wait()
            raise ConnectionError

    leader = asyncio.create_task(fail())
    await until(lambda: KEY in gate._prefixes)
    second = asyncio.create_task(call(gate))
    third = asyncio.create_task(call(gate))
    await until(lambda: queued(gate) == 2)
    let_go.set()
    await until(lambda: queued(gate) < 2)  # the second holds the lead and may not have woken
    second.cancel()

    results = await asyncio.gather(leader, second, third, return_exceptions=True)

    assert results[2] == "leader"


async def test_a_cancellation_is_never_swallowed() -> None:
    gate = Gate()
    async with gate.aenter("other", COMPLETION):
        pass  # a finished call: what follows is not nested
    held = gate.aenter(KEY, COMPLETION)
    await asyncio.create_task(held.__aenter__())
    waiter = asyncio.create_task(call(gate))
    await until(lambda: queued(gate) == 1)
    await asyncio.create_task(held.__aexit__(None, None, None))  # grants the waiter
    waiter.cancel()  # before it wakes

    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_a_leader_hanging_past_the_patience_is_no_longer_waited_for() -> None:
    gate = Gate(patience_s=0.05)
    leader = asyncio.create_task(call(gate, hold_s=60))
    await until(lambda: KEY in gate._prefixes)

    roles = await asyncio.wait_for(asyncio.gather(call(gate), call(gate)), 5)
    leader.cancel()

    assert sorted(roles) == ["follower", "leader"]


async def test_the_first_event_lets_tasks_go() -> None:
    gate = Gate()
    let_go = asyncio.Event()

    async def lead() -> None:
        async with gate.aenter(KEY, FIRST_EVENT) as held:
            await let_go.wait()
            held.first_event()
            await asyncio.sleep(60)

    leader = asyncio.create_task(lead())
    await until(lambda: KEY in gate._prefixes)
    follower = asyncio.create_task(call(gate, FIRST_EVENT))
    await until(lambda: queued(gate) == 1)
    let_go.set()

    assert await asyncio.wait_for(follower, 5) == "follower"
    leader.cancel()


async def test_a_nested_call_in_a_child_task_goes_straight_through() -> None:
    gate = Gate()

    async with gate.aenter(KEY, COMPLETION):
        assert await asyncio.wait_for(call(gate), 5) == "nested"


async def test_a_blocking_call_never_waits_for_a_task_of_its_own_thread() -> None:
    gate = Gate()
    leader = asyncio.create_task(call(gate, hold_s=0.05))
    await until(lambda: KEY in gate._prefixes)

    with gate.enter(KEY, COMPLETION) as held:  # blocks the loop that the leader needs
        assert held.role == "ungated"

    assert await leader == "leader"


async def test_a_blocking_call_is_let_go_when_the_lead_passes_to_its_own_thread() -> None:
    gate = Gate()
    free = threading.Event()

    def fail() -> None:
        with suppress(ConnectionError), gate.enter(KEY, COMPLETION):
            free.wait(5)
            raise ConnectionError

    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(fail)
        await until(lambda: KEY in gate._prefixes)
        heir = asyncio.create_task(call(gate))  # next in the queue, but its loop will stand still
        await until(lambda: queued(gate) == 1)
        threading.Timer(0.05, free.set).start()
        with gate.enter(KEY, COMPLETION) as held:
            assert held.role == "ungated"
        failing.result(5)

    assert await heir in {"leader", "follower"}


def test_threads_and_tasks_share_one_gate() -> None:
    gate = Gate()
    with ThreadPoolExecutor(6) as pool:
        threads = [pool.submit(call_in_thread, gate) for _ in range(4)]
        loops = [pool.submit(call_in_loop, gate, 4) for _ in range(2)]
        roles = [f.result(10) for f in threads] + [r for f in loops for r in f.result(10)]

    assert sorted(roles) == ["follower"] * 11 + ["leader"]


def test_two_event_loops_in_two_threads_make_one_cold_call() -> None:
    gate = Gate()
    with ThreadPoolExecutor(2) as pool:
        loops = [pool.submit(call_in_loop, gate, 4) for _ in range(2)]
        roles = [role for f in loops for role in f.result(10)]

    assert sorted(roles) == ["follower"] * 7 + ["leader"]


def test_a_waiter_whose_loop_is_closed_is_skipped() -> None:
    gate = Gate()
    loop = asyncio.new_event_loop()
    with gate.enter(KEY, COMPLETION):
        waiting = gate.aenter(KEY, COMPLETION)

        def queue_up() -> None:
            task = loop.create_task(waiting.__aenter__())
            loop.run_until_complete(asyncio.sleep(0))
            assert not task.done()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            loop.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(queue_up).result(5)
        with ThreadPoolExecutor(1) as pool:
            last = pool.submit(call_in_thread, gate)
            while queued(gate) < 2:
                time.sleep(0.001)
            # leaving lets the others in: the dead one first, then the living one
            gate.readable(gate._prefixes[KEY].leader)  # type: ignore[arg-type]

            assert last.result(5) == "follower"
    assert queued(gate) == 0
