"""agentcache's own ledgers: from memory to a file and back, with the same report."""

import json
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import agentcache
from agentcache import loopback, recordings
from agentcache.breaks import find_break
from agentcache.dialects import dialect
from agentcache.errors import OptionError
from agentcache.ledger import Call, Ledger
from agentcache.prints import prints
from agentcache.usage import Usage

RULES = "Mind the rules of the house. " * 300


def request(time: str, *more: str) -> dict:
    messages = [{"role": "system", "content": f"It is {time}. {RULES}"}]
    messages += [{"role": "user", "content": text} for text in ("Hello.", *more)]
    return {"model": "gpt-4.1-mini", "messages": messages}


def call(number: int, asked: dict, **more) -> Call:
    sent = prints(dialect("openai.chat").hashed(asked))
    made = Call(
        agent="clerk",
        model="gpt-4.1-mini",
        rule_id="openai-4.1",
        session="ac-1",
        forked=True,
        reason="",
        place="leader",
        usage=Usage(1500 + number, 1024 if number else 0, None, 5, (("5m", 1),)),
        sent=sent,
        original=sent,
        started_s=100.0 + number,
        first_event_s=100.4 + number,
        ended_s=100.5 + number,
        index=number,
        request=asked,
    )
    return replace(made, **more)


@pytest.fixture
def made() -> list[Call]:
    first, second = request("10:00"), request("10:05", "And now?")
    broke = find_break(first, second, agent="clerk")
    return [call(0, first), call(1, second, kin=0, broke=broke), call(2, second, error="Timeout")]


def ledger_at(path: Path, calls: list[Call], **options) -> Ledger:
    ledger = Ledger(path, **options)
    for one in calls:
        ledger.claim()
        ledger.record(one)
    return ledger


def test_a_ledger_comes_back_as_it_was_and_so_does_its_report(tmp_path, made) -> None:
    ledger = ledger_at(tmp_path / "run.jsonl", made, content=True)

    back = recordings.read(tmp_path / "run.jsonl").ledger()

    assert back.calls == ledger.calls
    assert agentcache.report(tmp_path / "run.jsonl") == agentcache.report(ledger)
    assert agentcache.report(str(tmp_path / "run.jsonl")) == agentcache.report(ledger)
    assert back.content


def test_without_content_all_but_requests_and_excerpts_come_back(tmp_path, made) -> None:
    ledger = ledger_at(tmp_path / "run.jsonl", made)

    recording = recordings.read(tmp_path / "run.jsonl")

    assert [found.kind for found in recording.breaks()] == ["timestamp"]
    bare = made[1].broke.model_copy(update={"before": "", "after": ""})
    plain = [replace(c, broke=bare if c.broke else None) for c in ledger.calls]
    assert list(recording.ledger().calls) == plain
    assert [c.request for c in recording] == [{}, {}, {}]
    assert recording.remarks() == ()


def test_where_the_figures_come_from_comes_back(tmp_path, made) -> None:
    ledger_at(tmp_path / "run.jsonl", made, source="emulated")

    assert agentcache.report(tmp_path / "run.jsonl").source == "emulated"


def test_a_named_provider_judges_anew_where_there_is_content(tmp_path, made) -> None:
    plain = [replace(one, broke=None, kin=None) for one in made]
    for name, content in (("with", True), ("without", False)):
        ledger_at(tmp_path / name, plain, content=content)

    assert recordings.read(tmp_path / "with").breaks() == ()
    [found] = recordings.read(tmp_path / "with").breaks("openai")
    assert found.kind == "timestamp"
    assert recordings.read(tmp_path / "without").breaks("openai") == ()
    with pytest.raises(OptionError, match="provider='nobody'"):
        recordings.read(tmp_path / "with").breaks("nobody")


