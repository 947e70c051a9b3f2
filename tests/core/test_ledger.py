"""The ledger: every call in memory and as JSON lines, and never an error into the host."""

import json
import logging
import os
import threading
from dataclasses import asdict, replace

import pytest

from agentcache.breaks import CacheBreak, find_break
from agentcache.errors import OptionError
from agentcache.ledger import Call, Ledger
from agentcache.prints import Print
from agentcache.usage import Usage

SENT = (Print("messages", "messages[0]", "abc", 12, markable=True, marked=True),)


def call(agent: str = "coder", **more) -> Call:
    return Call(
        **{
            "agent": agent,
            "model": "gpt-6-luna",
            "rule_id": "openai-breakpoint",
            "session": "ac-1",
            "forked": True,
            "reason": "",
            "place": "leader",
            "usage": Usage(100, 60, 40, 5, (("30m", 40),)),
            "sent": SENT,
            "original": SENT,
            "started_s": 1.0,
            "first_event_s": 1.5,
            "ended_s": 2.0,
            **more,
        }
    )


def test_calls_are_kept_in_the_order_they_ended_and_numbered() -> None:
    ledger = Ledger()

    ledger.extend([call("a"), call("b")])

    assert [(c.index, c.agent) for c in ledger.calls] == [(0, "a"), (1, "b")]
    assert list(ledger.backwards()) == list(reversed(ledger.calls))


def test_every_call_is_a_json_line_with_the_same_figures(tmp_path) -> None:
    path = tmp_path / "calls.jsonl"
    ledger = Ledger(path)

    ledger.extend([call("Zoë"), call("b", first_event_s=None, error="TimeoutError")])

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(line.pop("at") > 1_700_000_000 for line in lines)
    assert {line.pop("source") for line in lines} == {"measured"}
    assert lines == [json.loads(json.dumps(asdict(c))) for c in ledger.calls]
    assert lines[0]["usage"]["cached_tokens"] == 60
    assert lines[0]["sent"][0]["chain"] == "abc"


