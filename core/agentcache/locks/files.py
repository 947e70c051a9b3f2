"""Lock files: TOML, one line for each block, sorted by program; read back without a TOML reader.

Python 3.10 has none. What is read is only what is written here.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agentcache.errors import OptionError
from agentcache.locks.changes import changes
from agentcache.locks.fingerprints import Piece, Shared

__all__ = ["LockFile", "Program"]

_HEAD: Final = """\
# Fingerprints of the prefixes that agents share. Made by agentcache: commit it, do not edit it.
version = 1
"""
_PAIR: Final = re.compile(r'(\w+) = ("(?:[^"\\]|\\.)*"|\d+|true|false)')
_BLOCK: Final = re.compile(rf"  \{{ ({_PAIR.pattern}(?:, {_PAIR.pattern})*) \}},")


@dataclass(frozen=True, slots=True)
class Program:
    """A program under lock: its name, where it comes from, and what its agents share.

    `texts` says that the file holds the first words of its texts.
    """

    name: str
    source: str
    shared: tuple[Shared, ...]
    texts: bool = False

    def __str__(self) -> str:
        """Its part of a lock file."""
        return "\n".join(line for shared in self.shared for line in self._lines(shared))

    def _lines(self, shared: Shared) -> list[str]:
        fields: dict[str, Any] = {"program": self.name, "from": self.source}
        fields |= {"model": shared.model, "rule": shared.rule, "tokens": shared.tokens}
        fields |= {"chained": True} if shared.chained else {}
        blocks = [
            {"section": p.section, "path": p.path, "digest": p.digest, "tokens": p.tokens}
            | ({"text": p.text} if self.texts else {})
            for p in shared.pieces
        ]
        return [
            "",
            "[[shared]]",
            *(_pair(key, value) for key, value in fields.items()),
            "blocks = [",
            *(f"  {{ {', '.join(_pair(k, v) for k, v in block.items())} }}," for block in blocks),
            "]",
        ]


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock file and the programs in it."""

    path: Path
    programs: Mapping[str, Program]

    @classmethod
    def read(cls, path: Path) -> "LockFile":
        """Read a lock file; one that does not exist holds nothing.

        Raises OptionError, with the number of the line, for what is no lock file.
        """
        if not path.exists():
            return cls(path, {})
        text = path.read_text(encoding="utf-8")
        return cls(path, {p.name: p for p in _programs(text, str(path))})

    @classmethod
    def update(cls, path: Path, programs: Iterable[str]) -> None:
        """Put programs, each as its part of a lock file, into the file; others stay."""
        lock = cls.read(path)
        for text in programs:
            for program in _programs(text, "a program"):
                lock = lock.having(program)
        lock.write()

    def having(self, program: Program) -> "LockFile":
        """The file with this program in it."""
        return replace(self, programs={**self.programs, program.name: program})

    def write(self) -> None:
        """Write the file, all at once."""
        parts = [str(self.programs[name]) for name in sorted(self.programs)]
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        beside.write_text(
            "\n".join([_HEAD.rstrip("\n"), *parts, ""]), encoding="utf-8", newline="\n"
        )
        beside.replace(self.path)

    def differences(self, program: Program) -> tuple[str, ...]:
        """What differs from this program as it was locked, in lines."""
        locked = self.programs.get(program.name)
        if locked is None:
            return ("added    it is not in the lock file",)
        return changes(locked.shared, program.shared)


def _pair(key: str, value: object) -> str:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return f"{key} = {text}".replace("\x7f", "\\u007f")  # the one that TOML wants escaped too


def _programs(text: str, where: str) -> list[Program]:
    found: dict[str, Program] = {}
    for start, lines in _tables(text, where):
        name, source, shared = _shared(lines, start, where)
        known = found.get(name) or Program(name, source, ())
        texts = known.texts or any(piece.text for piece in shared.pieces)
        found[name] = replace(known, shared=(*known.shared, shared), texts=texts)
    return list(found.values())


def _tables(text: str, where: str) -> list[tuple[int, list[str]]]:
    """The tables of a file, each with the number of its first line."""
    out: list[tuple[int, list[str]]] = []
    for n, line in enumerate(text.split("\n"), 1):
        if line == "[[shared]]":
            out.append((n + 1, []))
        elif line and not out:
            if line not in _HEAD.splitlines():
                raise _wrong(where, n, line)
        elif line:
            out[-1][1].append(line)
        elif out:
            out[-1][1].append("")
    return out


def _shared(lines: list[str], start: int, where: str) -> tuple[str, str, Shared]:
    fields: dict[str, Any] = {}
    pieces: list[Piece] = []
    for n, line in enumerate(lines, start):
        pair, block = _PAIR.fullmatch(line), _BLOCK.fullmatch(line)
        try:
            if block is not None:
                pieces.append(Piece(**_fields(block[1])))
            elif pair is not None:
                fields |= _fields(line)
            elif line not in ("", "blocks = [", "]"):
                raise _wrong(where, n, line)
        except TypeError:
            raise _wrong(where, n, line) from None
    try:
        shared = Shared(fields["model"], fields["rule"], tuple(pieces), "chained" in fields)
        return fields["program"], fields["from"], shared
    except KeyError as missing:
        raise _wrong(where, start, f"a table without {missing}") from None


def _fields(text: str) -> dict[str, Any]:
    return {pair[1]: json.loads(pair[2]) for pair in _PAIR.finditer(text)}


def _wrong(where: str, number: int, line: str) -> OptionError:
    return OptionError(
        f"{where}, line {number}, is not of a lock file: {line!r:.80}. Take it out, or delete the "
        "file and lock anew."
    )
