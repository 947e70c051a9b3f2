"""Where the originals are kept: by what they say, in memory or in an SQLite file."""

import importlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Protocol

from agentcache.compaction.decisions import Decision, read, written
from agentcache.compaction.files import OwnFile, at_once
from agentcache.errors import MissingExtraError, OptionError

__all__ = ["ContentStore", "MemoryStore", "SqliteStore"]

_CAP: Final = 1_000_000_000
_PUT: Final = """
INSERT INTO contents (id, packed, size, used)
VALUES (?, ?, ?, (SELECT COALESCE(MAX(used), 0) + 1 FROM contents))
ON CONFLICT (id) DO UPDATE SET packed = excluded.packed, size = excluded.size, used = excluded.used
"""
_USE: Final = """
UPDATE contents SET used = (SELECT MAX(used) + 1 FROM contents)
WHERE id = ? AND used < (SELECT MAX(used) FROM contents)
"""
_DECIDE: Final = "INSERT OR IGNORE INTO decisions VALUES (?, ?)"
_DECIDED: Final = "SELECT name, told FROM decisions WHERE name IN (SELECT value FROM json_each(?))"
_LEVEL: Final = 1
_PLAIN: Final = b"plain"


class ContentStore(Protocol):
    """Keeps contents by their ids, byte for byte, and what was decided about tool results.

    What a cap drops are contents, the longest unused first; decisions stay.
    """

    def put(
        self, contents: Mapping[str, str], decisions: Iterable[Decision] = ()
    ) -> Mapping[str, Decision]:
        """Keep contents by their ids and decisions by their names, all or none.

        Returns the decisions that hold: one made earlier under the same name wins.
        """
        ...

    def decided(self, names: Sequence[str]) -> Mapping[str, Decision]:
        """What was decided under these names, as far as anything was."""
        ...

    def get(self, content_id: str) -> str | None:
        """The content; None if there is none, or it was dropped."""
        ...


class MemoryStore:
    """Keeps contents for as long as the process lives, packed; up to `cap` bytes."""

    def __init__(self, cap: int = _CAP) -> None:
        """Hold nothing yet."""
        self._cap, self._size = _checked(cap), 0
        self._held: dict[str, bytes] = {}
        self._decided: dict[str, Decision] = {}
        self._lock = threading.Lock()

    def put(
        self, contents: Mapping[str, str], decisions: Iterable[Decision] = ()
    ) -> Mapping[str, Decision]:
        """Keep contents by their ids; of the others, those used longest ago make room."""
        packed = {name: _packed(text) for name, text in contents.items()}
        with self._lock:
            held = {d.name: self._decided.setdefault(d.name, d) for d in decisions}
            for name, blob in packed.items():
                self._size += len(blob) - len(self._held.pop(name, b""))
                self._held[name] = blob
            while self._size > self._cap and len(self._held) > len(packed):  # the new: at the end
                self._size -= len(self._held.pop(next(iter(self._held))))
        return held

    def decided(self, names: Sequence[str]) -> Mapping[str, Decision]:
        """What was decided under these names."""
        with self._lock:
            return {name: self._decided[name] for name in names if name in self._decided}

    def get(self, content_id: str) -> str | None:
        """The content, byte for byte; None if it is not there any more."""
        with self._lock:
            blob = self._held.pop(content_id, None)
            if blob is not None:
                self._held[content_id] = blob
        return None if blob is None else _unpacked(blob)

    @property
    def size(self) -> int:
        """Bytes that are kept, packed."""
        return self._size

    def __len__(self) -> int:
        """How many contents there are."""
        return len(self._held)