def test_only_its_owner_may_read_the_file(tmp_path) -> None:
    Ledger(tmp_path / "calls.jsonl").record(call())

    assert (tmp_path / "calls.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
@pytest.mark.parametrize(("content", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_file_that_others_may_read_stays_so_only_without_content(tmp_path, content, mode) -> None:
    path = tmp_path / "calls.jsonl"
    path.touch()
    path.chmod(0o644)

    Ledger(path, content=content).record(call())

    assert path.stat().st_mode & 0o777 == mode
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_a_file_whose_mode_cannot_be_changed_loses_no_call(tmp_path, mocker) -> None:
    path = tmp_path / "calls.jsonl"
    path.touch()
    path.chmod(0o644)
    mocker.patch("agentcache.ledger.os.fchmod", side_effect=PermissionError)

    Ledger(path, content=True).record(call())

    assert len(path.read_text().splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no devices of this kind")
def test_what_is_no_plain_file_keeps_its_mode(mocker) -> None:
    changed = mocker.patch("agentcache.ledger.os.fchmod")

    Ledger(os.devnull, content=True).record(call())

    assert not changed.called


def test_requests_and_excerpts_are_kept_only_on_request(tmp_path) -> None:
    broke = find_break(
        *({"model": "m", "messages": [{"role": "system", "content": t}]} for t in "ab")
    )
    made = replace(call(), request={"messages": "SECRET"}, broke=replace_text(broke))
    for name, content in (("off.jsonl", False), ("on.jsonl", True)):
        ledger = Ledger(tmp_path / name, content=content)
        ledger.record(made)
        assert ("SECRET" in (tmp_path / name).read_text()) is content
        assert (ledger.calls[0].request is not None) is content


def replace_text(broke: CacheBreak | None) -> CacheBreak:
    assert broke is not None
    return broke.model_copy(update={"before": "SECRET one", "after": "SECRET two"})


def test_a_second_ledger_appends_to_the_same_file(tmp_path) -> None:
    path = tmp_path / "calls.jsonl"

    Ledger(path).record(call())
    Ledger(str(path)).record(call())

    assert len(path.read_text().splitlines()) == 2


def test_a_relative_path_is_meant_from_where_the_ledger_was_opened(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger("calls.jsonl")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    ledger.record(call())

    assert (tmp_path / "calls.jsonl").exists()


def test_a_failing_disk_is_logged_and_the_call_is_kept(tmp_path, mocker, caplog) -> None:
    ledger = Ledger(tmp_path / "calls.jsonl")
    mocker.patch("agentcache.ledger.open", side_effect=OSError("disk full"), create=True)

    with caplog.at_level(logging.ERROR, "agentcache"):
        ledger.record(call())

    assert [c.agent for c in ledger.calls] == ["coder"]
    assert "could not record a call of 'coder'" in caplog.text
    assert "disk full" in caplog.text


def test_what_no_file_can_hold_as_it_is_stands_there_as_an_escape(tmp_path) -> None:
    path = tmp_path / "calls.jsonl"

    Ledger(path).record(call("\ud83d"))

    assert json.loads(path.read_text(encoding="utf-8"))["agent"] == "\ud83d"


@pytest.mark.parametrize("name", ["missing/calls.jsonl", "."])
def test_a_path_that_cannot_be_a_file_is_refused_at_once(tmp_path, name) -> None:
    with pytest.raises(OptionError, match="its folder must exist"):
        Ledger(tmp_path / name)


def test_notes_are_kept_once_and_in_order() -> None:
    ledger = Ledger()

    ledger.note("b", "a")
    ledger.note("b", "c")

    assert ledger.notes == ("b", "a", "c")


def test_threads_lose_no_call(tmp_path) -> None:
    ledger = Ledger(tmp_path / "calls.jsonl")

    def record() -> None:
        for _ in range(50):
            ledger.record(call())

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(200))


def test_a_call_that_ends_while_another_is_recorded_is_recorded_after_it(
    tmp_path, monkeypatch
) -> None:
    ledger = Ledger(tmp_path / "calls.jsonl")
    real, late = Call.line, [f"late {n}" for n in range(5)]

    def line(self: Call, **how: bool) -> dict[str, object]:
        if late:  # as the garbage collector does: in this thread, in the middle of things
            ledger.record(call(late.pop(0), index=ledger.claim()))
            assert len(ledger.calls) > 1
        return real(self, **how)

    monkeypatch.setattr(Call, "line", line)
    ledger.extend([call("a"), call("b")])

    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    told = [(made["index"], made["agent"]) for made in map(json.loads, lines)]
    assert told == [(c.index, c.agent) for c in ledger.calls]
    agents = [agent for _, agent in told]
    assert agents == ["a", *(f"late {n}" for n in range(5)), "b"]


def test_no_thread_waits_for_a_slow_disk(tmp_path, monkeypatch) -> None:
    ledger = Ledger(tmp_path / "calls.jsonl")
    real, begun, go_on = Call.line, threading.Event(), threading.Event()

    def line(self: Call, **how: bool) -> dict[str, object]:
        begun.set()
        assert go_on.wait(60)
        return real(self, **how)

    monkeypatch.setattr(Call, "line", line)
    slow = threading.Thread(target=ledger.record, args=[call("a")])
    slow.start()
    assert begun.wait(60)
    ledger.record(call("b"))
    assert [c.agent for c in ledger.calls] == ["a", "b"]
    go_on.set()
    slow.join()

    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    assert [json.loads(made)["agent"] for made in lines] == ["a", "b"]


def test_a_call_that_cannot_be_written_keeps_no_other_from_it(tmp_path, caplog) -> None:
    ledger = Ledger(tmp_path / "calls.jsonl", content=True)

    ledger.extend([call("a"), call("b", request={(1, 2): "no key of JSON"}), call("c")])

    lines = (tmp_path / "calls.jsonl").read_text().splitlines()
    assert [json.loads(made)["agent"] for made in lines] == ["a", "c"]
    assert [c.agent for c in ledger.calls] == ["a", "b", "c"]
    assert "could not record a call of 'b'" in caplog.text


@pytest.mark.parametrize(("first", "seconds"), [(1.5, 0.5), (None, None)])
def test_the_time_to_the_first_token_is_known_only_for_streams(first, seconds) -> None:
    assert call(first_event_s=first).time_to_first_token_s == seconds


def test_a_call_holds_no_text_of_the_request() -> None:
    assert set(asdict(SENT[0])) == {"section", "path", "chain", "weight", "markable", "marked"}


def test_half_a_surrogate_pair_loses_no_call(tmp_path) -> None:
    path = tmp_path / "calls.jsonl"
    ledger = Ledger(path, content=True)
    asked = [{"role": "user", "content": f"\ud800{end}"} for end in "ab"]
    before, after = ({"model": "gpt-6-luna", "messages": [one]} for one in asked)
    broke = find_break({**before, "tools": []}, {**after, "model": "gpt-4o\udfff"})

    ledger.record(call(request=after, broke=broke))

    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["request"] == after
    assert json.loads(line)["broke"]["after"] == "gpt-4o\\udfff"
