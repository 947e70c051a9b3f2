"""Task graphs in process: what is asked, in what order, and what becomes of failures."""

import asyncio
import json
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel
from tests.plain import BRIEF, client_at

import agentcache
from agentcache import Budget, Session, TaskGraph, loopback
from agentcache.errors import GraphError, MissingExtraError, OptionError, TaskError
from agentcache.graphs import Event
from agentcache.loopback import Answer, Latency, by_text

MODEL = "gpt-6-luna"


def opened(provider: Any, *, is_async: bool = False, **options: Any) -> Any:
    client = client_at(provider, "chat", is_async=is_async)
    held = {"system": "You are a team.", "context": [BRIEF], **options}
    return Session.open(client, model=MODEL, **held)


def asked(provider: Any) -> list[str]:
    return [json.dumps(call.body, ensure_ascii=False) for call in provider.log]


def test_a_task_sees_only_what_it_needs(serve) -> None:
    provider = serve(
        by_text({"Study": "MARKET", "Rivals": "RIVALS"}, default=lambda _: Answer("x"))
    )
    graph = TaskGraph(opened(provider), inputs={"product": "bikes {market}"})
    graph.add("market", "Study {product} {not this} {{nor}} {rivals}", needs=["product"])
    graph.add("rivals", "Rivals?", after=["market"])
    graph.add("plan", "Plan {market}, {rivals} and {json}", needs=["market"])
    result = graph.run()
    first, *_, plan = sorted(asked(provider), key=lambda text: "Plan" in text)
    assert "Study bikes {market} {not this} {{nor}} {rivals}" in first
    assert "Plan MARKET, {rivals} and {json}" in plan
    assert dict(result) == {"market": "MARKET", "rivals": "RIVALS", "plan": "x"}


def test_functions_get_what_they_need_by_name_and_a_worker(serve) -> None:
    provider = serve(by_text({"Twice": "TWICE"}))

    def double(number: int) -> int:
        return 2 * number

    async def later(double: int) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"double": double}

    def say(worker: Any, later: dict[str, int]) -> str:
        return worker.ask(f"Twice: {later['double']}").text

    graph = TaskGraph(opened(provider), inputs={"number": 21})
    graph.add("double", double, needs=["number"])
    graph.add("later", later, needs=["double"])
    graph.add("say", say, needs=["later"])
    result = graph.run()
    assert (result["double"], result["later"], result["say"]) == (42, {"double": 42}, "TWICE")
    assert "Twice: 42" in asked(provider)[0]


class Plan(BaseModel):
    """A plan."""

    steps: list[str]


def test_output_is_typed_and_handed_on_as_json(serve) -> None:
    provider = serve(by_text({"Make": '{"steps": ["a"]}', "Use": "used"}))
    graph = TaskGraph(opened(provider))
    graph.add("plan", "Make it.", output=Plan)
    graph.add("use", "Use {plan}", needs=["plan"])
    assert graph.run()["plan"] == Plan(steps=["a"])
    assert 'Use {\\"steps\\":[\\"a\\"]}' in asked(provider)[-1].replace("\\\\", "\\")


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_sent(serve) -> None:
    provider = serve()
    graph = TaskGraph(opened(provider), inputs={"used": 1, "idle": 2, "clash": 3})
    graph.add("a", "{b} {used}", needs=["b", "used"])
    graph.add("b", "{a}", needs=["a"])
    graph.add("clash", "x {markt}", needs=["markt"], after=["nobody"])
    graph.add("market", "y", needs=["a"])
    graph.add("calls", lambda x, y: x, needs=["a"])
    with pytest.raises(GraphError) as error:
        graph.run()
    for told in (
        "cycle: a -> b -> a",
        "needs 'markt', neither a task nor an input; did you mean 'market'?",
        "task 'clash' comes after 'nobody'",
        "task 'market' needs 'a' and makes no use of it: put {a} in its prompt",
        "task 'calls' needs 'a' and makes no use of it: give its function a parameter a",
        "its function asks for 'x', and no need gives it",
        "input 'idle' is used by no task",
        "'clash' is both a task and an input",
    ):
        assert told in str(error.value)
    assert provider.log == ()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("a b", "x"), "no name of a task"),
        (("a", ""), "not empty"),
        (("a", len, "prompt"), "no prompt"),
        (("taken", "x"), "already"),
    ],
)
def test_a_task_that_cannot_be_had_is_refused(given, told) -> None:
    graph = TaskGraph()
    graph.add("taken", print)
    with pytest.raises(GraphError, match=told):
        graph.add(*given)


