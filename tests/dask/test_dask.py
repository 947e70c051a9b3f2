"""Graphs on a cluster of two worker processes: the same results, one cold call, nothing lost."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

from distributed import Client, LocalCluster
from pydantic import BaseModel
from tests.plain import BRIEF, MODELS, client_at

import agentcache
from agentcache import Budget, Session, TaskGraph, loopback
from agentcache.errors import EndpointError, OptionError
from agentcache.graphs import Event
from agentcache.loopback import Answer, Latency, ToolCall
from agentcache_dask.desk import Desk

THREADS = 32


@pytest.fixture(scope="module")
def importable() -> Iterator[None]:
    """Let workers import this module: they begin with this process's path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2]))
        yield


@pytest.fixture(scope="module")
def cluster(importable: None) -> Iterator[LocalCluster]:
    with LocalCluster(
        host="127.0.0.1", n_workers=2, threads_per_worker=THREADS, dashboard_address=":0"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def dask(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster) as client:
        yield client


def opened(provider: Any, api: str = "chat", *, is_async: bool = False, **options: Any) -> Any:
    client = client_at(provider, api, is_async=is_async)
    held = {"system": "You are a team.", "context": [BRIEF], **options}
    return Session.open(client, model=MODELS[api], **held)


def bodies(provider: Any) -> list[str]:
    """What arrived, without what each provider has its own of: ids of calls, and cache keys."""
    told = (json.dumps(call.body, sort_keys=True) for call in provider.log)
    return sorted(re.sub(r"(call|toolu|fc)_\d+(_\d+)?|ac-\w+", "ID", text) for text in told)


class Plan(BaseModel):
    """A plan."""

    steps: list[str]


def look(word: str) -> str:
    """Look a word up.

    Args:
        word: The word.

    """
    return f"{word} is known"


def team(session: Any) -> TaskGraph:
    """Prompts, functions, a tool, typed output, a failure, and one that waits for it."""

    def count(**said: str) -> int:
        return len(said)

    def fails(market: str) -> str:
        raise ValueError(f"no {market}")

    async def speak(worker: Any, plan: Plan) -> str:
        # A worker is awaited where the session is asynchronous.
        answer = worker.ask(f"Speak of {plan.steps[0]}")
        return (await answer if hasattr(answer, "__await__") else answer).text

    graph = TaskGraph(session, inputs={"product": "bikes"})
    graph.add("market", "Study {product}", needs=["product"])
    for n in range(4):
        graph.add(f"view_{n}", f"View {n} of: {{market}}", needs=["market"], role=f"You are {n}.")
    graph.add("plan", "Make a plan", needs=[], output=Plan, tools=[])
    graph.add("speech", speak, needs=["plan"])
    graph.add("fact", "Look it up")
    graph.add("fails", fails, needs=["market"])
    graph.add("waits", "After {fails}", needs=["fails"])
    graph.add("views", count, needs=[f"view_{n}" for n in range(4)])
    return graph


def plays(turn: Any) -> Answer:
    if "Look it up" in turn.user:
        return (
            Answer("it is known")
            if turn.tool_results
            else Answer(tool_calls=(ToolCall("look", {"word": "ride"}),))
        )
    if "Make a plan" in turn.user:
        return Answer('{"steps": ["ride"]}')
    return Answer(f"said of {turn.user[-30:]}")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("api", list(MODELS))
def test_it_makes_and_sends_what_a_run_in_process_does(dask, serve, api, is_async) -> None:
    def local() -> str:  # Defined in a test: it travels by value.
        return "here"

    here = serve(plays)
    session = opened(here, api, tools=[look])
    graph = team(session)
    graph.add("local", local)
    plain = graph.run()

    there = serve(plays)
    session = opened(there, api, is_async=is_async, tools=[look])
    graph = team(session)
    graph.add("local", local)
    result = graph.run(on=dask)

    assert dict(result) == dict(plain)
    assert {n: o.status for n, o in result.outcomes.items()} == {
        n: o.status for n, o in plain.outcomes.items()
    }
    assert isinstance(result.outcomes["fails"].error, ValueError)
    assert isinstance(result["plan"], Plan)
    assert bodies(there) == bodies(here)
    # The ledger is at home, and so is each usage.
    assert (
        len(result.ledger.calls) == len(there.log) == sum(o.calls for o in result.outcomes.values())
    )
    assert sum(c.usage.cached_tokens for c in result.ledger.calls) == sum(
        c.cached_tokens for c in there.log
    )
    assert {o.where for o in result.outcomes.values() if o.calls} <= set(
        dask.scheduler_info(-1)["workers"] if _takes_n(dask) else dask.scheduler_info()["workers"]
    )
    assert result.where.startswith("on Dask")
    report = agentcache.report(session.ledger)
    assert report.total.calls == len(there.log)
    assert report.errors == 0


def _takes_n(dask: Client) -> bool:
    import inspect

    return "n_workers" in inspect.signature(dask.scheduler_info).parameters


def test_a_cold_fan_out_of_64_over_two_workers_makes_one_cold_call(dask, serve) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=0.1))
    graph = TaskGraph(opened(provider))
    for n in range(64):
        graph.add(f"t{n}", f"Do part {n}.")
    result = graph.run(on=dask, limit=64)
    assert result.ok
    assert len([c for c in provider.log if not c.cached_tokens]) == 1
    assert len({o.where for o in result.outcomes.values()}) == 2
    places = [call.place for call in result.ledger.calls]
    assert (places.count("leader"), places.count("follower")) == (1, 63)
    # One affinity key for all, so that a provider may bring them to one cache.
    assert len({call.body["prompt_cache_key"] for call in provider.log}) == 1


