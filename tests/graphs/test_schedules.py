"""Whatever fails, is cancelled or takes too long: a run ends, and each task has an outcome."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentcache import Gate, TaskGraph
from agentcache.gate import Terms
from agentcache.graphs import GraphResult

_ENDS = ("ok", "fails", "hangs", "cancels_itself", "cancels_other", "cancels_all", "fails_once")
TASKS = st.lists(
    st.tuples(
        st.sampled_from(_ENDS),
        st.lists(st.integers(0, 30), max_size=3),  # which of those before it waits for
        st.integers(0, 4),  # how often it lets others go first
        st.integers(0, 2),  # the prefix it shares
        st.booleans(),  # whether it is tried again
        st.sampled_from(["completion", "first_event", "at_once"]),
    ),
    min_size=1,
    max_size=12,
)


def built(rows: Any, gate: Gate) -> TaskGraph:
    graph = TaskGraph()
    for n, (end, behind, steps, prefix, retries, readable) in enumerate(rows):
        tries: list[int] = []

        async def work(
            n: int = n,
            end: str = end,
            steps: int = steps,
            prefix: int = prefix,
            readable: Any = readable,
            tries: list[int] = tries,
        ) -> int:
            async with gate.aenter(prefix, Terms(readable=readable)) as held:
                for _ in range(steps):
                    await asyncio.sleep(0)
                held.first_event()
                await asyncio.sleep(0)
                tries.append(1)
                if end == "fails" or (end == "fails_once" and len(tries) == 1):
                    raise ValueError(n)
                if end == "hangs":
                    await asyncio.sleep(60)
                if end.startswith("cancels"):
                    other = f"t{(n + 1) % len(rows)}"
                    graph.cancel({"cancels_itself": f"t{n}", "cancels_other": other}.get(end))
                    await asyncio.sleep(0)
                return n

        after = sorted({f"t{at % n}" for at in behind}) if n else []
        graph.add(
            f"t{n}",
            work,
            after=after,
            retries=int(retries),
            timeout_s=0.02 if end == "hangs" else 5,
        )
    return graph


def check(graph: TaskGraph, result: GraphResult) -> None:
    for task in graph.tasks:
        outcome = result.outcomes[task.name]
        behind = [result.outcomes[name] for name in task.after]
        if outcome.ok:
            assert all(other.ok for other in behind)
            assert all(other.ended_s <= outcome.started_s for other in behind)
        if outcome.status == "skipped":
            assert any(not other.ok for other in behind)


@pytest.fixture(autouse=True, scope="module")
def _no_pause() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agentcache.graphs.running._BASE_S", 0.0)
        yield


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TASKS, st.integers(1, 6))
def test_no_schedule_of_failures_cancellations_and_timeouts_deadlocks(rows, limit) -> None:
    graph = built(rows, Gate())

    async def main() -> GraphResult:
        return await asyncio.wait_for(graph.arun(limit=limit), 5)

    check(graph, asyncio.run(main()))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TASKS, st.integers(1, 6), st.integers(0, 12))
def test_a_run_cancelled_from_outside_ends_with_all_its_tasks(rows, limit, steps) -> None:
    graph = built(rows, Gate())

    async def main() -> None:
        run = asyncio.ensure_future(graph.arun(limit=limit))
        for _ in range(steps):
            await asyncio.sleep(0)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(run, 5)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