def test_a_prompt_without_a_session_is_refused() -> None:
    graph = TaskGraph()
    graph.add("a", "Ask.")
    with pytest.raises(GraphError, match="open a session"):
        graph.check()


def test_a_failure_holds_up_only_what_waits_for_it() -> None:
    def bad() -> None:
        raise ValueError("no luck")

    graph = TaskGraph()
    graph.add("bad", bad)
    graph.add("good", lambda: 1)
    graph.add("behind", lambda bad: bad, needs=["bad"])
    graph.add("far", lambda: 1, after=["behind"])
    graph.add("fine", lambda good: good + 1, needs=["good"])
    result = graph.run()
    assert dict(result) == {"good": 1, "fine": 2}
    assert [o.status for o in result.outcomes.values()] == [
        *("failed", "done", "skipped", "skipped", "done")
    ]
    with pytest.raises(TaskError, match=r"'behind' skipped: it waits for 'bad', which was failed"):
        _ = result["behind"]
    with pytest.raises(TaskError, match=r"'bad' failed: ValueError: no luck"):
        result.check()
    assert result.failed[0].error.args == ("no luck",)


def test_retries_are_told_and_counted(mocker) -> None:
    mocker.patch("agentcache.graphs.running._BASE_S", 0.001)
    tries, events = [], []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("gone")
        return "here"

    graph = TaskGraph()
    graph.add("flaky", flaky, retries=2)
    result = graph.run(on_event=events.append)
    assert (result["flaky"], result.outcomes["flaky"].tries) == ("here", 3)
    assert [e.kind for e in events] == ["started", "retry", "retry", "done"]


@pytest.mark.parametrize("is_async", [True, False])
def test_a_task_that_takes_too_long_fails_and_the_others_go_on(is_async) -> None:
    done = threading.Event()

    async def slow() -> None:
        await asyncio.sleep(30)

    def blocks() -> None:
        done.wait(30)

    graph = TaskGraph()
    graph.add("slow", slow if is_async else blocks, timeout_s=0.05)
    graph.add("quick", lambda: 1)
    began = time.monotonic()
    result = graph.run(limit=2)
    done.set()
    assert time.monotonic() - began < 10
    assert isinstance(result.outcomes["slow"].error, TimeoutError)
    assert result["quick"] == 1


def test_the_longest_chain_begins_first() -> None:
    order: list[str] = []

    def say(name: str) -> Any:
        return lambda: order.append(name)

    graph = TaskGraph()
    graph.add("short", say("short"))
    graph.add("one", say("one"))
    graph.add("two", say("two"), after=["one"])
    graph.add("three", say("three"), after=["two"])
    graph.add("heavy", say("heavy"), weight=9)
    graph.run(limit=1)
    assert order == ["heavy", "one", "two", "short", "three"] or order.index("heavy") == 0
    assert order.index("one") < order.index("short")


def test_a_slow_branch_does_not_hold_the_others() -> None:
    ended: dict[str, float] = {}

    def work(name: str, seconds: float) -> Any:
        async def run() -> None:
            await asyncio.sleep(seconds)
            ended[name] = time.monotonic()

        return run

    graph = TaskGraph()
    graph.add("top", work("top", 0.01))
    graph.add("slow", work("slow", 0.5), after=["top"])
    graph.add("fast", work("fast", 0.01), after=["top"])
    graph.add("next", work("next", 0.01), after=["fast"])
    graph.add("bottom", work("bottom", 0.01), after=["slow", "next"])
    graph.run()
    assert ended["next"] < ended["slow"] < ended["bottom"]


def test_a_cold_fan_out_of_64_makes_one_cold_call(serve) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=0.05))
    graph = TaskGraph(opened(provider))
    for n in range(64):
        graph.add(f"t{n}", f"Do part {n}.")
    result = graph.run(limit=64)
    assert result.ok
    assert len([c for c in provider.log if not c.cached_tokens]) == 1
    roles = [call.place for call in result.ledger.calls]
    assert (roles.count("leader"), roles.count("follower")) == (1, 63)