def test_without_the_shared_gate_each_worker_is_cold_once(dask, serve, mocker) -> None:
    # The control: a desk that lets everyone lead.
    async def all_lead(self: Any, **_: Any) -> Any:
        await asyncio.sleep(0)
        return "leader", 0.0

    mocker.patch.object(Desk, "do_enter", all_lead)
    provider = serve(loopback.echo, latency=Latency(base_s=0.5))
    graph = TaskGraph(opened(provider, system="Another team."))
    for n in range(64):
        graph.add(f"t{n}", f"Do part {n}.")
    assert graph.run(on=dask, limit=64).ok
    assert len([c for c in provider.log if not c.cached_tokens]) == 2


def test_leaders_that_fail_hand_over_one_at_a_time(dask, serve) -> None:
    fails = iter([True, True])

    def script(turn: Any) -> Answer:
        if next(fails, False):
            raise OptionError("refused")
        return Answer("ok")

    provider = serve(script, latency=Latency(base_s=0.1))
    graph = TaskGraph(opened(provider))
    for n in range(16):
        graph.add(f"t{n}", f"Do part {n}.")
    result = graph.run(on=dask)
    assert len(result) == 14
    first = sorted(provider.log, key=lambda call: call.started_s)
    for before, after in pairwise(first[:4]):
        assert after.started_s >= (before.ended_s or 0) - 0.005
    assert len([c for c in provider.log if c.status == 200 and not c.cached_tokens]) == 1


def test_a_worker_killed_in_the_middle_of_a_task_repeats_no_paid_call(
    dask, serve, tmp_path
) -> None:
    provider = serve(loopback.echo)
    died = str(tmp_path / "died")

    def ask_and_die(worker: Any) -> str:
        first = worker.ask("First.").text
        if not Path(died).exists():
            Path(died).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return first + worker.ask("Second.").text

    told: list[Event] = []
    graph = TaskGraph(opened(provider))
    parts = [graph.add(f"t{n}", f"Do part {n}.") for n in range(12)]
    # Their results are lost with it, and are had again without paying.
    graph.add("dies", ask_and_die, after=parts)
    graph.add("end", "Sum up {dies} {t0} {t11}", needs=["dies", "t0", "t11"], after=parts)
    result = graph.run(on=dask, store=tmp_path / "run.db", on_event=told.append)

    assert Path(died).exists()
    result.check()
    sent = [json.dumps(call.body["messages"][-1]) for call in provider.log]
    assert len(sent) == len(set(sent)) == 2 + 12 + 1
    assert result.outcomes["dies"].replayed == 1
    assert any("was begun again" in event.told for event in told)
    assert len(result.ledger.calls) == len(provider.log)
    with sqlite3.connect(tmp_path / "run.db") as db:
        assert db.execute("SELECT COUNT(*) FROM calls").fetchone() == (15,)
        assert db.execute("SELECT COUNT(*) FROM results").fetchone() == (14,)
    db.close()


def test_a_worker_killed_while_it_leads_gives_its_lead_back(dask, serve, tmp_path) -> None:
    died = str(tmp_path / "died")

    def script(turn: Any) -> Answer:
        return Answer(
            tool_calls=(ToolCall("die", {}),)
            if "Lead" in turn.user and not turn.tool_results
            else (),
            text="ok",
        )

    def die() -> str:
        """Die once."""
        return "alive"

    provider = serve(script, latency=Latency(base_s=1.0))

    def kill_soon(worker: Any) -> str:
        if not Path(died).exists():
            Path(died).touch()
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return worker.ask("Lead.").text

    graph = TaskGraph(opened(provider, tools=[die]))
    graph.add("leads", kill_soon, weight=2.0)
    for n in range(8):
        graph.add(f"t{n}", f"Do part {n}.", weight=0.1)
    began = time.monotonic()
    result = graph.run(on=dask)
    result.check()
    assert time.monotonic() - began < 30  # and not the gate's patience


