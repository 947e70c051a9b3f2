"""Prefix locks: what is fingerprinted, how it is written down, and what a change is called."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentcache import Ledger
from agentcache.cli import main
from agentcache.dialects import dialect_of
from agentcache.errors import NothingToForkError, OptionError, UnknownObjectError
from agentcache.ledger import Call
from agentcache.locks import LockFile, Piece, Program, Shared, changes, fingerprint
from agentcache.parent import CacheDomain, Parent, freeze
from agentcache.prints import prints
from agentcache.rules import rule_for
from agentcache.sessions import Session
from agentcache.usage import Usage

BRIEF = "The brief, which all of them read. " + "facts about the market " * 100
DIALECTS = {
    "gpt-4.1-mini": "openai.chat",
    "gpt-6-luna": "openai.responses",
    "claude-haiku-5-5": "anthropic.messages",
}


def tool(name: str, about: str = "Look it up.", dialect: str = "openai.chat") -> dict[str, Any]:
    if dialect == "anthropic.messages":
        return {"name": name, "description": about, "input_schema": {"type": "object"}}
    inner = {"name": name, "description": about, "parameters": {"type": "object"}}
    if dialect == "openai.responses":
        return {"type": "function", **inner}
    return {"type": "function", "function": inner}


def parent(model: str = "gpt-4.1-mini", **given: Any) -> Parent:
    dialect = DIALECTS[model]
    tools = given.pop("tools", [tool(name, dialect=dialect) for name in ("search", "count")])
    options: dict[str, Any] = {"system": "You are a team.", "context": [BRIEF], **given}
    options.setdefault("params", {"model": model, "verbosity": "low"})
    domain = CacheDomain("test", model)
    return freeze(dialect, rule_for(model), domain, tools=tools, **options)


def differ(**given: Any) -> tuple[str, ...]:
    return changes(fingerprint(parent()), fingerprint(parent(**given)))


def test_a_parent_is_fingerprinted_block_by_block_without_its_texts():
    (shared,) = fingerprint(parent())

    assert (shared.model, shared.rule) == ("gpt-4.1-mini", "openai-4.1")
    assert [(p.section, p.path) for p in shared.pieces] == [
        ("params", "verbosity"),
        ("tools", "tools[count]"),
        ("tools", "tools[search]"),
        ("system", "messages[0].content[0]"),
        ("messages", "messages[1].content[0]"),
    ]
    assert all(len(p.digest) == 16 for p in shared.pieces)
    assert 400 < shared.tokens == sum(p.tokens for p in shared.pieces) < 700
    lines = str(Program("team", "office:team", (shared,)))
    assert "facts" not in lines
    assert "You are" not in lines


@pytest.mark.parametrize("model", DIALECTS)
def test_a_session_and_its_parent_have_one_fingerprint(model):
    frozen = parent(model)

    assert fingerprint(Session(frozen)) == fingerprint(frozen)
    assert [p.section for p in fingerprint(frozen)[0].pieces if p.section != "params"][:3] == [
        "tools",
        "tools",
        "system",
    ]


def test_texts_that_were_found_in_a_program_are_part_of_it():
    session = Session(parent(context=[]), hoist=True)
    session.learn([["Look here. ", BRIEF * 4], ["Look there. ", BRIEF * 4]])

    found = fingerprint(session)[0].pieces[-1]

    assert (found.section, found.path) == ("messages", "found[0]")
    assert found.text.startswith("The brief, which all of them read.")
    assert found.tokens > 1000


def test_an_answer_that_is_handed_on_is_not():
    session = Session(parent(), hoist=True)
    answer = "The answer of this one run. " * 100
    assert session.expect(answer, [["Go on. " + answer], ["And on. " + answer]] * 3)
    session.stand("clerk", ["Go on. " + answer])

    assert fingerprint(session) == fingerprint(parent())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ()),
        ({"system": "You are one team."}, ("changed  messages[0].content[0], * tokens*",)),
        ({"context": [BRIEF, "More."]}, ("added    messages[1].content[1], * tokens",)),
        ({"context": []}, ("removed  messages[1].content[0], * tokens",)),
        ({"context": ["More.", BRIEF]}, ("added    messages[1].content[0], * tokens",)),
        ({"tools": [tool("search")]}, ("removed  tools[count], * tokens",)),
        (
            {"tools": [tool("search", "Find it."), tool("count"), tool("add")]},
            ("changed  tools[search], * tokens*", "added    tools[add], * tokens"),
        ),
        ({"params": {"verbosity": "high"}}, ("changed  verbosity",)),
        ({"params": {}}, ("removed  verbosity",)),
        ({"params": {"verbosity": "low", "service_tier": "flex"}}, ("added    service_tier",)),
    ],
)
def test_what_changed_is_named(given, told):
    lines = differ(**given)

    assert len(lines) == len(told)
    for line, pattern in zip(lines, told, strict=True):
        start, _, end = pattern.partition("*")
        assert line.startswith(start)
        assert line.endswith(end.strip("*")) or end.endswith("*")


def test_another_order_of_tools_is_one_line():
    search, count = (Piece("tools", f"tools[{n}]", n, 9) for n in ("search", "count"))
    one, other = (Shared("m", "r", pieces) for pieces in ((search, count), (count, search)))

    assert changes([one], [other]) == (
        "changed  the order: tools[search], tools[count] became tools[count], tools[search]",
    )


def test_models_are_told_apart():
    mini, luna = fingerprint(parent()), fingerprint(parent("gpt-6-luna"))

    assert changes(mini, luna)[0] == "changed  model: gpt-4.1-mini became gpt-6-luna"
    assert changes(mini, [*mini, *luna]) == (
        f"added    5 blocks, about {luna[0].tokens:,} tokens shared on gpt-6-luna",
    )
    assert changes([*mini, *luna], mini) == ("removed  all that was shared on gpt-6-luna",)


def call(agent: str, request: dict[str, Any], *, content: bool, **more: Any) -> Call:
    fields: dict[str, Any] = {"forked": True, "reason": "", "place": "ungated", "session": ""}
    sent = prints(dialect_of(request).hashed(request))
    return Call(
        agent=agent,
        model=request["model"],
        rule_id=rule_for(request["model"]).id,
        usage=Usage(),
        sent=sent,
        original=sent,
        started_s=0.0,
        first_event_s=None,
        ended_s=0.0,
        request=request if content else None,
        **{**fields, **more},
    )


def ledger(
    *asked: str, content: bool = True, system: str = "You are a team.", **more: Any
) -> Ledger:
    book = Ledger(content=content)
    for n, question in enumerate(asked):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": BRIEF}]
        messages.append({"role": "user", "content": question})
        request = {"model": "gpt-4.1-mini", "tools": [tool("search")], "messages": messages}
        book.record(call(f"agent {n}", request, content=content, **more))
    return book


def test_of_a_ledger_is_locked_what_all_agents_begin_with():
    (shared,) = fingerprint(ledger("Find facts.", "Count them."))

    assert [(p.section, p.path) for p in shared.pieces] == [
        ("tools", "tools[search]"),
        ("system", "messages[0]"),
        ("messages", "messages[1]"),
    ]
    assert not shared.chained


def test_of_an_agent_alone_what_stands_in_front_of_its_talk():
    (shared,) = fingerprint(ledger("Find facts."))

    assert [p.path for p in shared.pieces] == ["tools[search]", "messages[0]"]


def test_calls_that_failed_or_were_not_forked_do_not_count():
    book = ledger("Find facts.", "Count them.")
    aside = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello."}]}
    book.record(call("agent 0", aside, content=True, forked=False))
    book.record(call("agent 3", aside, content=True, error="TimeoutError"))

    assert fingerprint(book) == fingerprint(ledger("Find facts.", "Count them."))


def test_a_ledger_without_content_tells_where_the_first_change_is():
    before, after, longer = (
        fingerprint(ledger("Find facts.", "Count.", content=False, system=system))
        for system in ("You are a team.", "You are one team.", "You are a team.")
    )

    assert before == longer
    assert before[0].chained
    assert [p.path for p in before[0].pieces] == ["tools[0]", "messages[0]", "messages[1]"]
    (line,) = changes(before, after)
    assert line.startswith("changed  messages[0], ")
    assert line.endswith("; all that follows moved with it")
    assert changes(before, fingerprint(ledger("Find facts.", "Count."))) == (
        "changed  one was made with requests and one without: they cannot be compared",
    )
    alone = fingerprint(ledger("Find facts.", "Find facts.", content=False))
    assert [line.partition(",")[0] for line in changes(before, alone)] == ["added    messages[2]"]
    assert [line.partition(",")[0] for line in changes(alone, before)] == ["removed  messages[2]"]


def test_where_nothing_is_shared_nothing_is_locked():
    with pytest.raises(NothingToForkError, match="The agents of this Ledger share no block"):
        fingerprint(Ledger())
    with pytest.raises(UnknownObjectError, match=r"no adapter for builtins\.int"):
        fingerprint(3)


NASTY = 'Über "quotes" \\ and \x00 \x7f \x85 \u2028 \ud800 # = , } {'


def test_a_lock_file_reads_back_as_it_was_written(tmp_path):
    pieces = (
        Piece("tools", f"tools[{NASTY}]", "0" * 16, 12, "words"),
        Piece("params", "a", "1", 0),
    )
    shared = (Shared("gpt-6-luna", "openai-6", pieces), Shared("m", "r", (), chained=True))
    nasty = Program(NASTY, "office:make", shared, texts=True)
    plain = Program("crew", "office:crew", fingerprint(parent()))
    lock = LockFile(tmp_path / "agentcache.lock", {}).having(nasty).having(plain)

    lock.write()
    assert lock.path.read_text().index('"crew"') < lock.path.read_text().index('"Über')
    again = LockFile.read(lock.path)
    again.write()

    assert sorted(again.programs) == ["crew", NASTY.replace("\ud800", "?")]
    assert again.differences(plain) == ()
    assert again.programs["crew"].source == "office:crew"
    assert not again.programs["crew"].texts
    assert again.programs[NASTY.replace("\ud800", "?")].texts
    assert LockFile.read(lock.path) == again
    assert [path.name for path in tmp_path.iterdir()] == ["agentcache.lock"]


def test_a_lock_file_is_toml(tmp_path):
    tomllib = pytest.importorskip("tomllib")
    pieces = (Piece("tools", f"tools[{NASTY}]", "0" * 16, 12, NASTY),)
    program = Program("crew", "office:crew", (Shared("m", "r", pieces, chained=True),), texts=True)

    LockFile(tmp_path / "a.lock", {"crew": program}).write()

    held = tomllib.loads((tmp_path / "a.lock").read_text())
    assert held["version"] == 1
    (table,) = held["shared"]
    assert (table["program"], table["from"], table["chained"]) == ("crew", "office:crew", True)
    assert table["blocks"][0]["text"] == NASTY.replace("\ud800", "?")


@pytest.mark.parametrize(
    ("change", "number", "found"),
    [
        (lambda text: text.replace("version = 1", "version = 2"), 2, "version = 2"),
        (lambda text: text.replace("[[shared]]", "<<<<<<< ours\n[[shared]]"), 4, "<<<<<<< ours"),
        (lambda text: text.replace('", tokens', '", token'), 11, "section"),
        (lambda text: text.replace("model =", "modell ="), 5, "a table without 'model'"),
        (lambda text: text.replace('"gpt', '"\\xgpt'), 7, "model = "),
        (lambda text: text.replace('"crew"', "5"), 5, "program = 5"),
        (lambda text: text.replace("tokens = ", "tokens = true #"), 9, "tokens = true"),
    ],
)
def test_what_is_no_lock_file_is_named_with_its_line(tmp_path, change, number, found):
    path = tmp_path / "agentcache.lock"
    LockFile(path, {"crew": Program("crew", "x:y", fingerprint(parent()))}).write()
    path.write_text(change(path.read_text()))

    with pytest.raises(OptionError, match=f"line {number}, is not of a lock file: .*{found}"):
        LockFile.read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00\x01", "{} is no lock file, for it is not text in UTF-8."),
        (b"\x89PNG\r\n\x1a\n", "{} is no lock file, for it is not text in UTF-8."),
        (b"\x00\x01", "{}, line 1, is not of a lock file: '\\x00\\x01'. Take it out, "),
        (None, "{} cannot be read: Is a directory."),
    ],
)
def test_a_check_of_what_is_no_lock_file_is_an_error_not_a_change(tmp_path, capsys, content, says):
    path = tmp_path / "agentcache.lock"
    path.mkdir() if content is None else path.write_bytes(content)

    assert main(["lock", "--check", "--file", str(path)]) == 2

    said = capsys.readouterr().err
    assert said.startswith(f"agentcache: {says.format(path)}")
    assert said.count("\n") == 1


OFFICE = """
import asyncio, functools
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

