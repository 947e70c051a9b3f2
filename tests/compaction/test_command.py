"""`agentcache compact --dry-run`: what it prints about a recorded run, and its exit status."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agentcache
from agentcache import cli, loopback
from agentcache.ledger import Call, Ledger
from agentcache.pricing import Price
from agentcache.rules import rule_for
from agentcache.usage import Usage

from .loops import chat, claude, converse, log_of, responses

Json = dict[str, Any]
LANGFUSE = str(Path(__file__).parent.parent / "recordings" / "data" / "langfuse-api.json")
SMALL = ["--large", "off", "--high", "10,000", "--low", "5000"]


def ended(*words: str) -> int:
    try:
        return cli.main(["compact", *words])
    except SystemExit as stop:  # argparse's own
        return int(stop.code or 0)


def told(capsys, *words: str) -> Json:
    assert ended("--dry-run", "--json", *words) == 0
    return json.loads(capsys.readouterr().out)


def growing(loop, turns: int, lines: int = 60) -> list[Json]:
    """The requests of a tool loop, each with one result more."""
    return [loop([log_of(n, lines) for n in range(k)]) for k in range(turns)]


def call_of(request: Json, started_s: float, **more: Any) -> Call:
    model = request.get("model") or request["modelId"]
    values: Json = {
        "agent": "fixer",
        "model": model,
        "rule_id": rule_for(model).id,
        "session": "ac-1",
        "forked": False,
        "reason": "",
        "place": "ungated",
        "usage": Usage(),
        "sent": (),
        "original": (),
        "started_s": started_s,
        "first_event_s": None,
        "ended_s": started_s + 2,
        "request": request,
    }
    return Call(**(values | more))


def written(path: Path, calls: Sequence[Call], *, content: bool = True) -> str:
    """A ledger's file of calls whose times are in it, not those at which this test wrote them."""
    Ledger(path, content=content).extend(calls)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**line, "at": None}) + "\n" for line in lines))
    return str(path)


def ledger_of(path: Path, requests: Sequence[Json], every_s: float = 10.0, **more: Any) -> str:
    return written(path, [call_of(r, 100 + n * every_s, **more) for n, r in enumerate(requests)])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[str, agentcache.Report]:
    """A loop of a real client that was observed, and the report on it."""
    openai = pytest.importorskip("openai")
    path = tmp_path_factory.mktemp("recorded") / "run.jsonl"
    with loopback.serve() as provider:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="x", max_retries=0)
        agentcache.observe(client, ledger=Ledger(path, content=True))
        for request in growing(chat, 12):
            client.chat.completions.create(**request)
        client.close()
    return str(path), agentcache.report(client)


def test_what_a_real_client_sent_is_compacted_before_it_is_sent(recorded, capsys) -> None:
    path, _ = recorded
    before = Path(path).read_bytes()

    assert ended("--dry-run", path) == 0

    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines() if "large, and not sent yet" in line]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 12)]
    assert {row[-1] for row in rows} == {"-"}
    assert "11 results replaced in 12 calls of 1 agent; the prefix moved 0 times." in said
    assert "Estimated: nothing was sent." in said
    assert "\x1b" not in said
    assert log_of(0, 60)[:20] not in said
    assert Path(path).read_bytes() == before


def test_the_bill_of_the_run_as_it_was_is_near_what_its_provider_billed(recorded, capsys) -> None:
    path, report = recorded

    found = told(capsys, path)

    counted = report.total.input_tokens
    assert found["before"]["sent"] == pytest.approx(counted, rel=0.1)
    assert found["before"]["read"] == pytest.approx(report.total.cached_own, rel=0.1)
    assert f"The provider counted {counted:,} input tokens in these calls." in found["notes"]
    assert found["after"]["largest"] < found["before"]["largest"] / 2
    assert found["after"]["cost"] < found["before"]["cost"]


@pytest.mark.parametrize("loop", [chat, responses, claude, converse])
def test_a_step_is_told_with_its_results_and_its_reason(loop, tmp_path, capsys) -> None:
    path = ledger_of(tmp_path / "run.jsonl", growing(loop, 30))

    assert ended("--dry-run", path, *SMALL) == 0
    said = capsys.readouterr().out
    found = told(capsys, path, *SMALL)

    steps = [one for one in found["weighed"] if one["step"] is not None]
    assert found["steps"] == len(steps) > 0
    assert {one["reason"] for one in found["replaced"]} == {"pays"}
    assert {one["step"] for one in found["replaced"]} == {one["step"] for one in steps}
    assert all(one["tokens"]["after"] < one["tokens"]["before"] for one in found["replaced"])
    first = steps[0]
    assert f"Step 1, at call {first['call']} (agent 'fixer'): {first['why']}" in said
    assert "stale, and the step pays" in said
    assert found["after"]["sent"] < found["before"]["sent"]


