"""What tool loops look like: turns made from this package's own sources, the same every time."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from hashlib import blake2b
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

__all__ = ["SYSTEM", "TOOLS", "ToolTurn", "coding_trace", "research_trace", "task"]

_ROOT: Final = Path(__file__).resolve().parents[1]
_KINDS: Final = (".py", ".json", ".md")
_SEED: Final = 1
_STAY: Final = 5
"""Turns that are spent on one file."""
_DEF: Final = re.compile(r"^\s*(?:def|class) (\w+)", re.MULTILINE)
_WIDE: Final = 120
_MOST: Final = 60
"""Lines that grep shows, as the tools of coding agents limit them."""
_HITS: Final = 40
"""Places that a search shows."""
_PAGE: Final = 9_000
"""Characters from which on a text is a page of the research loop."""

SYSTEM: Final = (
    "You are a software engineer who works in a checkout with the tools below. Read before you "
    "change anything: list the folder, search for the word, then open the file. Change one thing "
    "at a time and run the tests after it. Where a test fails, read the whole message and the "
    "lines that it names before you edit again. Never guess the name of a file or of a function. "
    "Keep to the style of the code around you, leave unrelated lines alone, and write a test for "
    "every fault that you repair. When you are done, say in three sentences what was wrong, what "
    "you changed, and how you know that it holds."
)
TOOLS: Final[Mapping[str, Mapping[str, str]]] = {
    "list_files": {"path": "The folder."},
    "grep": {"pattern": "A regular expression."},
    "read_file": {"path": "The file.", "lines": "First and last line, such as 1-80."},
    "edit_file": {"path": "The file.", "old": "Lines to replace.", "new": "What replaces them."},
    "run_tests": {"paths": "Files of tests.", "options": "Options of pytest."},
    "diff": {"path": "The file."},
    "search": {"query": "A word."},
    "open_page": {"name": "The page, as a search names it."},
}
"""The agent's tools: what each of their arguments is."""


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """One turn of a tool loop: what the model says and calls, and what it is told."""

    tool: str
    arguments: Mapping[str, Any]
    result: str
    said: str = ""


def task() -> str:
    """What the agent is asked, with the project's files, as coding agents are given them."""
    return (
        "The hit rate of a report is wrong where one agent's calls were answered from another "
        f"one's prefix. Find out why, and repair it. The project's files:\n{_listing('')}"
    )


def research_trace(turns: int = 12) -> list[ToolTurn]:
    """A loop that searches and opens what it found, in turn: 2,000 to 4,000 tokens each."""
    pages = cycle(sorted(name for name, text in _texts().items() if len(text) > _PAGE))
    words = cycle(("cached_tokens", "breakpoint", "usage", "prefix", "lifetime", "write"))
    made: list[ToolTurn] = []
    for n in range(turns):
        if n % 2:
            name = next(pages)
            made.append(ToolTurn("open_page", {"name": name}, _texts()[name], f"I open {name}."))
        else:
            word = next(words)
            told = _search(word)
            made.append(ToolTurn("search", {"query": word}, told, f"I look for {word!r}."))
    return made


