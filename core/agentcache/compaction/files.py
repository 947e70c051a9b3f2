"""An SQLite file of our own: opened with care, and shared by threads, processes and forks."""

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from agentcache.errors import OptionError

__all__ = ["OwnFile", "at_once"]

_OURS: Final = {"contents", "decisions", "totals", "meta"}
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS contents (
    id TEXT PRIMARY KEY, size INTEGER NOT NULL, used INTEGER NOT NULL, packed BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS oldest ON contents (used, size, id)",
    "CREATE TABLE IF NOT EXISTS decisions (name TEXT PRIMARY KEY, told BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, told BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS totals (size INTEGER NOT NULL)",
    "INSERT INTO totals SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM totals)",
    """CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON contents
    BEGIN UPDATE totals SET size = size + NEW.size; END""",
    """CREATE TRIGGER IF NOT EXISTS dropped AFTER DELETE ON contents
    BEGIN UPDATE totals SET size = size - OLD.size; END""",
    """CREATE TRIGGER IF NOT EXISTS replaced AFTER UPDATE OF size ON contents
    BEGIN UPDATE totals SET size = size + NEW.size - OLD.size; END""",
)
_OPENING_S: Final = 30.0
_PATIENCE_S: Final = 5.0
_AGAIN_S: Final = 0.02


class OwnFile:
    """One connection to the file, for one thread at a time; closed around a fork of the process.

    A connection cannot be taken through a fork: parent and child would not see each other's locks.
    `seal` makes the word by which the key of what is kept is known again, `check` reads it.
    """

    def __init__(
        self, path: Path, seal: Callable[[], bytes], check: Callable[[bytes], None]
    ) -> None:
        """Open or make the file.

        Raises:
            OptionError: no file can stand there, another one does, or `check` refuses its seal.

        """
        self.path = path
        self.lock = threading.Lock()
        self._seal, self._check = seal, check
        self._line: sqlite3.Connection | None = None
        _FILES.add(self)
        with self.line():
            pass

    @contextmanager
    def line(self) -> Generator[sqlite3.Connection, None, None]:
        """The connection, for as long as the block runs."""
        with self.lock:
            if self._line is None:
                self._line = self._opened()
            yield self._line

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """What a question is answered with."""
        with self.line() as line:
            return line.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self.lock:
            self.let_go()

    def let_go(self) -> None:
        """Close the connection, by who holds the lock."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _opened(self) -> sqlite3.Connection:
        line = None
        try:
            _make(self.path)
            line = sqlite3.connect(
                self.path, timeout=_OPENING_S, isolation_level=None, check_same_thread=False
            )
            self._prepare(line)
        except (OSError, sqlite3.Error, OptionError) as error:
            if line is not None:
                line.close()
            if isinstance(error, OptionError):
                raise
            raise OptionError(f"{str(self.path)!r} cannot be a store: {error}.") from error
        return line

    def _prepare(self, line: sqlite3.Connection) -> None:
        """Look first: a file that is not ours stays as it is."""
        tables = {name for (name,) in line.execute(_TABLES).fetchall()}
        if tables and tables != _OURS:
            raise OptionError(
                f"{str(self.path)!r} cannot be a store: it is another database, with the tables "
                f"{', '.join(sorted(tables)):.100}. Choose a path of its own."
            )
        _narrow(self.path)
        _set_up(line)
        if not tables:
            with line:
                line.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    line.execute(statement)
                line.execute("INSERT OR IGNORE INTO meta VALUES ('key', ?)", (self._seal(),))
        ((told,),) = line.execute("SELECT told FROM meta WHERE name = 'key'").fetchall()
        self._check(told)
        _wait(line, _PATIENCE_S)


def _wait(line: sqlite3.Connection, patience_s: float) -> None:
    """Say how long to wait for another process that writes."""
    line.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")


@contextmanager
def at_once(line: sqlite3.Connection) -> Generator[None, None, None]:
    """Try something that may as well not be done: without waiting, and without an error."""
    with suppress(sqlite3.Error):
        try:
            _wait(line, 0)
            yield
        finally:
            _wait(line, _PATIENCE_S)


def _make(path: Path) -> None:
    # A file that is there is not opened here: closing it would drop the locks that SQLite has.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _narrow(path: Path) -> None:
    """Leave the file to its owner alone, and what SQLite keeps beside it."""
    if os.name != "posix":
        return
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


def _set_up(line: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself while another process does so."""
    until_s = time.monotonic() + _OPENING_S
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


_FILES: Final[WeakSet[OwnFile]] = WeakSet()
_FORKING: Final = threading.Lock()
_waiting: list[OwnFile] = []


def _before_fork() -> None:
    _FORKING.acquire()
    _waiting.extend(_FILES)
    for each in _waiting:
        each.lock.acquire()
        with suppress(sqlite3.Error):
            each.let_go()


def _after_fork() -> None:
    for each in _waiting:
        each.lock.release()
    _waiting.clear()
    _FORKING.release()


if sys.platform != "win32":
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