def test_a_step_knows_the_calls_that_follow(tmp_path, capsys) -> None:
    requests = growing(chat, 30)
    long = ledger_of(tmp_path / "long", requests)
    short = ledger_of(tmp_path / "short", requests[:10])

    [first, *_] = told(capsys, long, *SMALL)["weighed"]
    assert (first["call"], first["step"]) == (8, 1)
    assert f"over {30 - 8} calls" in first["why"]
    assert ended("--dry-run", short, *SMALL) == 0

    said = capsys.readouterr().out
    assert said.startswith("Nothing to compact in 10 calls of 1 agent. ")
    assert "No step at call 9, and at 1 call before (agent 'fixer'): A step would cost " in said


def test_a_pause_longer_than_the_cache_lives_is_a_step_for_nothing(tmp_path, capsys) -> None:
    requests = growing(chat, 7)
    calls = [call_of(r, 100 + n * 10 + (n > 5) * 5_000) for n, r in enumerate(requests)]

    found = told(capsys, written(tmp_path / "run.jsonl", calls), "--large", "off")

    assert [(o["call"], o["reason"], o["step"]) for o in found["replaced"]] == [(6, "cold", 1)] * 3
    assert found["weighed"][0]["why"].startswith("No provider holds the prefix")


def test_what_has_expired_is_not_read(tmp_path, capsys) -> None:
    requests = growing(chat, 6)
    quick = told(capsys, ledger_of(tmp_path / "quick", requests), "--large", "off")
    slow = told(capsys, ledger_of(tmp_path / "slow", requests, 400), "--large", "off", "--keep=9")

    assert quick["before"]["sent"] == slow["before"]["sent"]
    assert quick["before"]["read"] > 0
    assert slow["before"]["read"] == 0
    assert slow["before"]["cost"] == slow["before"]["sent"]


def test_agents_of_one_session_share_what_was_decided(tmp_path, capsys) -> None:
    requests = growing(chat, 4)
    calls = [
        call_of(r, 100 + n * 10 + k, agent=agent)
        for n, r in enumerate(requests)
        for k, agent in enumerate(("fixer", "critic"))
    ]

    found = told(capsys, written(tmp_path / "run.jsonl", calls))

    assert (found["calls"], found["agents"]) == (8, 2)
    assert [one["agent"] for one in found["replaced"]] == ["fixer"] * 3


def test_sessions_in_one_file_share_nothing(tmp_path, capsys) -> None:
    requests = growing(chat, 4)
    calls = [
        call_of(r, start + n * 10, session=f"ac-{start}")
        for start in (100, 200)
        for n, r in enumerate(requests)
    ]

    found = told(capsys, written(tmp_path / "run.jsonl", calls))

    assert [one["call"] for one in found["replaced"]] == [1, 2, 3, 5, 6, 7]


def test_marks_are_what_anthropic_reads_by(tmp_path, capsys) -> None:
    requests = growing(claude, 8)
    marked = [{**r, "cache_control": {"type": "ephemeral"}} for r in requests]
    rolling = growing(claude, 8)
    for request in rolling:
        last = request["messages"][-1]
        parts = last["content"]
        if isinstance(parts, list):
            parts[-1]["cache_control"] = {"type": "ephemeral"}

    plain = told(capsys, ledger_of(tmp_path / "plain", requests), "--large", "off")
    top = told(capsys, ledger_of(tmp_path / "top", marked), "--large", "off")
    rolled = told(capsys, ledger_of(tmp_path / "rolled", rolling), "--large", "off")

    assert plain["before"]["read"] == 0
    assert plain["before"]["cost"] == plain["before"]["sent"]
    assert any(note.startswith("No request marks what is to be cached") for note in plain["notes"])
    assert top["before"]["read"] == rolled["before"]["read"] > 0
    assert not any("No request marks" in note for note in top["notes"] + rolled["notes"])


def test_tools_named_never_stay(tmp_path, capsys) -> None:
    path = ledger_of(tmp_path / "run.jsonl", growing(chat, 7))

    found = told(capsys, path, "--never", "tool0", "--never", "tool2")

    assert {one["tool"] for one in found["replaced"]} == {"tool1"}
    assert found["compaction"]["never"] == ["tool0", "tool2"]


