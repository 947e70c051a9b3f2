"""Where the originals are kept: by what they say, in memory or in an SQLite file."""

import importlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Protocol

from agentcache.compaction.decisions import Decision, read, written
from agentcache.errors import MissingExtraError, OptionError

__all__ = ["ContentStore", "MemoryStore", "SqliteStore"]

_CAP: Final = 1_000_000_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS contents (
    id TEXT PRIMARY KEY, packed BLOB NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS oldest ON contents (used);
CREATE TABLE IF NOT EXISTS decisions (name TEXT PRIMARY KEY, told BLOB NOT NULL) WITHOUT ROWID;
"""
_PUT: Final = """
INSERT OR REPLACE INTO contents
VALUES (?, ?, ?, (SELECT COALESCE(MAX(used), 0) + 1 FROM contents))
"""
_USE: Final = """
UPDATE contents SET used = (SELECT MAX(used) + 1 FROM contents) WHERE id = ?
"""
_DECIDE: Final = "INSERT OR IGNORE INTO decisions VALUES (?, ?)"
_DECIDED: Final = "SELECT name, told FROM decisions WHERE name IN (SELECT value FROM json_each(?))"
_LEVEL: Final = 1
_PATIENCE_S: Final = 30.0
_AGAIN_S: Final = 0.02


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
        """Keep contents by their ids; those used longest ago make room."""
        packed = {name: _packed(text) for name, text in contents.items()}
        with self._lock:
            held = {d.name: self._decided.setdefault(d.name, d) for d in decisions}
            for name, blob in packed.items():
                self._size += len(blob) - len(self._held.pop(name, b""))
                self._held[name] = blob
            while self._size > self._cap and len(self._held) > 1:
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
            OptionError: no file can stand there, another one does, or `key` is none.
            MissingExtraError: a `key` is given, and cryptography is not installed.

        """
        self.path = Path(path).absolute()
        self._cap = _checked(cap)
        self._fernet = None if key is None else _fernet(key)
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            with self._connection() as line:
                line.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise OptionError(f"{str(self.path)!r} cannot be a store: {error}.") from error

    def _connection(self) -> sqlite3.Connection:
        line: sqlite3.Connection | None = getattr(self._local, "line", None)
        if line is None:
            line = sqlite3.connect(self.path, timeout=_PATIENCE_S, check_same_thread=False)
            self._local.line = line
            with self._lock:
                self._opened.append(line)
            _set_up(line)
        return line

    def put(
        self, contents: Mapping[str, str], decisions: Iterable[Decision] = ()
    ) -> Mapping[str, Decision]:
        """Keep contents by their ids and decisions by their names, in one transaction."""
        made = {d.name: self._packed(written(d)) for d in decisions}
        packed = {name: self._packed(text) for name, text in contents.items()}
        if not packed and not made:
            return {}
        line = self._connection()
        with line:
            line.execute("BEGIN IMMEDIATE")
            for name, blob in packed.items():
                line.execute(_PUT, (name, blob, len(blob)))
            line.executemany(_DECIDE, made.items())
            self._drop(line, packed)
        return self.decided([*made])

    def decided(self, names: Sequence[str]) -> Mapping[str, Decision]:
        """What was decided under these names."""
        if not names:
            return {}
        rows = self._connection().execute(_DECIDED, (json.dumps(list(names)),)).fetchall()
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
            raise OptionError(f"{str(self.path)!r} was written with another key.") from error

    def _drop(self, line: sqlite3.Connection, new: Iterable[str]) -> None:
        keep = set(new)
        (size,) = line.execute("SELECT COALESCE(SUM(size), 0) FROM contents").fetchone()
        for name, one in line.execute("SELECT id, size FROM contents ORDER BY used").fetchall():
            if size <= self._cap:
                return
            if name not in keep:
                line.execute("DELETE FROM contents WHERE id = ?", (name,))
                size -= one

    def get(self, content_id: str) -> str | None:
        """The content, byte for byte; None if it is not there any more."""
        line = self._connection()
        row = line.execute("SELECT packed FROM contents WHERE id = ?", (content_id,)).fetchone()
        if row is None:
            return None
        with line:
            line.execute(_USE, (content_id,))
        return self._unpacked(row[0])

    def __len__(self) -> int:
        """How many contents there are."""
        (count,) = self._connection().execute("SELECT COUNT(*) FROM contents").fetchone()
        return int(count)

    def close(self) -> None:
        """Close all connections; the store may be opened again."""
        with self._lock:
            lines, self._opened = self._opened, []
        self._local = threading.local()
        for line in lines:
            line.close()


def _set_up(line: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself while another process does so."""
    until_s = time.monotonic() + _PATIENCE_S
    while not _is_set_up(line):
        if time.monotonic() > until_s:
            raise sqlite3.OperationalError("database is locked")
        time.sleep(_AGAIN_S)


def _is_set_up(line: sqlite3.Connection) -> bool:
    try:
        line.execute("PRAGMA journal_mode=WAL")
        line.execute("PRAGMA synchronous=FULL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return True


def _checked(cap: int) -> int:
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
    except ValueError as error:
        raise OptionError(f"key= is no key of cryptography.fernet: {error}.") from error


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"), _LEVEL)


def _unpacked(blob: bytes) -> str:
    return zlib.decompress(blob).decode("utf-8", "surrogatepass")