def test_a_run_goes_on_elsewhere(dask, serve, tmp_path) -> None:
    provider = serve(plays)
    first = team(opened(provider, tools=[look])).run(store=tmp_path / "run.db")
    sent = len(provider.log)
    again = team(opened(provider, tools=[look])).run(on=dask, store=tmp_path / "run.db")
    assert dict(again) == dict(first)
    assert len(provider.log) == sent
    assert [o.status for o in again.outcomes.values()].count("resumed") == 9

    # And home again: what a cluster has done is known here.
    there = team(opened(provider, tools=[look])).run(on=dask, store=tmp_path / "new.db")
    assert dict(there) == dict(first)
    sent = len(provider.log)
    assert dict(team(opened(provider, tools=[look])).run(store=tmp_path / "new.db")) == dict(first)
    assert len(provider.log) == sent


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_run_at_a_time_than_are_let(dask, serve, limit) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=0.05))
    graph = TaskGraph(opened(provider))
    for n in range(6):
        graph.add(f"a{n}", f"Do part {n}.")
        graph.add(f"b{n}", f"On with {{a{n}}}", needs=[f"a{n}"])
    graph.add("end", "All: {b0} {b5}", needs=["b0", "b5"], after=[f"b{n}" for n in range(6)])
    result = graph.run(on=dask, limit=limit)
    result.check()
    times = [(call.started_s, 1) for call in provider.log]
    times += [(call.ended_s or 0.0, -1) for call in provider.log]
    at_once = most = 0
    for _, step in sorted(times):
        at_once += step
        most = max(most, at_once)
    assert most <= limit


def test_a_budget_is_one_for_all_workers(dask, serve) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=0.05))
    graph = TaskGraph(opened(provider))
    for n in range(8):
        graph.add(f"t{n}", f"Part {n}")
    result = graph.run(on=dask, limit=1, budget=Budget(tokens=1))
    assert len(provider.log) == 1
    assert sorted(o.status for o in result.outcomes.values()) == ["done", *["skipped"] * 7]
    why = next(o.why for o in result.outcomes.values() if o.status == "skipped")
    assert "budget of 1 tokens is spent" in why


def test_retries_and_timeouts(dask, serve, tmp_path) -> None:
    tried = str(tmp_path / "tried")

    def flaky() -> str:
        if not Path(tried).exists():
            Path(tried).touch()
            raise ValueError("not yet")
        return "now"

    def slow() -> None:
        time.sleep(2)

    told: list[Event] = []
    graph = TaskGraph()
    graph.add("flaky", flaky, retries=1)
    graph.add("slow", slow, timeout_s=0.2)
    result = graph.run(on=dask, on_event=told.append)
    assert result["flaky"] == "now"
    assert result.outcomes["flaky"].tries == 2
    assert [(e.task, e.told) for e in told if e.kind == "retry"] == [
        ("flaky", "ValueError: not yet")
    ]
    assert isinstance(result.outcomes["slow"].error, TimeoutError)


@pytest.mark.parametrize("what", [None, "slow"])
def test_cancelling_stops_what_runs(dask, serve, what) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=1.0))
    graph = TaskGraph(opened(provider))
    graph.add("slow", "Take your time.")
    graph.add("behind", "Then {slow}", needs=["slow"])
    graph.add("other", lambda: 1)

    def heard(event: Event) -> None:
        if event.kind == "started" and event.task == "slow":
            threading.Timer(0.2, graph.cancel, (what,)).start()

    result = graph.run(on=dask, on_event=heard)
    assert result.outcomes["slow"].status == "cancelled"
    assert result.outcomes["behind"].status in ("cancelled", "skipped")
    assert result.outcomes["other"].status == "done"
    time.sleep(1.2)
    assert len(provider.log) == 1


def test_it_runs_on_a_loop_and_beside_another_run(cluster, serve) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=0.1))

    async def both() -> list[Any]:
        async with Client(cluster.scheduler_address, asynchronous=True) as client:
            graphs = []
            for name in ("one", "two"):
                graph = TaskGraph(opened(provider, system=f"Team {name}."))
                for n in range(4):
                    graph.add(f"t{n}", f"Part {n} of {name}")
                graphs.append(graph)
            return await asyncio.gather(*(graph.arun(on=client) for graph in graphs))

    one, two = asyncio.run(both())
    assert one.ok
    assert two.ok
    assert one["t0"] == "Echo: Part 0 of one"
    assert two["t3"] == "Echo: Part 3 of two"


def test_an_address_is_a_cluster(cluster, serve) -> None:
    provider = serve(loopback.echo)
    graph = TaskGraph(opened(provider))
    graph.add("a", "Ask.")
    assert graph.run(on=cluster.scheduler_address)["a"] == "Echo: Ask."


