"""`agentcache demo autogen-classic`, as its user runs it."""

import json
import sys
from typing import Any

import pytest

import agentcache
from agentcache import loopback
from agentcache.cli import main
from agentcache.demo import command, targets
from agentcache.demo.scenario import Endpoint, brief, find_scenario

GRID = [
    ("separate", "sequential"),
    ("separate", "parallel"),
    ("forked", "sequential"),
    ("forked", "parallel"),
]
ORDER = ["researcher", "analyst", "reviewer", "writer"]


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the run that is not measured."""
    monkeypatch.setattr(command, "warm_up", lambda *_args: None)


def cells(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["demo", "autogen-classic", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def read(total: dict[str, Any]) -> int:
    return total["cached_own"] + total["cached_across"]


def test_emulated_forks_read_across_agents_and_cost_less_in_every_cell(capsys, hurried):
    found = cells(capsys, "--emulate", "gpt-6-luna")
    assert [(c["layout"], c["order"]) for c in found] == GRID
    assert {c["source"] for c in found} == {"emulated"}
    assert [c["report"]["passed_through"] for c in found[2:]] == [[], []]
    totals = [c["report"]["total"] for c in found]
    assert {t["calls"] for t in totals} == {28}
    assert [t["cached_across"] for t in totals[:2]] == [0, 0]
    assert all(t["cached_across"] > 15_000 for t in totals[2:])
    assert all(t["ceiling"] >= read(t) > 0.8 * t["input_tokens"] for t in totals[2:])
    assert totals[2]["cost"] < 0.6 * totals[0]["cost"]
    assert totals[3]["cost"] < 0.6 * totals[1]["cost"]


def test_on_the_embedded_engine_it_is_measured_and_nobody_is_chosen(capsys, monkeypatch):
    pytest.importorskip("xllamacpp")
    monkeypatch.setattr(command, "_GRID", command._GRID[::3])
    found = cells(capsys)
    assert {c["source"] for c in found} == {"measured"}
    assert {c["report"]["unit"] for c in found} == {"n/a"}
    for cell in found:
        total = cell["report"]["total"]
        assert {r["agent"]: r["calls"] for r in cell["report"]["rows"]} == {
            "speaker_selection_agent": 10,
            "researcher": 4,
            "analyst": 2,
            "reviewer": 2,
            "writer": 2,
        }
        if cell["layout"] == "separate":
            assert total["cached_across"] < 0.01 * total["input_tokens"]
        else:
            assert read(total) > 0.85 * total["input_tokens"]
            assert total["cached_across"] > 10_000


def test_the_table_marks_every_row_and_tells_how_to_read_two_chats(capsys, hurried, monkeypatch):
    monkeypatch.setattr(command, "_GRID", command._GRID[::2])
    assert main(["demo", "autogen-classic", "--emulate", "gpt-4.1-mini"]) == 0
    said = capsys.readouterr()
    rows = [r for r in said.out.splitlines() if r.startswith(("separate", "forked"))]
    assert len(rows) == 2
    assert all(row.rstrip().endswith("emulated") for row in rows)
    assert "the two chats one after the other, or at once" in " ".join(said.out.split())
    assert said.err == ""


@pytest.mark.parametrize("layout", ["as_is", "fork"])
def test_the_model_chooses_who_speaks_and_the_writer_ends_each_chat(capsys, layout):
    pytest.importorskip("anthropic")
    scenario = find_scenario("autogen-classic")
    with loopback.serve(script=targets.page) as provider:
        endpoint = Endpoint(provider.url, "claude-haiku-5-5", "none", anthropic=True)
        program = agentcache.wrap(scenario.build(endpoint, brief(), parallel=False), layout=layout)
        pages = scenario.run(program)
        said = capsys.readouterr()
        chosen = [r.answer.text for r in provider.log if r.answer and r.answer.text in ORDER]
        asked = [r.body["messages"] for r in provider.log]
    workers, last = ORDER[:-1], ORDER[-1]
    assert chosen == [*(name for name in workers for _ in range(2)), last] * 2
    assert pages.count("- the writer, on: ") == 16
    assert sum("two cities come first" in json.dumps(messages) for messages in asked) == 14
    assert (said.out, said.err) == ("", "")


def test_a_live_endpoint_runs_the_same(capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-key")
    with loopback.serve(script=targets.page) as provider:
        found = cells(
            capsys,
            *("--base-url", provider.openai_url),
            *("--model", "gpt-4.1-mini", "--api-key-env", "MY_KEY"),
        )
        assert {r.path for r in provider.log} == {"/v1/chat/completions"}
    assert found[2]["report"]["total"]["cached_across"] > 15_000
    assert "secret-key" not in json.dumps(found)


@pytest.mark.parametrize(
    ("package", "model"),
    [
        ("autogen.io.base", "gpt-4.1-mini"),
        ("openai", "gpt-4.1-mini"),
        ("anthropic", "claude-haiku-5-5"),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    capsys, monkeypatch, package, model
):
    monkeypatch.delitem(sys.modules, "agentcache_autogen.classic_demo", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["demo", "autogen-classic", "--emulate", model]) == 2
    error = capsys.readouterr().err
    assert repr(package) in error
    assert "pip install '.[autogen-classic]' 'anthropic<1'" in error


def test_an_sdk_that_autogen_cannot_use_is_named_with_its_bound(capsys, monkeypatch):
    pytest.importorskip("anthropic")
    monkeypatch.setattr("agentcache.demo.needs.version", lambda _package: "2.12.0")
    assert main(["demo", "autogen-classic", "--emulate", "claude-haiku-5-5"]) == 2
    error = capsys.readouterr().err
    assert "anthropic 2.12.0 is installed. pip install 'anthropic<1'" in error