class SqliteStore:
    """Keeps contents in a file, which only its owner may read; several processes may share it.

    Packed, up to `cap` bytes: then what was used longest ago is dropped. A write that is cut short
    by a crash leaves all that was there before it. With a `key` (`Fernet.generate_key()` of the
    package cryptography) contents are encrypted; their ids tell nobody more than that two are
    equal.
    """

    def __init__(
        self, path: str | PathLike[str], cap: int = _CAP, *, key: str | bytes | None = None
    ) -> None:
        """Open or make the file.

        Raises:
            OptionError: no file can stand there, another one does, or `key` is not its key.
            MissingExtraError: a `key` is given, and cryptography is not installed.

        """
        self.path = Path(path).absolute()
        self._cap = _checked(cap)
        self._fernet = None if key is None else _fernet(key)
        self._file = OwnFile(self.path, self._seal, self._check)

    def _seal(self) -> bytes:
        return _PLAIN if self._fernet is None else bytes(self._fernet.encrypt(_PLAIN))

    def _check(self, told: bytes) -> None:
        """Refuse a file that was not written with this key."""
        if self._fernet is None and told == _PLAIN:
            return
        if self._fernet is None:
            raise OptionError(f"{str(self.path)!r} is encrypted: pass key=.")
        if told == _PLAIN:
            raise OptionError(f"{str(self.path)!r} is not encrypted: drop key=.")
        try:
            self._fernet.decrypt(told)
        except Exception as error:
            if type(error).__name__ != "InvalidToken":  # of cryptography
                raise
            raise OptionError(
                f"{str(self.path)!r} was written with another key. Pass that one as key=."
            ) from error

    def put(
        self, contents: Mapping[str, str], decisions: Iterable[Decision] = ()
    ) -> Mapping[str, Decision]:
        """Keep contents by their ids and decisions by their names, in one transaction."""
        made = {d.name: self._packed(written(d)) for d in decisions}
        packed = {name: self._packed(text) for name, text in contents.items()}
        if not packed and not made:
            return {}
        with self._file.line() as line, line:
            line.execute("BEGIN IMMEDIATE")
            line.executemany(_PUT, ((name, blob, len(blob)) for name, blob in packed.items()))
            line.executemany(_DECIDE, made.items())
            self._drop(line, packed)
        return self.decided([*made])

    def decided(self, names: Sequence[str]) -> Mapping[str, Decision]:
        """What was decided under these names."""
        if not names:
            return {}
        rows = self._file.rows(_DECIDED, json.dumps(list(names)))
        return {name: read(self._unpacked(told)) for name, told in rows}

    def _packed(self, text: str) -> bytes:
        blob = _packed(text)
        return blob if self._fernet is None else bytes(self._fernet.encrypt(blob))

    def _unpacked(self, blob: bytes) -> str:
        try:
            return _unpacked(blob if self._fernet is None else self._fernet.decrypt(blob))
        except Exception as error:
            if type(error).__name__ not in ("error", "InvalidToken"):  # of zlib, of cryptography
                raise
            raise OptionError(f"{str(self.path)!r} is damaged: not all can be read.") from error

    def _drop(self, line: sqlite3.Connection, new: Collection[str]) -> None:
        """Make room, the oldest first; what is new stays, even where it is more than the cap."""
        ((size,),) = line.execute("SELECT size FROM totals").fetchall()
        if size <= self._cap:
            return
        gone: list[tuple[str]] = []
        oldest = line.execute("SELECT id, size FROM contents ORDER BY used")
        for name, one in oldest:  # read only as far as it takes
            if size <= self._cap:
                break
            if name not in new:
                gone.append((name,))
                size -= one
        oldest.close()
        line.executemany("DELETE FROM contents WHERE id = ?", gone)

    def get(self, content_id: str) -> str | None:
        """The content, byte for byte; None if it is not there any more."""
        with self._file.line() as line:
            rows = line.execute("SELECT packed FROM contents WHERE id = ?", (content_id,))
            found = rows.fetchall()
            if found:
                with at_once(line):
                    line.execute(_USE, (content_id,))
        return self._unpacked(found[0][0]) if found else None

    def __len__(self) -> int:
        """How many contents there are."""
        ((count,),) = self._file.rows("SELECT COUNT(*) FROM contents")
        return int(count)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()


def _checked(cap: int) -> int:
    if not isinstance(cap, int) or isinstance(cap, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"cap={cap!r:.60} is no whole number of bytes.")
    if cap <= 0:
        raise OptionError(f"cap={cap} leaves no room for anything.")
    return cap


def _fernet(key: str | bytes) -> Any:
    try:
        fernet = importlib.import_module("cryptography.fernet")
    except ImportError as error:
        raise MissingExtraError("encryption", "cryptography") from error
    try:
        return fernet.Fernet(key)
    except (ValueError, TypeError) as error:
        why = str(error).rstrip(".")
        raise OptionError(f"key= is no key of cryptography.fernet: {why}.") from error


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"), _LEVEL)


def _unpacked(blob: bytes) -> str:
    return zlib.decompress(blob).decode("utf-8", "surrogatepass")
