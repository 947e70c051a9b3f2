"""`agentcache demo langchain`, as its user runs it."""

import json
import sys
from typing import Any

import pytest

from agentcache import loopback
from agentcache.cli import main
from agentcache.demo.scenario import Endpoint, find_scenario

GRID = [
    ("separate", "sequential"),
    ("separate", "parallel"),
    ("forked", "sequential"),
    ("forked", "parallel"),
]


def cells(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["demo", "langchain", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", ["claude-haiku-5-5"])
def test_emulated_forks_read_across_agents_and_cost_less_in_every_cell(capsys, hurried, model):
    found = cells(capsys, "--emulate", model)
    assert [(c["layout"], c["order"]) for c in found] == GRID
    assert {c["source"] for c in found} == {"emulated"}
    assert [c["report"]["passed_through"] for c in found[2:]] == [[], []]
    totals = [c["report"]["total"] for c in found]
    assert {t["calls"] for t in totals} == {8}
    assert [t["cached_across"] for t in totals[:2]] == [0, 0]
    assert all(t["cached_across"] > 5000 for t in totals[2:])
    assert totals[2]["cost"] < totals[0]["cost"]
    assert totals[3]["cost"] < totals[1]["cost"]


def test_on_the_embedded_engine_it_is_measured(capsys):
    pytest.importorskip("xllamacpp")
    found = cells(capsys)
    assert {c["source"] for c in found} == {"measured"}
    assert {c["report"]["unit"] for c in found} == {"n/a"}
    for cell in found:
        total = cell["report"]["total"]
        after = [r for r in cell["report"]["rows"] if r["ceiling_across"]]
        if cell["layout"] == "separate":
            assert total["cached_across"] < 0.01 * total["input_tokens"]
        else:
            assert {r["agent"] for r in after} >= {"researcher", "analyst", "reviewer"}
            assert all(r["cached_across"] >= 0.95 * r["ceiling_across"] for r in after)


def test_the_table_marks_every_row_as_measured_or_emulated(capsys, hurried):
    assert main(["demo", "langchain", "--emulate", "gpt-4.1-mini"]) == 0
    rows = [r for r in capsys.readouterr().out.splitlines() if r.startswith(("separate", "forked"))]
    assert len(rows) == 4
    assert all(row.rstrip().endswith("emulated") for row in rows)


def test_a_live_endpoint_runs_the_same(capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-key")
    with loopback.serve(script=loopback.agent) as provider:
        found = cells(
            capsys,
            *("--base-url", provider.openai_url),
            *("--model", "gpt-4.1-mini", "--api-key-env", "MY_KEY"),
        )
        assert {r.path for r in provider.log} == {"/v1/chat/completions"}
    assert found[2]["report"]["total"]["cached_across"] > 6000
    assert "secret-key" not in json.dumps(found)


@pytest.mark.parametrize("parallel", [False, True])
def test_the_analyst_waits_for_the_researcher_only_in_turn(parallel):
    scenario = find_scenario("langchain")
    with loopback.serve(script=loopback.agent) as provider:
        endpoint = Endpoint(provider.openai_url, "gpt-4.1-mini", "none")
        scenario.run(scenario.build(endpoint, "The brief.", parallel=parallel))
        calls = [json.loads(r.raw)["messages"] for r in provider.log]
    analyst = next(c for c in calls if "pricing analyst" in c[0]["content"])
    heard = ["supervisor"] if parallel else ["supervisor", "researcher"]
    assert [m.get("name") for m in analyst[2:]] == heard
    assert {m.get("name") for m in calls[-1]} >= {"researcher", "analyst", "reviewer"}


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("langgraph.graph", ["--emulate", "gpt-4.1-mini"]),
        ("langchain_openai", ["--emulate", "gpt-4.1-mini"]),
        ("langchain_anthropic", ["--emulate", "claude-haiku-5-5"]),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    capsys, monkeypatch, package, words
):
    monkeypatch.delitem(sys.modules, "agentcache_langchain.demo", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["demo", "langchain", *words]) == 2
    error = capsys.readouterr().err
    assert repr(package) in error
    assert "pip install '.[langchain]' langgraph langchain-openai langchain-anthropic" in error