def test_a_leader_that_fails_twice_hands_over_one_at_a_time(serve) -> None:
    fails = iter([True, True])

    def script(turn: Any) -> Answer:
        if next(fails, False):
            raise OptionError("refused")
        return Answer("ok")

    provider = serve(script, latency=Latency(base_s=0.05))
    graph = TaskGraph(opened(provider))
    for n in range(16):
        graph.add(f"t{n}", f"Do part {n}.")
    result = graph.run(limit=16)
    assert len(result) == 14
    first = sorted(provider.log, key=lambda call: call.started_s)
    for before, after in pairwise(first[:4]):
        assert after.started_s >= (before.ended_s or 0) - 0.005
    assert len([c for c in provider.log if c.status == 200 and not c.cached_tokens]) == 1


def test_a_result_that_many_read_stands_in_the_trunk_once(serve) -> None:
    report = "The market report says that fleets pay for turnaround above all else. " * 120
    provider = serve(by_text({"Study": report}, default=lambda _: Answer("x")))
    session = opened(provider)
    graph = TaskGraph(session)
    graph.add("report", "Study it.")
    for n in range(6):
        graph.add(f"t{n}", f"Part {n} of: {{report}}", needs=["report"])
    result = graph.run()
    readers = [text for text in asked(provider) if "Part" in text and "Study" not in text]
    assert all(text.count(report[:60]) >= 1 for text in readers)
    first, *rest = sorted(
        (c for c in result.ledger.calls if c.agent != "report"), key=lambda c: c.started_s
    )
    # One reader writes it; the others read it, behind the parent and in front of their own part.
    assert all(c.usage.cached_tokens > first.usage.cached_tokens + 1_000 for c in rest)
    assert any("handed to 6 conversations" in note for note in result.ledger.notes)


def test_a_budget_of_tokens_stops_what_has_not_begun(serve) -> None:
    provider = serve()
    graph = TaskGraph(opened(provider))
    for n in range(8):
        graph.add(f"t{n}", f"Part {n}")
    result = graph.run(limit=1, budget=Budget(tokens=1))
    assert len(provider.log) == 1
    assert [o.status for o in result.outcomes.values()] == ["done", *["skipped"] * 7]
    assert "budget of 1 tokens is spent" in result.outcomes["t3"].why


def test_a_budget_in_dollars_needs_a_price(serve) -> None:
    provider = serve()
    session = Session.open(client_at(provider, "chat"), model="nobody-knows-it")
    graph = TaskGraph(session)
    graph.add("a", "Ask.")
    with pytest.raises(OptionError, match="no price of 'nobody-knows-it'"):
        graph.run(budget=1.0)
    assert provider.log == ()


@pytest.mark.parametrize("wrong", [0, -1, True, "much"])
def test_a_budget_that_is_none_is_refused(wrong) -> None:
    graph = TaskGraph()
    graph.add("a", print)
    with pytest.raises(OptionError):
        graph.run(budget=wrong)


def test_cancelling_one_task_skips_those_behind_it_alone() -> None:
    graph = TaskGraph()

    async def long() -> None:
        await asyncio.sleep(30)

    async def other() -> int:
        await asyncio.sleep(0.05)
        graph.cancel("long")
        return 1

    graph.add("long", long)
    graph.add("behind", lambda: 1, after=["long"])
    graph.add("other", other)
    graph.add("last", lambda other: other, needs=["other"])
    result = graph.run()
    assert [o.status for o in result.outcomes.values()] == ["cancelled", "skipped", "done", "done"]


def test_cancelling_all_returns_what_there_is() -> None:
    graph = TaskGraph()

    async def long() -> None:
        await asyncio.sleep(30)

    graph.add("first", lambda: 1)
    graph.add("long", long, after=["first"])
    graph.add("never", lambda: 1, after=["long"])

    def heard(event: Event) -> None:
        if event.kind == "started" and event.task == "long":
            graph.cancel()

    result = graph.run(on_event=heard)
    assert dict(result) == {"first": 1}
    assert {o.status for o in result.failed} == {"cancelled"}


def test_a_run_that_is_cancelled_from_outside_stops_its_tasks() -> None:
    stopped: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.append("long")
            raise

    async def main() -> None:
        graph = TaskGraph()
        graph.add("long", long)
        run = asyncio.ensure_future(graph.arun())
        await asyncio.sleep(0.05)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())
    assert stopped == ["long"]


def test_run_on_a_running_loop_says_what_to_do() -> None:
    async def main() -> None:
        with pytest.raises(OptionError, match=r"await graph\.arun"):
            TaskGraph().run()

    asyncio.run(main())


def test_a_listener_that_raises_breaks_nothing() -> None:
    def raises(event: Event) -> None:
        raise RuntimeError(event.task)

    graph = TaskGraph()
    graph.add("a", lambda: 1)
    assert graph.run(on_event=raises)["a"] == 1