def test_what_tools_were_called_with_is_named_as_such(tmp_path, capsys) -> None:
    requests = growing(chat, 9, lines=4)
    for request in requests:
        for row in request["messages"]:
            for call in row.get("tool_calls", ()):
                call["function"]["arguments"] = json.dumps({"text": log_of(1, 60)})
    path = ledger_of(tmp_path / "run.jsonl", requests)

    assert (
        ended("--dry-run", path, *SMALL, "--low", "500", "--also", "input", "--limit", "10000") == 0
    )

    said = capsys.readouterr().out
    assert "tool0 (input)" in said
    assert " pieces replaced in 9 calls of 1 agent" in said


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (Price(1e-6, 4e-6), "input bill, in dollars"),
        (None, "No dollars: they need the extra prices, and a known price of each model."),
    ],
)
def test_dollars_are_told_only_where_prices_are_known(
    tmp_path, capsys, mocker, price, words
) -> None:
    mocker.patch("agentcache.replays.price_of", return_value=price)
    path = ledger_of(tmp_path / "run.jsonl", growing(chat, 4))

    found = told(capsys, path)
    assert ended("--dry-run", path) == 0

    said = capsys.readouterr().out
    assert words in said
    assert ("$" in said) == (price is not None)
    usd = found["before"]["usd"]
    assert usd == (None if price is None else pytest.approx(found["before"]["cost"] * 1e-6))


def test_an_engine_has_no_bill(tmp_path, capsys) -> None:
    path = ledger_of(tmp_path / "run.jsonl", growing(chat, 4))

    assert ended("--dry-run", path, "--provider", "llama.cpp") == 0

    said = capsys.readouterr().out
    assert "No bill: no price per token is known for these rules." in said
    assert "input bill" not in said
    assert "of it read from the cache" in said


def test_nothing_to_compact_is_said_and_no_error(tmp_path, capsys) -> None:
    path = ledger_of(tmp_path / "run.jsonl", [chat([]), chat(["Done."])])

    assert ended("--dry-run", path) == 0

    said = capsys.readouterr().out
    assert said.startswith(
        "Nothing to compact in 2 calls of 1 agent. There was no new tool result of 500 tokens or "
        "more to shorten and no request of 20,000 or more that a step pays for (largest request: "
    )


def test_what_another_tool_recorded_says_that_it_was_rebuilt(capsys) -> None:
    found = told(capsys, LANGFUSE)

    assert (found["form"], found["calls"], found["replaced"]) == ("langfuse", 4, [])
    assert "The requests are rebuilt from what the recorder kept of them." in found["notes"]


def test_what_is_left_out_is_said(tmp_path, capsys) -> None:
    requests = growing(chat, 3)
    calls = [call_of(r, 100 + n) for n, r in enumerate(requests)]
    calls += [call_of(requests[0], 110, error="Timeout")]
    calls += [replace(calls[0], started_s=120, ended_s=121, request=None)]

    found = told(capsys, written(tmp_path / "run.jsonl", calls))

    assert found["calls"] == 3
    assert "1 call(s) failed: they are left out." in found["notes"]
    assert "1 call(s) were recorded without their content: they are left out." in found["notes"]


def test_a_run_that_was_compacted_says_so(tmp_path, capsys) -> None:
    stands = "[compacted tool result 0123456789abcdef] tool0: 9,000 characters."
    path = ledger_of(tmp_path / "run.jsonl", [chat([stands])])

    found = told(capsys, path)

    assert found["replaced"] == []
    assert any("compacted already" in note for note in found["notes"])


def test_without_dry_run_nothing_is_done(tmp_path, capsys) -> None:
    assert ended(str(tmp_path / "missing.jsonl")) == 2
    assert "A recording is never rewritten: add --dry-run" in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_2(tmp_path, capsys) -> None:
    assert ended("--dry-run", str(tmp_path / "missing.jsonl")) == 2
    assert "missing.jsonl" in capsys.readouterr().err


def test_a_recording_without_content_names_the_cure(tmp_path, capsys) -> None:
    path = tmp_path / "run.jsonl"
    Ledger(path).extend([call_of(chat([]), 100)])

    assert ended("--dry-run", str(path)) == 2
    assert "holds figures and no requests" in (said := capsys.readouterr().err)
    assert "Record with Ledger(path, content=True), given as ledger= to agentcache.wrap" in said


def test_a_recording_of_which_no_call_can_be_replayed_says_why(tmp_path, capsys) -> None:
    path = ledger_of(tmp_path / "run.jsonl", growing(chat, 3), error="Timeout")

    assert ended("--dry-run", path) == 2
    assert "holds no call that can be replayed. 3 call(s) failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--low", "20000"], "low=20,000 must be below high=20,000."),
        (["--high", "9", "--low", "9"], "low=9 must be below high=9."),
        (["--high", "many"], "argument --high: 'many' is no whole number from 0 on"),
        (["--keep", "-1"], "argument --keep: '-1' is no whole number from 0 on"),
        (["--low", "off"], "argument --low: 'off' is no whole number from 0 on"),
        (["--also", "nonsense"], "also='nonsense' does not exist. Choose "),
        (["--provider", "nobody"], "provider='nobody' is not in the rules."),
    ],
)
def test_bad_options_end_with_2(tmp_path, capsys, options, words) -> None:
    path = ledger_of(tmp_path / "run.jsonl", growing(chat, 2))

    assert ended("--dry-run", path, *options) == 2
    assert words in capsys.readouterr().err
