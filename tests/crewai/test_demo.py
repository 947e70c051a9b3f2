"""`agentcache demo crewai`, as its user runs it."""

import json
from typing import Any

import pytest

from agentcache import loopback
from agentcache.cli import main

LIVE = ["demo", "crewai", "--model", "m", "--api-key-env", "PATH"]
GRID = [
    ("separate", "sequential"),
    ("separate", "parallel"),
    ("forked", "sequential"),
    ("forked", "parallel"),
]


def cells(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["demo", "crewai", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5"])
def test_emulated_forks_read_across_agents_and_cost_less_in_every_cell(capsys, hurried, model):
    found = cells(capsys, "--emulate", model)
    assert [(c["layout"], c["order"]) for c in found] == GRID
    assert {c["source"] for c in found} == {"emulated"}
    totals = [c["report"]["total"] for c in found]
    assert [t["cached_across"] for t in totals[:2]] == [0, 0]
    assert all(t["cached_across"] > 6000 for t in totals[2:])
    assert totals[2]["cost"] < totals[0]["cost"]
    assert totals[3]["cost"] < totals[1]["cost"]


def test_on_the_embedded_engine_it_is_measured(capsys):
    pytest.importorskip("xllamacpp")
    found = cells(capsys)
    assert {c["source"] for c in found} == {"measured"}
    assert {c["report"]["unit"] for c in found} == {"n/a"}
    for cell in found:
        total = cell["report"]["total"]
        workers = [r for r in cell["report"]["rows"] if r["ceiling_across"]]
        if cell["layout"] == "separate":
            assert total["cached_across"] < 0.01 * total["input_tokens"]
        else:
            assert len(workers) == 3
            assert all(r["cached_across"] >= 0.95 * r["ceiling_across"] for r in workers)


def test_the_table_marks_every_row_as_measured_or_emulated(capsys, hurried):
    assert main(["demo", "crewai", "--emulate", "gpt-6-luna"]) == 0
    rows = [r for r in capsys.readouterr().out.splitlines() if r.startswith(("separate", "forked"))]
    assert len(rows) == 4
    assert all(row.rstrip().endswith("emulated") for row in rows)


def test_a_live_endpoint_runs_the_same(capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-key")
    with loopback.serve(script=loopback.agent) as provider:
        found = cells(
            capsys,
            *("--base-url", provider.openai_url),
            *("--model", "gpt-6-luna", "--api-key-env", "MY_KEY"),
        )
        assert provider.log[-1].path == "/v1/chat/completions"
    assert found[2]["report"]["total"]["cached_across"] > 6000
    assert "secret-key" not in json.dumps(found)


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["demo", "nothing"], "Installed: autogen, autogen-classic, breaks, crewai, "),
        (["demo", "crewai", "--emulate", "x", "--model", "y"], "drop --model"),
        (["demo", "crewai", "--model", "m", "--api-key-env", "NOT_SET"], "not set"),
        (["demo", "crewai", "--model", "/nowhere/x.gguf"], "x.gguf"),
        (["demo", "crewai", "--slots", "0"], "at least one"),
        ([*LIVE, "--base-url", "http://127.0.0.1:9"], "does not answer"),
        ([*LIVE, "--base-url", "nonsense"], "is no URL"),
    ],
)
def test_impossible_wishes_are_one_line_with_the_cure(capsys, words, cure):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert cure in error
    assert "Traceback" not in error