def test_an_async_session_runs_at_full_width(serve) -> None:
    provider = serve(loopback.echo, latency=Latency(base_s=0.2))

    async def main() -> Any:
        session = opened(provider, is_async=True)
        graph = TaskGraph(session)
        for n in range(32):
            graph.add(f"t{n}", f"Part {n}")
        try:
            return await graph.arun(limit=32)
        finally:
            await session.line.client.close()

    result = asyncio.run(main())
    assert result.ok
    begun = sorted(call.started_s for call in provider.log)
    assert begun[-1] - begun[1] < 0.2  # all but the first go at once


def test_it_is_shown(serve, capsys) -> None:
    graph = TaskGraph(opened(serve()), inputs={"x": 1})
    graph.add("first", "Say {x}", needs=["x"])
    graph.add("second", "Say [bold]{first}", needs=["first"])
    graph.add("end", lambda: 1, after=["second"])
    graph.show()
    graph.run(progress=True).show()
    told = capsys.readouterr()
    assert "first" in told.out
    assert "3 of 3 tasks" in told.out
    assert "t0 --> t1" in graph.mermaid()
    assert "-.->" in graph.mermaid()
    assert graph.svg().count("<rect") == 3
    assert graph._repr_html_().startswith("<svg")


def test_an_svg_is_written_and_its_names_are_escaped(tmp_path) -> None:
    graph = TaskGraph()
    graph.add("a", print)
    path = tmp_path / "graph.svg"
    graph.svg(path)
    assert path.read_text(encoding="utf-8").startswith("<svg")


def test_two_sessions_in_one_graph(serve) -> None:
    provider = serve(by_text({"One": "1", "Two": "2"}))
    first, second = opened(provider), opened(provider, system="You are another team.")
    graph = TaskGraph(first)
    graph.add("one", "One?")
    graph.add("two", "Two {one}?", needs=["one"], session=second)
    result = graph.run()
    assert (result["one"], result["two"]) == ("1", "2")
    assert len(result.ledgers) == 2
    with pytest.raises(OptionError, match="2 ledgers"):
        _ = result.ledger
    assert agentcache.report(result.ledgers[1]).rows[0].agent == "two"


@pytest.mark.parametrize("on", ["local", "tcp://127.0.0.1:1"])
def test_a_cluster_without_its_extra_names_the_extra(serve, monkeypatch, on) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "agentcache_dask", raising=False)
    provider = serve()
    graph = TaskGraph(opened(provider))
    graph.add("one", "One?")
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[dask\]'"):
        graph.run(on=on)
    assert provider.log == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout_s": "5"}, "timeout_s='5' is no number above 0"),
        ({"timeout_s": 0}, "timeout_s=0 is no number above 0"),
        ({"weight": float("nan")}, "weight=nan is no number above 0"),
        ({"weight": -1}, "weight=-1 is no number"),
        ({"weight": None}, "weight=None is no number"),
        ({"version": 3}, "version=3 is no string"),
        ({"retries": -1}, "retries=-1"),
    ],
)
def test_options_of_tasks_that_cannot_be_had(options, told) -> None:
    with pytest.raises(GraphError, match=told):
        TaskGraph().add("a", print, **options)


def test_a_generator_has_no_result() -> None:
    def lines() -> Any:
        yield 1

    with pytest.raises(GraphError, match="Return a list"):
        TaskGraph().add("a", lines)


@pytest.mark.parametrize("is_async", [True, False])
def test_a_function_that_wants_to_exit_ends_its_task_alone(is_async) -> None:
    def leaves() -> None:
        sys.exit(3)

    async def leaves_later() -> None:
        sys.exit(3)

    graph = TaskGraph()
    graph.add("leaves", leaves_later if is_async else leaves)
    graph.add("stays", lambda: 1)
    result = graph.run()
    assert dict(result) == {"stays": 1}
    assert r"sys.exit(3)" in str(result.outcomes["leaves"].error)


def test_a_graph_that_cannot_run_makes_no_file(tmp_path) -> None:
    graph = TaskGraph()
    graph.add("a", lambda b: b, needs=["b"])
    with pytest.raises(GraphError):
        graph.run(store=tmp_path / "run.db")
    with pytest.raises(OptionError, match="on_event=5 cannot be called"):
        graph.run(on_event=5)
    assert not list(tmp_path.iterdir())
