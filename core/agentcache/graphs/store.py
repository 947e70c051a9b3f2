"""What a run has paid for, kept: the results of its tasks, and the answers to their calls."""

import hashlib
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

from agentcache.asking.functions import as_text
from agentcache.blocks import dumps
from agentcache.dialects import Json
from agentcache.errors import OptionError
from agentcache.graphs.tasks import AnySession, Task
from agentcache.ledger import made_for_owner

__all__ = ["Journal", "RunStore", "digest_of", "keys_of"]

_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, name TEXT, value TEXT, seconds REAL, usage TEXT, at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    key TEXT, try INTEGER, n INTEGER, request TEXT, answer TEXT,
    PRIMARY KEY (key, try, request, n)
) WITHOUT ROWID;
"""


class RunStore:
    """A file of results and answers, in SQLite: a run that was killed goes on where it was.

    A result belongs to a task with these very words, tools, role and session, behind tasks with
    theirs. Its content is readable: keep the file as you keep the prompts.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        """Open or make a file; raises OptionError for one that is something else."""
        self.path = Path(path)
        self._lock = threading.RLock()
        db: sqlite3.Connection | None = None
        try:
            if not self.path.exists():
                os.close(made_for_owner(str(self.path), os.O_CREAT | os.O_RDWR))
            db = sqlite3.connect(self.path, check_same_thread=False, timeout=30)
            _prepare(db, self.path)
        except (sqlite3.Error, OSError, OptionError) as error:
            if db is not None:
                db.close()
            if isinstance(error, OptionError):
                raise
            raise OptionError(f"store={str(self.path)!r} cannot be opened: {error}.") from error
        self._db = db

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def result(self, key: str) -> tuple[str, float] | None:
        """A task's value as JSON, and the seconds it took; None if it has not finished."""
        with self._lock:
            asked = "SELECT value, seconds FROM results WHERE key = ?"
            found = self._db.execute(asked, (key,)).fetchone()
        return None if found is None else (str(found[0]), float(found[1]))

    def finish(self, key: str, name: str, value: str, seconds: float, usage: Json) -> None:
        """Keep a task's value as JSON."""
        row = (key, name, value, seconds, dumps(usage), time.time())
        with self._lock, self._db:
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?)", row)

    def answer(self, key: str, attempt: int, n: int, request: str) -> Json | None:
        """The answer to a task's call; None if it was not made, or asked something else."""
        asked = "SELECT answer FROM calls WHERE key = ? AND try = ? AND n = ? AND request = ?"
        with self._lock:
            found = self._db.execute(asked, (key, attempt, n, request)).fetchone()
        return None if found is None else json.loads(found[0])

    def answers(self, keys: Collection[str]) -> list[tuple[str, int, int, str, str]]:
        """All that was kept of tasks: key, try, number, request, and the answer as JSON."""
        with self._lock:
            rows = self._db.execute("SELECT key, try, n, request, answer FROM calls").fetchall()
        return [row for row in rows if row[0] in keys]

    def keep(self, key: str, attempt: int, n: int, request: str, answer: Json) -> None:
        """Keep the answer to a task's call."""
        with self._lock, self._db:
            row = (key, attempt, n, request, dumps(answer))
            self._db.execute("INSERT OR REPLACE INTO calls VALUES (?,?,?,?,?)", row)

    def seconds(self, names: Sequence[str]) -> dict[str, float]:
        """How long tasks of these names took last."""
        asked = "SELECT name, seconds FROM results ORDER BY at"
        wanted = set(names)
        with self._lock:
            found = self._db.execute(asked).fetchall()
        return {name: seconds for name, seconds in found if name in wanted}


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, if it is a file of ours or a new one."""
    db.execute("PRAGMA journal_mode=WAL")
    # A killed process loses nothing; only a machine that loses power may lose the latest.
    db.execute("PRAGMA synchronous=NORMAL")
    held = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if held != _VERSION and (held or tables):
        raise OptionError(f"{path} is a database of something else. Name another file.")
    db.executescript(_TABLES)
    db.execute(f"PRAGMA user_version={_VERSION}")


class Journal:
    """The calls of one try of one task, in order, in a store."""

    def __init__(self, store: Any, key: str, attempt: int) -> None:
        """Begin with the first call; `store` has `answer` and `keep`."""
        self._store, self._key, self._attempt = store, key, attempt
        self._n: dict[str, int] = {}

    def find(self, request: Json) -> tuple[Json | None, tuple[int, str]]:
        """The answer to the next call of this kind, if it was made before, and its place.

        The same request may come again, also at the same time: they are told apart by number.
        """
        digest = digest_of(dumps(request))
        n = self._n[digest] = self._n.get(digest, -1) + 1
        return self._store.answer(self._key, self._attempt, n, digest), (n, digest)

    def keep(self, place: tuple[int, str], answer: Json) -> None:
        """Keep an answer."""
        n, digest = place
        self._store.keep(self._key, self._attempt, n, digest, answer)


def digest_of(*texts: str) -> str:
    """A digest of texts."""
    told = "\x1f".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).hexdigest()


def keys_of(ordered: Sequence[Task], inputs: Mapping[str, Any]) -> dict[str, str]:
    """For each task a digest of all that its result follows from."""
    given = {name: digest_of("input", as_text(value)) for name, value in inputs.items()}
    keys: dict[str, str] = {}
    for task in ordered:
        before = [*task.needs, *task.after]
        behind = [f"{name}={keys.get(name) or given.get(name, '')}" for name in before]
        keys[task.name] = digest_of(task.name, _words(task), *behind)
    return keys


def _words(task: Task) -> str:
    """All that a task's own result follows from, besides the values it is given."""
    held = [task.prompt, task.role, _named(task.tools), _schema(task.output)]
    held += [_code(task.function), _agent(task), _asked(task.session)]
    return dumps([*held, task.version] if task.version else held)


def _named(tools: Sequence[Any] | None) -> Any:
    return None if tools is None else [t if isinstance(t, str) else _code(t) for t in tools]


def _schema(output: type[Any] | None) -> str | None:
    return None if output is None else f"{output.__module__}.{output.__qualname__}"


def _asked(session: AnySession | None) -> Any:
    if session is None:
        return None
    return [session.parent.affinity_id, session.params, session.max_turns]


def _agent(task: Task) -> str | None:
    """An agent is known by its task's version; without one it is another one each time.

    What an agent is told is not in its runner's code: a changed one must not read old results.
    """
    return None if task.runs is None or task.version else uuid.uuid4().hex


def _code(function: Any) -> Any:
    """A function by its name and its code, so that a changed one is run again."""
    if function is None:
        return None
    held = getattr(function, "__wrapped__", function)
    held = getattr(held, "func", held)  # functools.partial
    code = getattr(held, "__code__", None)
    name = f"{getattr(held, '__module__', '')}.{getattr(held, '__qualname__', type(held).__name__)}"
    told = "" if code is None else digest_of(code.co_code.hex(), _constants(code.co_consts))
    return [name, told]


def _constants(consts: tuple[Any, ...]) -> str:
    """Constants of code; those that are code are told by their own."""
    return repr(
        [(c.co_code.hex(), _constants(c.co_consts)) if hasattr(c, "co_code") else c for c in consts]
    )
