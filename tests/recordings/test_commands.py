"""`agentcache breaks`, `diff` and `report`: what they print, and their exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentcache import cli
from agentcache.breaks import CacheBreak

DATA = Path(__file__).with_name("data")
RUN = str(DATA / "langfuse-api.json")
RULES = "Mind the rules of the house. " * 300


@pytest.fixture
def requests(tmp_path) -> list[str]:
    """A request, the same again, and one whose clock has moved on."""
    names = []
    for name, time in (("a", "10:00"), ("same", "10:00"), ("b", "10:05")):
        messages = [{"role": "system", "content": f"It is {time}. {RULES}"}]
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"model": "gpt-4.1-mini", "messages": messages}, indent=1))
        names.append(str(path))
    return names


def ended(*words: str) -> int:
    try:
        return cli.main(list(words))
    except SystemExit as stop:  # argparse's own
        return int(stop.code or 0)


def test_diff_says_what_broke_and_ends_with_1(requests, capsys) -> None:
    assert ended("diff", requests[0], requests[2]) == 1

    said = capsys.readouterr().out
    assert said.startswith("timestamp in messages[0].content at character ")
    assert said.count("\n") == 1


def test_diff_ends_with_0_where_nothing_broke(requests, capsys) -> None:
    assert ended("diff", requests[0], requests[1]) == 0
    assert capsys.readouterr().out == "Nothing broke.\n"


def test_diff_as_json_is_a_break_or_null(requests, capsys) -> None:
    ended("diff", requests[0], requests[2], "--json")
    told = json.loads(capsys.readouterr().out)
    assert told.pop("cure")
    assert told.pop("text")
    assert CacheBreak(**told).kind == "timestamp"

    ended("diff", requests[0], requests[1], "--json")
    assert json.loads(capsys.readouterr().out) is None


@pytest.mark.parametrize(
    "words",
    [
        ["missing.json"],
        [RUN],
        ["{a}", "--provider", "nobody"],
        [],
        ["{a}", "--colour"],
    ],
)
def test_diff_ends_with_2_for_what_it_cannot_do(requests, capsys, words) -> None:
    given = [word.replace("{a}", requests[1]) for word in words]

    assert ended("diff", requests[0], *given) == 2
    assert "agentcache" in capsys.readouterr().err


def test_diff_takes_lines_of_a_ledger_that_keeps_content(requests, tmp_path, capsys) -> None:
    for name in requests:
        path = Path(name)
        path.write_text(json.dumps({"agent": "clerk", "request": json.loads(path.read_text())}))

    assert ended("diff", requests[0], requests[2]) == 1


@pytest.mark.parametrize(
    ("fail_on", "status"),
    [
        (None, 1),
        ("any", 1),
        ("none", 0),
        ("timestamp", 1),
        ("evicted, timestamp", 1),
        ("evicted,model", 0),
        ("nonsense", 2),
        ("timestamp,nonsense", 2),
        ("", 2),
    ],
)
def test_breaks_ends_as_the_kinds_to_fail_on_ask(capsys, fail_on, status) -> None:
    options = [] if fail_on is None else ["--fail-on", fail_on]

    assert ended("breaks", RUN, *options) == status
    if status == 2:
        assert "is no kind of break. Choose any, none, or of: text_edit" in capsys.readouterr().err


def test_breaks_prints_a_paragraph_for_each_and_a_line_for_all(capsys) -> None:
    ended("breaks", RUN)

    paragraphs = capsys.readouterr().out.split("\n\n")
    assert len(paragraphs) == 3
    assert paragraphs[0].startswith("Agent 'crew': below minimum in usage.")
    assert paragraphs[1].startswith(
        "Agent 'crew': timestamp in messages[0].content at character 38"
    )
    assert "\n" not in paragraphs[1]
    assert paragraphs[2].startswith(
        "2 breaks in 4 calls of 2 agents: below_minimum 1, timestamp 1."
    )


def test_breaks_says_so_where_there_is_none(tmp_path, capsys) -> None:
    rows = json.loads(Path(RUN).read_text())["data"][:1]
    (tmp_path / "one.json").write_text(json.dumps(rows))

    assert ended("breaks", str(tmp_path / "one.json")) == 0
    assert capsys.readouterr().out == "No break in 1 call of 1 agent.\n"


def test_breaks_as_json_names_the_calls(capsys) -> None:
    assert ended("breaks", RUN, "--json") == 1

    told = json.loads(capsys.readouterr().out)
    assert (told["form"], told["calls"], told["notes"]) == ("langfuse", 4, [])
    last = told["breaks"][-1]
    assert (last["call"], last["compared_with"], last["kind"]) == (3, 1, "timestamp")
    assert last["cure"].startswith("Move the time")


@pytest.mark.parametrize("command", ["breaks", "report"])
def test_a_file_that_is_no_recording_ends_with_2(command, tmp_path, capsys) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')

    assert ended(command, str(tmp_path / "x.json")) == 2
    assert "no recording that agentcache reads" in capsys.readouterr().err


def test_report_prints_the_table(capsys) -> None:
    assert ended("report", RUN) == 0

    said = capsys.readouterr().out
    assert "agentcache (measured)" in said
    assert "crew (2)" in said
    assert "Broken: Agent 'crew': timestamp" in said


def test_report_as_json_is_a_report(capsys) -> None:
    assert ended("report", RUN, "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert [row["agent"] for row in told["rows"]] == ["crew", "crew (2)"]
    assert told["total"]["input_tokens"] == 549


def test_report_writes_a_page_that_only_its_owner_may_read(tmp_path, capsys) -> None:
    page = tmp_path / "out.html"

    assert ended("report", RUN, "--html", str(page)) == 0
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")
    assert page.stat().st_mode & 0o077 == 0
    assert f"The page: {page}" in capsys.readouterr().out


def test_a_page_that_cannot_be_written_is_an_error(tmp_path, capsys) -> None:
    assert ended("report", RUN, "--html", str(tmp_path / "no" / "out.html")) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_pipe_gets_plain_text() -> None:
    command = [sys.executable, "-m", "agentcache.cli", "breaks", RUN]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 120


FULL = Path("/dev/full")
COMMANDS = [
    ["breaks", RUN],
    ["breaks", RUN, "--json"],
    ["report", RUN],
    ["report", RUN, "--json"],
    ["rules"],
    ["rules", "gpt-4.1-mini"],
    ["--help"],
]


def written_to(out: int, *words: str) -> tuple[int, str]:
    """The exit status of a command, and what stands in its standard error."""
    command = [sys.executable, "-m", "agentcache.cli", *words]
    known = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, env=known, stdout=out, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGPIPE")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_reader_that_has_seen_enough_ends_a_command_silently(words) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert written_to(writer, *words) == (141, "")
    finally:
        os.close(writer)


@pytest.mark.skipif(not FULL.exists(), reason="there is no full device")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_output_that_is_full_is_an_error_in_one_line(words) -> None:
    with FULL.open("w") as full:
        status, said = written_to(full.fileno(), *words)

    assert status == 2
    assert said == ("agentcache: standard output cannot be written: No space left on device.\n")


def test_an_error_of_the_system_elsewhere_stays_a_traceback(mocker, capsys) -> None:
    mocker.patch("agentcache.breaks_command.report.read", side_effect=ConnectionError("refused"))

    with pytest.raises(ConnectionError, match="refused"):
        ended("report", RUN)


def test_a_command_without_a_standard_output_ends_as_it_would(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert ended("breaks", RUN) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_a_page_with_content_is_closed_to_others_where_it_was_open(tmp_path) -> None:
    page = tmp_path / "out.html"
    page.write_text("")
    page.chmod(0o644)

    assert ended("report", RUN, "--html", str(page)) == 0
    assert page.stat().st_mode & 0o777 == 0o600
