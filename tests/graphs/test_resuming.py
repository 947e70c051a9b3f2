"""A run that was killed goes on: no paid call is repeated, and none is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.plain import BRIEF, client_at

from agentcache import Session, TaskGraph, loopback
from agentcache.errors import OptionError
from agentcache.graphs import RunStore
from agentcache.loopback import Answer, ToolCall, by_text

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with a signal")

_CALLS = 6 * (1 + 2 + 1) + 1
_STEPS = _CALLS + 2 * 20
Runs = Callable[..., Any]


def looks(turn: Any) -> Answer:
    """Use the tool once where that is asked for."""
    if "Look at" in turn.user and not turn.tool_results:
        return Answer(tool_calls=(ToolCall("look", {"word": turn.user[-40:]}),))
    return Answer(f"done with {turn.user[-60:]}")


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=looks) as running:
        yield running


@pytest.fixture(scope="module")
def runs(provider: loopback.Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Run the graph in a child; returns what it made, None if it was killed."""
    out = tmp_path_factory.mktemp("runs") / "out.json"
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("killed.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None

        def run(store: Path, at: int = 0, **more: Any) -> Any:
            told = {"url": provider.openai_url, "store": str(store), "at": at, "out": str(out)}
            driver.stdin.write(json.dumps({**told, **more}) + "\n")
            driver.stdin.flush()
            status = int(driver.stdout.readline())
            assert status in (0, -9)
            return json.loads(out.read_text()) if status == 0 else None

        yield run
        driver.stdin.close()


@pytest.fixture(scope="module")
def whole(provider: loopback.Loopback, runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Any:
    provider.clear()
    made = runs(tmp_path_factory.mktemp("whole") / "run.db")
    assert len(provider.log) == _CALLS
    return made["values"]


@pytest.mark.parametrize("at", range(1, _STEPS + 1))
def test_killed_at_a_step_no_paid_call_is_repeated_and_none_is_lost(
    provider, runs, whole, tmp_path, at
) -> None:
    provider.clear()
    store = tmp_path / "run.db"
    assert runs(store, at) is None
    before = len(provider.log)
    made = runs(store)
    assert made["values"] == whole
    assert len(provider.log) == _CALLS, f"{before} before the kill"


def test_killed_again_and_again_at_full_width(provider, runs, whole, tmp_path) -> None:
    provider.clear()
    store, made, kills = tmp_path / "run.db", None, 0
    while made is None:
        made = runs(store, at=7, limit=8)
        kills += made is None
    assert made["values"] == whole
    # What was on its way as the process died had not returned: at most one for each task at work.
    assert len(provider.log) <= _CALLS + 7 * kills
    assert kills > 3


def test_a_finished_run_is_read_back_without_a_call(provider, runs, whole, tmp_path) -> None:
    store = tmp_path / "run.db"
    runs(store)
    provider.clear()
    made = runs(store)
    assert made["values"] == whole
    assert set(made["status"].values()) == {"resumed"}
    assert provider.log == ()


def test_a_changed_prompt_runs_that_task_and_those_behind_it(
    provider, runs, whole, tmp_path
) -> None:
    store = tmp_path / "run.db"
    runs(store)
    provider.clear()
    made = runs(store, plan="Another plan")
    again = [name for name, status in made["status"].items() if status == "done"]
    assert again == ["plan", "end"]
    assert len(provider.log) == 1


def opened(provider: Any, **options: Any) -> Any:
    return Session.open(
        client_at(provider, "chat"), model="gpt-6-luna", **{"context": [BRIEF], **options}
    )


def test_other_tools_role_or_parameters_are_another_task(serve, tmp_path) -> None:
    provider = serve(by_text({}, default=lambda _: Answer("x")))

    def run(session: Any, **task: Any) -> int:
        before = len(provider.log)
        graph = TaskGraph(session)
        graph.add("a", "Ask.", **task)
        graph.run(store=tmp_path / "run.db")
        return len(provider.log) - before

    session = opened(provider)
    assert [run(session), run(session), run(session, role="You are a poet.")] == [1, 0, 1]
    assert run(opened(provider, params={"temperature": 0.5})) == 1
    assert run(opened(provider, system="Otherwise.")) == 1


def test_a_changed_function_is_run_again(tmp_path) -> None:
    def run(function: Any) -> Any:
        graph = TaskGraph()
        graph.add("a", function)
        return graph.run(store=tmp_path / "run.db").outcomes["a"]

    assert [run(lambda: 1).status, run(lambda: 1).status] == ["done", "resumed"]
    assert run(lambda: 2).value == 2


def test_a_result_that_is_no_json_is_said_not_to_be_kept(tmp_path) -> None:
    graph = TaskGraph()
    graph.add("a", lambda: {1, 2})
    result = graph.run(store=tmp_path / "run.db")
    assert "is no JSON, and is not kept" in result.notes[0]
    assert graph.run(store=tmp_path / "run.db").outcomes["a"].status == "done"


def test_what_failed_is_tried_again_and_the_rest_is_not(serve, tmp_path) -> None:
    wrong = [True]

    def script(turn: Any) -> Answer:
        if "Fragile" in turn.user and wrong:
            raise OptionError("refused")
        return Answer("x")

    provider = serve(script)
    graph = TaskGraph(opened(provider))
    graph.add("sound", "Sound.")
    graph.add("fragile", "Fragile: {sound}", needs=["sound"])
    assert not graph.run(store=tmp_path / "run.db").ok
    wrong.clear()
    result = graph.run(store=tmp_path / "run.db")
    assert [o.status for o in result.outcomes.values()] == ["resumed", "done"]


def test_a_file_of_something_else_is_refused_and_kept(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 200)
    with pytest.raises(OptionError, match="cannot be opened"):
        RunStore(path)
    assert path.read_text().startswith("my notes")


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_store_is_for_its_owner_alone(tmp_path) -> None:
    RunStore(tmp_path / "run.db").close()
    assert (tmp_path / "run.db").stat().st_mode & 0o077 == 0