RULES = "Mind the rules of the house. " * 100

def make(system="You are a team.", names=("search", "count")):
    schema = {"type": "object", "properties": {n: {"type": "string"} for n in names}}
    tools = [{"type": "function", "function": {"name": n, "parameters": schema}} for n in names]
    rule, domain = rule_for("gpt-6-luna"), CacheDomain("openai", "gpt-6-luna")
    return Session(freeze("openai.chat", rule, domain, system=system, context=[RULES], tools=tools))

async def later():
    await asyncio.sleep(0)
    return make()

class Office:
    team = make()

team = make()
partial = functools.partial(make, "You are a team.")
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a program in it; its module is not known from one test to the next."""
    (tmp_path / "office.py").write_text(OFFICE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "office", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def edit(office: Path, old: str, new: str) -> None:
    text = (office / "office.py").read_text()
    assert old in text
    (office / "office.py").write_text(text.replace(old, new))
    sys.modules.pop("office", None)


def test_the_command_locks_checks_and_updates(office, capsys):
    assert main(["lock", "office:team"]) == 0
    assert "agentcache.lock: now holds team (4 blocks, about" in capsys.readouterr().out
    assert main(["lock", "--check"]) == 0
    assert "agentcache.lock: team is as it was locked (4 blocks" in capsys.readouterr().out

    text = Path("agentcache.lock").read_text()
    edit(office, "You are a team.", "You are one team.")
    edit(office, '"search", "count"', '"search", "sum"')
    assert main(["lock", "--check"]) == 1
    out = capsys.readouterr().out
    assert "agentcache.lock: differs from team (4 blocks" in out
    assert "  removed  tools[count], " in out
    assert "  added    tools[sum], " in out
    assert "  changed  messages[0].content[0], " in out
    assert out.endswith("If this is meant: agentcache lock --update\n")
    assert main(["lock", "office:team"]) == 1
    assert capsys.readouterr().out.endswith("agentcache lock --update office:team\n")
    assert Path("agentcache.lock").read_text() == text

    assert main(["lock", "--update"]) == 0
    assert "now holds team" in capsys.readouterr().out
    assert main(["lock", "--check"]) == 0


def test_a_program_that_is_not_locked_fails_the_check(office, capsys):
    assert main(["lock", "--check", "office:team"]) == 1

    out = capsys.readouterr().out
    assert "  added    it is not in the lock file\n" in out
    assert out.endswith("If this is meant: agentcache lock --update office:team\n")
    assert not Path("agentcache.lock").exists()


@pytest.mark.parametrize(
    "path", ["office:make", "office:later", "office:partial", "office:Office.team"]
)
def test_a_program_may_be_made_by_a_call(office, path):
    assert main(["lock", f"team={path}"]) == 0

    lock = LockFile.read(Path("agentcache.lock"))
    assert lock.programs["team"].source == path
    assert (
        lock.programs["team"].shared
        == LockFile.read(Path("agentcache.lock")).programs["team"].shared
    )
    assert main(["lock", "--check", "--file", "agentcache.lock"]) == 0


def test_words_stand_in_the_file_only_on_request_and_stay(office, capsys):
    main(["lock", "office:team", "--with-text"])
    assert "You are a team." in Path("agentcache.lock").read_text()
    edit(office, "You are a team.", "You are one team.")
    capsys.readouterr()

    assert main(["lock", "--check"]) == 1
    assert "'You are a team.' became 'You are one team.'" in capsys.readouterr().out
    main(["lock", "--update"])
    assert "You are one team." in Path("agentcache.lock").read_text()
    main(["lock", "--update", "--no-with-text"])
    assert "You are" not in Path("agentcache.lock").read_text()


def test_two_programs_stand_in_one_file_by_name(office, capsys):
    main(["lock", "b=office:team", "a=office:make"])
    lines = Path("agentcache.lock").read_text().splitlines()
    assert [line for line in lines if line.startswith("program")] == [
        'program = "a"',
        'program = "b"',
    ]
    capsys.readouterr()

    assert main(["lock", "a=office:later"]) == 2
    assert capsys.readouterr().err == (
        "agentcache: 'a' is locked from 'office:make'. Name the other one: NAME=office:later.\n"
    )


def test_nothing_is_locked_or_said_where_one_of_several_cannot_be(office, capsys):
    assert main(["lock", "a=office:team", "b=office:crew", "--file", "two.lock"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("agentcache: 'office:crew' leads nowhere")
    assert not Path("two.lock").exists()


def test_a_lock_file_that_cannot_be_written_is_an_error_and_nothing_is_said(office, capsys):
    assert main(["lock", "office:team", "--file", "nowhere/a.lock"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"agentcache: {Path('nowhere/a.lock')} cannot be written: No such file or directory.\n"
    )


def test_the_command_reads_ledgers_from_files(office):
    book = Ledger("run.jsonl", content=True)
    book.extend(ledger("Find facts.", "Count them.").calls)

    assert main(["lock", "run.jsonl"]) == 0

    lock = LockFile.read(Path("agentcache.lock"))
    assert lock.programs["run"].source == "run.jsonl"
    assert str(lock.programs["run"]) == str(Program("run", "run.jsonl", fingerprint(book)))
    assert main(["lock", "--check"]) == 0


def test_what_tests_have_locked_is_left_to_them(office, capsys):
    made = Program("crew", "pytest:tests/test_it.py::test_it", fingerprint(parent()))
    LockFile(Path("agentcache.lock"), {"crew": made}).write()

    assert main(["lock", "office:team"]) == 0
    assert main(["lock", "--check"]) == 0

    assert "crew: made by tests/test_it.py::test_it; pytest checks it.\n" in capsys.readouterr().out
    assert sorted(LockFile.read(Path("agentcache.lock")).programs) == ["crew", "team"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Nothing is locked in agentcache.lock: name a program, as NAME=module:attribute."),
        (["nowhere"], "'nowhere' is neither a file nor a program as module:attribute."),
        (["nowhere:team"], "'nowhere:team' leads nowhere: No module named 'nowhere'."),
        (["office:crew"], "'office:crew' leads nowhere: module 'office' has no attribute 'crew'."),
        (["office:RULES"], "agentcache has no adapter for builtins.str"),
    ],
)
def test_what_cannot_be_locked_is_said_in_one_line(office, capsys, words, says):
    assert main(["lock", *words]) == 2

    assert capsys.readouterr().err.startswith(f"agentcache: {says}")


def test_the_same_program_gives_the_same_file_in_every_process(office):
    texts = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "agentcache.cli", "lock", "office:team", "--file", seed]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        texts.add(Path(seed).read_text())

    assert len(texts) == 1


def test_fingerprints_are_the_same_on_every_python():
    """Written down once: a lock that is made by one person is checked by another."""
    digests = [piece.digest for piece in fingerprint(parent())[0].pieces]

    assert digests == [
        "bd9cbd1a2f970ee1",
        "42aa64c0e21db391",
        "20a60ac5125c1fd2",
        "a1bd9796dd5ac5d7",
        "562436bfd9254b05",
    ]