def coding_trace(turns: int) -> list[ToolTurn]:
    """A coding agent's loop: folders, searches, files, edits and test logs, as such tools write.

    All of it is this package's own text; the outcomes of tests are made up.
    """
    kinds: Mapping[Callable[[Random, str], ToolTurn], int] = {
        _list: 5,
        _grep: 20,
        _read: 30,
        _edit: 20,
        _test: 20,
        _diff: 5,
    }
    made: list[ToolTurn] = []
    for n in range(turns):
        chance = Random(f"{_SEED}:{n}")  # noqa: S311 - made up, not secret
        (kind,) = chance.choices([*kinds], [*kinds.values()])
        made.append(kind(chance, _worked_on(n // _STAY)))
    return made


def _worked_on(n: int) -> str:
    """The n-th file that is worked on: a file that comes or goes changes few of them."""
    names = [name for name in _texts() if name.endswith(".py") and _long(name)]
    return max(names, key=lambda name: blake2b(f"{_SEED}:{n}:{name}".encode()).digest())


@cache
def _texts() -> Mapping[str, str]:
    """The package's text files by their paths in it."""
    found = sorted(path for path in _ROOT.rglob("*") if path.suffix in _KINDS)
    return {p.relative_to(_ROOT).as_posix(): p.read_text(encoding="utf-8") for p in found}


def _long(name: str) -> bool:
    return len(_texts()[name]) > 1_000


def _listing(folder: str) -> str:
    return "\n".join(
        f"{len(text):>7} agentcache/{name}"
        for name, text in _texts().items()
        if name.startswith(folder)
    )


def _list(_: Random, name: str) -> ToolTurn:
    folder = name.rpartition("/")[0]
    path = f"agentcache/{folder}"
    return ToolTurn("list_files", {"path": path}, _listing(folder), f"What is in {path}?")


def _grep(chance: Random, name: str) -> ToolTurn:
    word = chance.choice(_DEF.findall(_texts()[name]) or ["tokens"])
    hits = [
        f"agentcache/{path}:{n}:{line[:_WIDE]}"
        for path, text in _texts().items()
        if word in text
        for n, line in enumerate(text.split("\n"), 1)
        if word in line
    ]
    told = "\n".join(hits[:_MOST])
    more = f"\n({len(hits) - _MOST} more lines)" if len(hits) > _MOST else ""
    return ToolTurn("grep", {"pattern": word}, told + more, f"Who uses {word}?")


def _read(chance: Random, name: str) -> ToolTurn:
    rows = _numbered(_texts()[name])
    path = f"agentcache/{name}"
    if chance.random() < 0.5:
        return ToolTurn("read_file", {"path": path}, "\n".join(rows), f"I read {path}.")
    first = chance.randrange(max(1, len(rows) - 40))
    last = min(len(rows), first + chance.randrange(40, 120))
    lines = f"{first + 1}-{last}"
    return ToolTurn(
        "read_file",
        {"path": path, "lines": lines},
        "\n".join(rows[first:last]),
        f"I read lines {lines} of {path}.",
    )


def _numbered(text: str) -> list[str]:
    return [f"{n:>6}\t{line}" for n, line in enumerate(text.split("\n"), 1)]


def _change(chance: Random, name: str) -> tuple[int, list[str], list[str]]:
    """Some lines of a file, and what an edit makes of them."""
    rows = _texts()[name].split("\n")
    at = chance.randrange(max(1, len(rows) - 8))
    old = rows[at : at + chance.randrange(2, 8)]
    return at, old, [line.replace("self.", "self._") for line in old] + ["    return found"]


def _edit(chance: Random, name: str) -> ToolTurn:
    at, old, new = _change(chance, name)
    rows = _texts()[name].split("\n")
    made = [*rows[:at], *new, *rows[at + len(old) :]]
    shown = _numbered("\n".join(made))[max(0, at - 4) : at + len(new) + 4]
    path = f"agentcache/{name}"
    return ToolTurn(
        "edit_file",
        {"path": path, "old": "\n".join(old), "new": "\n".join(new)},
        f"The file {path} has been edited. The lines around it:\n" + "\n".join(shown),
        f"I change {path} at line {at + 1}.",
    )


def _diff(chance: Random, name: str) -> ToolTurn:
    rows = _texts()[name].split("\n")
    made = list(rows)
    for _ in range(3):
        at, old, new = _change(chance, name)
        made[at : at + len(old)] = new
    path = f"agentcache/{name}"
    told = "\n".join(unified_diff(rows, made, f"a/{path}", f"b/{path}", lineterm=""))
    return ToolTurn("diff", {"path": path}, told, "What did I change?")


def _test(chance: Random, name: str) -> ToolTurn:
    folder = name.rpartition("/")[0]
    alone = chance.random() < 0.6
    near = [name] if alone else [n for n in _texts() if n.rpartition("/")[0] == folder]
    every = [case for n in near for case in _cases(n)]
    fails = chance.choice(every) if every and chance.random() < 0.4 else ""
    quiet = chance.random() < 0.5
    told = _dots(every, fails) if quiet else _log(every, fails)
    told += _failure(name, fails) if fails else ""
    counts = f"{len(every) - bool(fails)} passed in {len(every) * 0.013:.2f}s"
    options = "-q" if quiet else "-v"
    return ToolTurn(
        "run_tests",
        {"paths": "tests", "options": options},
        f"{told}\n{'1 failed, ' if fails else ''}{counts}",
        "I run the tests.",
    )


def _cases(name: str) -> list[str]:
    stem = name.rpartition("/")[2].partition(".")[0]
    return [
        f"tests/test_{stem}.py::test_{each.strip('_')}" for each in _DEF.findall(_texts()[name])
    ]


def _dots(every: Sequence[str], fails: str) -> str:
    dots = "".join("F" if each == fails else "." for each in every)
    return "\n".join(dots[at : at + 72] for at in range(0, len(dots), 72))


def _log(every: Sequence[str], fails: str) -> str:
    rows = (
        f"{each} {'FAILED' if each == fails else 'PASSED'} [{100 * n // len(every):>3}%]"
        for n, each in enumerate(every, 1)
    )
    return "\n".join(rows)


def _failure(name: str, case: str) -> str:
    rows = _texts()[name].split("\n")
    body = "\n".join(f"    {line}" for line in rows[len(rows) // 2 : len(rows) // 2 + 25])
    at = f"agentcache/{name}:{len(rows) // 2 + 25}"
    return f"\n___ {case} ___\n{body}\nE   AssertionError: assert 4096 == 0\n{at}: AssertionError"


def _search(word: str) -> str:
    found = [
        f"{name}, line {n + 1}\n" + "\n".join(line[:240] for line in rows[max(0, n - 1) : n + 3])
        for name, rows in ((name, text.split("\n")) for name, text in _texts().items())
        for n in range(len(rows))
        if word in rows[n]
    ]
    return "\n\n".join(found[:_HITS])