def test_runs_in_one_file_stand_one_behind_the_other(tmp_path, made) -> None:
    path = tmp_path / "run.jsonl"
    ledger_at(path, made)
    ledger_at(path, made)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[3:]:  # the machine was started anew in between
        line["at"] += 5_000
    path.write_text("\n".join(map(json.dumps, lines)))

    calls = recordings.read(path).ledger().calls

    assert [c.index for c in calls] == [0, 1, 2, 3, 4, 5]
    assert [c.kin for c in calls] == [None, 0, None, None, 3, None]
    assert calls[3].started_s - calls[0].started_s == pytest.approx(5_000, abs=5)


LATER = "is not known to this version of agentcache: update it."
BROKEN = [
    ({"usage": "much"}, "'usage' cannot be used: input should be a dictionary or *"),
    (
        {"usage": {"input_tokens": "SECRET"}},
        "'usage.input_tokens' cannot be used: input should be*",
    ),
    ({"usage": {"input_tokens": -1}}, "'usage' holds a count that no call has."),
    ({"rule_id": "of-a-later-version"}, f"rule 'of-a-later-version' {LATER}"),
    ({"sent": [{"chain": 1}]}, "'sent.0.section' cannot be used: field required."),
    ({"started_s": "noon"}, "'started_s' cannot be used: input should be a valid number*"),
    ({"broke": {"kind": "unheard_of"}}, "'broke.*"),
    ({"place": "SECRET"}, f"'place' holds a word that {LATER}"),
    ({"ended_s": float("inf")}, "a time is none."),
]


@pytest.mark.parametrize(("broken", "cause"), BROKEN)
def test_a_broken_line_is_counted_and_left_out(tmp_path, made, broken, cause) -> None:
    path = tmp_path / "run.jsonl"
    ledger_at(path, made)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1] |= broken
    path.write_text("\n\n".join(map(json.dumps, lines)) + '\n{"rule_id": "cut')

    recording = recordings.read(path)

    assert (len(recording), recording.unread) == (2, 2)
    told = "2 line(s) or entries could not be read. The first: line 3: "
    (note,) = agentcache.report(path).notes
    assert note.startswith(told)
    assert fnmatchcase(note.removeprefix(told), cause)
    assert "SECRET" not in note


@pytest.mark.parametrize(("broken", "cause"), BROKEN)
def test_a_ledger_of_which_no_line_can_be_read_says_why(tmp_path, made, broken, cause) -> None:
    path = tmp_path / "run.jsonl"
    ledger_at(path, made)
    lines = [json.loads(line) | broken for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, lines)))

    with pytest.raises(OptionError) as error:
        recordings.read(path)

    assert "holds no call to a chat model that can be read. Found: an object" in str(error.value)
    said = str(error.value).partition("; 3 could not be read. The first: line 1: ")[2]
    assert fnmatchcase(said, cause)


def test_lines_of_an_earlier_version_are_read(tmp_path, made) -> None:
    path = tmp_path / "run.jsonl"
    ledger_at(path, made)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for key in ("kin", "broke", "request", "at", "source"):
            del line[key]
    path.write_text("\n".join(map(json.dumps, lines)))

    assert len(recordings.read(path).ledger().calls) == 3


def test_a_long_ledger_is_read_line_by_line(tmp_path, made) -> None:
    path = tmp_path / "run.jsonl"
    ledger_at(path, [made[0]])
    line = json.loads(path.read_text())
    path.write_text("".join(json.dumps({**line, "index": n}) + "\n" for n in range(3_000)))

    assert len(recordings.read(path)) == 3_000


def test_a_program_under_observation_is_read_back_from_its_file(tmp_path) -> None:
    openai = pytest.importorskip("openai")
    path = tmp_path / "run.jsonl"
    with loopback.serve() as provider:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="x", max_retries=0)
        agentcache.observe(client, ledger=path)
        tool = {"type": "function", "function": {"name": "search", "parameters": {}}}
        for more in ({}, {"tools": [tool]}):
            client.chat.completions.create(**request("10:00", "And now?"), **more)
        client.close()

    assert [found.kind for found in recordings.read(path).breaks()] == ["tool_added"]
    held, now = agentcache.report(path), agentcache.report(client)
    assert (held.source, held.rows, held.total) == ("emulated", now.rows, now.total)
