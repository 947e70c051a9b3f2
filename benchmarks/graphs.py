"""Task graphs: how near to its bound a run comes, and what a task costs, here and on a cluster."""

import asyncio
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count, islice
from typing import Any

from rows import Row, SkippedError

from agentcache import Session, TaskGraph, loopback
from agentcache.demo.graph import in_waves
from agentcache.loopback import Answer, Latency

__all__ = ["clusters", "graphs"]

_MODEL = "gpt-6-luna"
_BRIEF = "The brief says that fleets of bikes are repaired where they stand. " * 150
_WIDTHS = (1, 2, 4, 8, 16, 32, 64)
_TASKS = 10_000
_LATENCY = Latency(
    prefill_tokens_per_s=8_000, cached_tokens_per_s=400_000, decode_tokens_per_s=50, base_s=0.1
)
_TRIVIAL = 2_000
_PER_LANE = 4
"""Tasks for each that may run at a time."""


def graphs() -> list[Row]:
    """The makespan beside its bound, a slow branch beside waves, and 10,000 tasks."""
    return [*map(_makespan, _WIDTHS), _diamond(), *_overhead(), _memory()]


def _asked(needs: Mapping[str, Sequence[str]], limit: int, *, waves: bool = False) -> Any:
    """Run tasks against the loopback provider; the result, and its bound by the latency model.

    The bound is the longest chain, or all work by `limit` hands, in the seconds that the model
    gives each call: nothing that a client, a socket or a thread costs is in it.
    """
    lengths = random.Random(8)
    words = {name: lengths.randint(40, 120) for name in needs} | {"slow": 300, "quick": 20}

    def script(turn: Any) -> Answer:
        return Answer("word " * words[turn.user.split()[1]])

    async def run(provider: Any) -> Any:
        from openai import AsyncOpenAI

        async with AsyncOpenAI(base_url=provider.openai_url, api_key="dummy") as client:
            session = Session.open(client, model=_MODEL, system="A team.", context=[_BRIEF])
            graph = TaskGraph(session)
            for name, before in needs.items():
                graph.add(name, f"Do {name} now.", after=before, weight=words[name])
            if waves:
                graph = in_waves(graph)
            return (await graph.arun(limit=limit)).check()

    with loopback.serve(script=script, latency=_LATENCY) as provider:
        result = asyncio.run(run(provider))
        taken = {_task_of(call): _model_s(call) for call in provider.log}
    chains: dict[str, float] = {}
    for name, before in needs.items():
        chains[name] = taken[name] + max((chains[b] for b in before), default=0.0)
    return result, max(*chains.values(), sum(taken.values()) / limit)


def _task_of(call: Any) -> str:
    said = call.body["messages"][-1]["content"]
    text = said if isinstance(said, str) else said[-1]["text"]
    return str(text.split()[1])


def _model_s(call: Any) -> float:
    fresh = call.input_tokens - call.cached_tokens
    first_s = _LATENCY.first_event_s(fresh, call.cached_tokens)
    return first_s + _LATENCY.decode_s(call.output_tokens)


def _makespan(width: int) -> Row:
    """A random graph in which every task but the first waits for one or two before it."""
    chosen = random.Random(width)
    needs: dict[str, tuple[str, ...]] = {"lead": ()}
    for n in range(_PER_LANE * width):
        before = list(needs)[-2 * width :]
        needs[f"t{n}"] = tuple(chosen.sample(before, min(len(before), chosen.randint(1, 2))))
    result, bound = _asked(needs, width)
    name = f"graph of {len(needs)} calls, {width} at a time"
    return Row(name, result.seconds, "s", "its bound", bound, 1.05, "ratio", "emulated latency")


def _diamond() -> Row:
    """One slow branch beside four quick chains: what waits for those does not wait for it."""
    needs: dict[str, tuple[str, ...]] = {"lead": (), "slow": ("lead",)}
    ends = []
    for n in range(4):
        before = "lead"
        for step in range(4):
            needs[f"b{n}{step}"] = (before,)
            before = f"b{n}{step}"
        ends.append(before)
    needs["end"] = ("slow", *ends)
    result, _ = _asked(needs, 8)
    waves, _ = _asked(needs, 8, waves=True)
    return Row(
        "diamond with a slow branch",
        result.seconds,
        "s",
        "in waves",
        waves.seconds,
        1.0,
        "ratio",
        "emulated latency",
    )


async def _later() -> int:
    return 1


def _now() -> int:
    return 1


def _per_task_ms(function: Callable[..., Any], tasks: int) -> float:
    graph = TaskGraph()
    for n in range(tasks):
        graph.add(f"t{n}", function, after=[f"t{n - 16}"] if n >= 16 else [])
    start = time.perf_counter()
    graph.run(progress=False).check()
    return (time.perf_counter() - start) * 1000 / tasks


def _overhead() -> list[Row]:
    rows = []
    for name, function in (("async", _later), ("in a thread", _now)):
        few = statistics.median(_per_task_ms(function, _TASKS // 10) for _ in range(3))
        many = statistics.median(_per_task_ms(function, _TASKS) for _ in range(3))
        title = f"a task of {_TASKS:,}, trivial, {name}"
        rows.append(Row(title, many, "ms", f"of {_TASKS // 10:,}", few, 0.3, "value"))
    return rows


def _held_mb(tasks: int) -> float:
    """Megabytes that a run of so many tasks holds at its peak."""
    tracemalloc.start()
    try:
        _per_task_ms(_later, tasks)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def _memory() -> Row:
    few, many = _held_mb(_TASKS), _held_mb(4 * _TASKS)
    note = f"{many * 1000 / 4 / _TASKS:.1f} kB a task"
    title = f"{4 * _TASKS:,} tasks, peak of memory"
    return Row(title, many, "MB", f"4 x {_TASKS:,} tasks", 4 * few, 1.1, "ratio", note)


_numbers = count()


def clusters() -> list[Row]:
    """Trivial tasks on two workers of a Dask cluster, beside Dask's own `map` and `submit`."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise SkippedError("distributed is not installed (extra 'dask')") from None
    asked: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=2, threads_per_worker=4, **asked) as cluster,
        Client(cluster) as client,
    ):
        taken = _side_by_side([partial(way, client) for way in (_ours, _mapped, _submitted)])
    title = "a trivial task on 2 Dask workers"
    return [
        Row(title, taken[0], "ms", f"Dask's {name}", took, 1.43, "ratio")
        for name, took in zip(("map", "submit"), taken[1:], strict=True)
    ]


def _side_by_side(ways: Sequence[Callable[[], None]]) -> list[float]:
    """Milliseconds that a task takes each way, turn by turn: the median of five."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(6):
        for each, way in zip(taken, ways, strict=True):
            start = time.perf_counter()
            way()
            each.append((time.perf_counter() - start) * 1000 / _TRIVIAL)
    return [statistics.median(each[1:]) for each in taken]


def _ours(client: Any) -> None:
    graph = TaskGraph()
    for n in range(_TRIVIAL):
        graph.add(f"t{n}", _now)
    graph.run(on=client, progress=False, limit=8).check()


def _mapped(client: Any) -> None:
    client.gather(client.map(_plain, list(islice(_numbers, _TRIVIAL))))


def _submitted(client: Any) -> None:
    client.gather([client.submit(_plain, n) for n in islice(_numbers, _TRIVIAL)])


def _plain(number: int) -> int:
    return number
