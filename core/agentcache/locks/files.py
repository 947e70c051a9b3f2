"""Lock files: TOML, one line for each block, sorted by program; read back without a TOML reader.

Python 3.10 has none. What is read is only what is written here.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
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
_TYPES: Final = {"tokens": int, "chained": bool}
"""What is no text."""
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

        Raises OptionError for what cannot be read or, with the number of the line, is no lock file.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(path, {})
        except OSError as error:
            raise OptionError(f"{path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise OptionError(f"{path} is no lock file, for it is not text in UTF-8.") from error
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
        """Write the file, all at once.

        Raises OptionError where it cannot be written; then it stays as it was.
        """
        parts = [str(self.programs[name]) for name in sorted(self.programs)]
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        text = "\n".join([_HEAD.rstrip("\n"), *parts, ""])
        try:
            beside.write_text(text, encoding="utf-8", newline="\n")
            beside.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise OptionError(f"{self.path} cannot be written: {error.strerror}.") from error

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
        except (TypeError, ValueError):
            raise _wrong(where, n, line) from None
    try:
        shared = Shared(fields["model"], fields["rule"], tuple(pieces), "chained" in fields)
        return fields["program"], fields["from"], shared
    except KeyError as missing:
        raise _wrong(where, start, f"a table without {missing}") from None


def _fields(text: str) -> dict[str, Any]:
    """Raises TypeError or ValueError for what is not written here."""
    found = {pair[1]: json.loads(pair[2]) for pair in _PAIR.finditer(text)}
    if any(type(value) is not _TYPES.get(key, str) for key, value in found.items()):
        raise TypeError(text)
    return found


def _wrong(where: str, number: int, line: str) -> OptionError:
    return OptionError(
        f"{where}, line {number}, is not of a lock file: {line!r:.80}. Take it out, or delete the "
        "file and lock anew."
    )
