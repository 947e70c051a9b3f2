"""What a decision of compaction costs, as a conversation grows to 10,000 results of 100 kB."""

import statistics
import time
from typing import Any

from rows import Row

from agentcache.compaction import Compaction, Compactor, MemoryStore, SqliteStore, recall_tool
from agentcache.dialects import dialect
from agentcache.rules import rule_for

__all__ = ["deciding"]

_RESULTS = 10_000
_SIZE = 100_000
_CAP = 100_000_000
_SOME = 200
"""Calls at the beginning and at the end whose median is taken."""


def deciding() -> list[Row]:
    """Milliseconds of a decision: a call that brings a result, and one that brings a small one.

    The store is not counted but for its memory: what it keeps is packed, up to its cap.
    """
    line = "".join(f"src/part_{n:03}.py:{n}: def function_{n}(self) -> None:\n" for n in range(99))
    text = (line * (_SIZE // len(line) + 1))[:_SIZE]
    store = MemoryStore(cap=_CAP)
    live = _Live(store)
    big, small = [], []
    for n in range(_RESULTS):
        big.append(live.call(f"{n}\n{text}"))
        if n % 50 == 0:
            small.append(live.call("exit 0"))
    first, last = (statistics.median(each) for each in (big[:_SOME], big[-_SOME:]))
    few, many = (statistics.median(each) for each in (small[:40], small[-40:]))
    at = f"at {_RESULTS:,} results"
    return [
        Row(f"decision, 100 kB came, {at}", last, "ms", "at the first 200", first, 1.0, "value"),
        Row(f"decision, little came, {at}", many, "ms", "at the first 2,000", few, 1.0, "value"),
        Row(
            f"store of {_RESULTS:,} results",
            store.size / 1e6,
            "MB",
            "its cap",
            _CAP / 1e6,
            1.000001,
            "ratio",
        ),
        *_kept(text),
    ]


class _Live:
    """A tool loop that a Compactor shrinks, timed without its store."""

    def __init__(self, store: MemoryStore) -> None:
        wire, rule = dialect("openai.chat"), rule_for("gpt-6-luna")
        self._store = _Timed(store)
        self._compactor = Compactor(Compaction(), self._store, wire, rule)
        self._rows: list[dict[str, Any]] = [{"role": "user", "content": "Go on."}]
        self._tools = [recall_tool("openai.chat")]

    def call(self, result: str) -> float:
        """Milliseconds until the request that brings this result is decided."""
        name = f"call_{len(self._rows)}"
        inner = {"name": "read_file", "arguments": "{}"}
        call = {"id": name, "type": "function", "function": inner}
        self._rows.append({"role": "assistant", "content": None, "tool_calls": [call]})
        self._rows.append({"role": "tool", "tool_call_id": name, "content": result})
        body = {"model": "gpt-6-luna", "messages": list(self._rows), "tools": self._tools}
        self._store.taken_s = 0.0
        start = time.perf_counter()
        self._compactor(body)
        return (time.perf_counter() - start - self._store.taken_s) * 1000


class _Timed:
    """A store that says how long it took."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.taken_s = 0.0

    def put(self, contents: Any, decisions: Any = ()) -> Any:
        start = time.perf_counter()
        found = self._store.put(contents, decisions)
        self.taken_s += time.perf_counter() - start
        return found

    def decided(self, names: Any) -> Any:
        return self._store.decided(names)

    def get(self, content_id: str) -> str | None:
        return self._store.get(content_id)


def _kept(text: str) -> list[Row]:
    """What keeping one result costs, in memory and in a file, where it survives a crash."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = SqliteStore(Path(folder) / "results.db")
        memory = _median(MemoryStore(), text)
        kept = _median(file, text)
        file.close()
    return [Row("keeping 100 kB in SQLite", kept, "ms", "in memory", memory)]


def _median(store: Any, text: str) -> float:
    taken: list[float] = []
    for n in range(50):
        start = time.perf_counter()
        store.put({f"{n:016x}": f"{n}{text}"})
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)