def test_an_address_where_nobody_answers_is_said(mocker) -> None:
    mocker.patch("agentcache_dask.clusters._CONNECT_S", 1)
    graph = TaskGraph()
    graph.add("a", lambda: 1)
    with pytest.raises(EndpointError, match="no Dask scheduler answers there"):
        graph.run(on="tcp://127.0.0.1:9")


def test_a_local_cluster_is_made_and_closed(importable, serve) -> None:
    provider = serve(plays)
    graph = team(opened(provider, tools=[look]))
    result = graph.run(on="local", limit=4)
    assert dict(result) == dict(team(opened(serve(plays), tools=[look])).run())
    assert result.where == "on Dask, 4 threads"


def test_what_cannot_travel_is_named_and_nothing_is_sent(dask, serve) -> None:
    provider = serve(loopback.echo)
    lock = threading.Lock()

    def holds() -> bool:
        return lock.locked()

    graph = TaskGraph(opened(provider))
    graph.add("a", "Ask.")
    graph.add("holds", holds)
    with pytest.raises(OptionError, match="Task 'holds' cannot be sent to other machines"):
        graph.run(on=dask)
    graph = TaskGraph(opened(provider), inputs={"lock": lock})
    graph.add("a", "Ask {lock}", needs=["lock"])
    with pytest.raises(OptionError, match="Input 'lock' cannot be sent"):
        graph.run(on=dask)
    assert provider.log == ()


def test_a_result_that_cannot_travel_fails_its_task_alone(dask) -> None:
    graph = TaskGraph()
    graph.add("lock", lambda: __import__("threading").Lock())
    graph.add("other", lambda: 1)
    result = graph.run(on=dask)
    assert result["other"] == 1
    assert "cannot leave the worker" in str(result.outcomes["lock"].error)


def test_a_large_result_comes_home(dask) -> None:
    graph = TaskGraph()
    graph.add("large", lambda: "x" * 300_000)
    graph.add("size", lambda large: len(large), needs=["large"])  # noqa: PLW0108
    result = graph.run(on=dask)
    assert result["size"] == len(result["large"]) == 300_000


def test_keys_stay_at_home_where_workers_have_them(dask, serve, monkeypatch, mocker) -> None:
    provider = serve(loopback.echo)
    from agentcache_dask import driving

    sent: list[bytes] = []
    packed = driving.packed_plan

    async def spied(*args: Any) -> bytes:
        sent.append(await packed(*args))
        return sent[-1]

    mocker.patch.object(driving, "packed_plan", spied)
    # The workers' environment is this process's as it was when they began: OPENAI_API_KEY=dummy.
    session = opened(provider, api="chat")
    graph = TaskGraph(session)
    graph.add("a", "Ask.")
    graph.run(on=dask).check()
    with_dummy = provider.log[-1].headers["authorization"]
    assert b"dummy" not in sent[-1]

    own = client_at(provider, "chat", api_key="sk-of-my-own")
    graph = TaskGraph(Session.open(own, model=MODELS["chat"], system="Hello"))
    graph.add("a", "Ask.")
    graph.run(on=dask).check()
    assert provider.log[-1].headers["authorization"] != with_dummy
    here = client_at(provider, "chat", api_key="sk-of-my-own")
    Session.open(here, model=MODELS["chat"], system="Hello").ask("Ask.")
    assert len({call.headers["authorization"] for call in provider.log[-2:]}) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="prices need Python 3.11")
def test_what_was_spent_is_known_at_home(dask, serve) -> None:
    pytest.importorskip("genai_prices")
    provider = serve(loopback.echo)
    graph = TaskGraph(opened(provider))
    for n in range(4):
        graph.add(f"t{n}", f"Part {n}")
    there, here = graph.run(on=dask), graph.run()
    assert there.spent_usd is not None
    assert here.spent_usd is not None
    assert 0 < here.spent_usd < there.spent_usd  # it is warm by then


def test_the_desk_forgets_runs_that_are_over(dask, cluster) -> None:
    graph = TaskGraph()
    graph.add("a", lambda: 1)
    graph.run(on=dask)
    desk = next(p for name, p in cluster.scheduler.plugins.items() if isinstance(p, Desk))
    assert desk._runs == {}


def test_ten_thousand_families_are_one() -> None:
    from agentcache_dask.driving import families

    assert families(["page_1", "page_22", "end", "_7"]) == {
        "page_1": "page",
        "page_22": "page",
        "end": "end",
        "_7": "task",
    }
    many = [f"{chr(97 + n % 26)}x{chr(97 + n // 26)}" for n in range(500)]
    assert set(families(many).values()) == {"task"}
