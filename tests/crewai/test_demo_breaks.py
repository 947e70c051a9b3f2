"""`agentcache demo breaks`, as its user runs it."""

import json
from typing import Any

import pytest

from agentcache.cli import main

NAMES = ["Market researcher", "Pricing analyst", "Reviewer"]


def said(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(b["agent"], b["kind"], b["path"]) for b in found]


@pytest.mark.parametrize(
    ("model", "system"),
    [
        ("gpt-4.1-mini", "messages[0].content"),
        ("gpt-6-luna", "messages[0].content"),
        ("claude-haiku-5-5", "system[0].text"),
    ],
)
def test_three_breaks_are_named_and_forks_heal_what_they_can(
    capsys, hurried, tmp_path, model, system
):
    ledger, page = tmp_path / "out.jsonl", tmp_path / "out.html"
    files = ["--ledger", str(ledger), "--html", str(page)]
    assert main(["demo", "breaks", "--emulate", model, "--json", *files]) == 0
    out, live = capsys.readouterr()
    told = json.loads(out)
    plain, forked = told["runs"]
    expected = [
        (NAMES[0], "timestamp", system),
        (NAMES[1], "order", "tools[0]"),
        (NAMES[2], "model", "model"),
    ]
    assert plain["breaks"][0]["offset"] in range(75, 93)  # what of the time differs
    assert told["source"] == "emulated"
    assert said(plain["breaks"]) == expected
    assert all(b["tokens_lost"] > 2_000 and b["text"] in live for b in plain["breaks"])
    anew = [[c["anew"] for c in run["second"]] for run in (plain, forked)]
    assert min(anew[0]) > 2_000
    assert anew[1][0] < 250
    assert anew[1][1] < 128
    assert anew[1][2] > 2_000
    assert [(b["agent"], b["kind"]) for b in forked["breaks"]] == [
        (NAMES[0], "timestamp"),
        (NAMES[2], "model"),
    ]
    assert forked["breaks"][0]["tokens_lost"] < 250
    assert 2_000 < forked["breaks"][1]["tokens_lost"] <= anew[1][2]
    assert [c["forked"] for c in forked["second"][:2]] == [True, True]
    assert "Three breaks" in page.read_text()
    assert main(["breaks", str(ledger), "--json"]) == 1
    assert said(json.loads(capsys.readouterr().out)["breaks"]) == expected


def test_it_prints_what_moved_where_and_what_forks_make_of_it(capsys, hurried):
    assert main(["demo", "breaks"]) == 0
    out = capsys.readouterr().out
    for name, kind in zip(NAMES, ("timestamp", "order", "model"), strict=True):
        assert f"  Agent '{name}': {kind} in " in out
    assert out.count("healed") == 1
    assert "(emulated)" in out
    assert "--html" in out


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["breaks", "--emulate", "all"], "begins with claude- or gpt-"),
        (["breaks", "--model", "agent", "--slots", "2"], "--model, --slots: the demo of breaks"),
        (["breaks", "--html", "/nowhere/x.html"], "no file can stand there"),
        (["crewai", "--html", "x.html"], "are for `agentcache demo breaks`"),
    ],
)
def test_impossible_wishes_are_one_line_with_the_cure(capsys, words, cure):
    assert main(["demo", *words]) == 2
    error = capsys.readouterr().err
    assert cure in error
    assert "Traceback" not in error
