"""The desk: what the workers of a run have in common, kept where the cluster's scheduler runs.

It knows the answers that were paid for, the money that is left and whose turn it is at a prefix. It
reads no prompt: plans pass as bytes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from distributed import Scheduler, SchedulerPlugin

from agentcache.graphs.budgets import Budget, Purse

__all__ = ["OP", "Desk", "Entry"]

OP: Final = "agentcache"
_KEPT: Final = 1_000
"""Prefixes whose lifetime is over that are remembered."""

Entry = Sequence[Any]
"""News for the program that runs a graph: what happened, and its particulars."""


@dataclass(slots=True)
class _Run:
    """One run: its plan as bytes, its money, its answers and the news that are to be fetched."""

    owner: str
    plan: bytes
    purse: Purse
    answers: dict[tuple[str, int, int, str], str]
    news: "deque[tuple[int, Entry]]" = field(default_factory=deque["tuple[int, Entry]"])
    told: int = 0
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: set[str] = field(default_factory=set[str])
    over: bool = False

    def say(self, entries: Sequence[Entry]) -> None:
        """Take down what happened."""
        for entry in entries:
            if entry[0] == "paid":
                self.purse.count(entry[1], entry[2])
            self.told += 1
            self.news.append((self.told, entry))
        if entries:
            self.bell.set()

    def why_not(self, task: str) -> str:
        """Why a task may send nothing more; empty if it may."""
        if self.over or task in self.stopped:
            return "the task was cancelled"
        return self.purse.why_not()


@dataclass(slots=True)
class _Prefix:
    """Whose turn it is at a prefix: one token holds it, and until then it is warm for all."""

    warm_until: float = float("-inf")
    token: str = ""
    worker: str = ""
    until: float = float("-inf")
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def free(self) -> None:
        """Let others in."""
        self.token = self.worker = ""
        self.bell.set()
        self.bell = asyncio.Event()


class Desk(SchedulerPlugin):
    """A plugin of the scheduler; workers and programs call it by `OP`."""

    name = "agentcache-desk"
    idempotent = True

    def __init__(self) -> None:
        """Know nothing yet."""
        self._scheduler: Scheduler | None = None
        self._runs: dict[str, _Run] = {}
        self._prefixes: dict[str, _Prefix] = {}

    def __reduce__(self) -> Any:
        """A desk is made anew where its scheduler runs."""
        return Desk, ()

    async def start(self, scheduler: Scheduler) -> None:
        """Listen."""
        self._scheduler = scheduler
        untyped: Any = scheduler
        untyped.handlers[OP] = self.hear
        untyped.stream_handlers[OP] = self.told

    async def hear(self, do: str, **what: Any) -> Any:
        """Do what a worker or a program asks for."""
        made = getattr(self, f"do_{do}")(**what)
        return await made if asyncio.iscoroutine(made) else made

    def told(self, run: str, entries: Sequence[Entry], **_: Any) -> None:
        """Take down what a worker says, without an answer."""
        if run in self._runs:
            self._runs[run].say(entries)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:
        """Free the prefixes that a worker held when it was lost."""
        del scheduler
        for prefix in self._prefixes.values():
            if prefix.worker == worker:
                prefix.free()

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Forget the runs of a program that is gone."""
        del scheduler
        for run in [run for run, held in self._runs.items() if held.owner == client]:
            self.do_close(run)

    def do_open(
        self,
        run: str,
        owner: str,
        plan: bytes,
        budget: tuple[float | None, int | None] | None,
        answers: Sequence[tuple[str, int, int, str, str]],
    ) -> int:
        """Begin a run; returns the threads that all workers have together."""
        purse = Purse(None if budget is None else Budget(*budget))
        known = {(key, attempt, n, request): text for key, attempt, n, request, text in answers}
        self._runs[run] = _Run(owner, plan, purse, known)
        scheduler = self._scheduler
        return 0 if scheduler is None else int(scheduler.total_nthreads)

    def do_close(self, run: str) -> None:
        """End a run: what still runs sends nothing more."""
        held = self._runs.pop(run, None)
        if held is not None:
            held.over = True
            held.bell.set()

    def do_plan(self, run: str) -> bytes:
        """The plan of a run, to be read by a worker; empty if it is over."""
        return self._runs[run].plan if run in self._runs else b""

    def do_stop(self, run: str, tasks: Sequence[str]) -> None:
        """Let tasks send nothing more."""
        if run in self._runs:
            self._runs[run].stopped.update(tasks)

    async def do_news(self, run: str, after: int, wait_s: float) -> list[Any] | None:
        """What happened since the news of this number, which are dropped; None if it is over."""
        held = self._runs.get(run)
        if held is None:
            return None
        while held.news and held.news[0][0] <= after:
            held.news.popleft()
        if not held.news:
            held.bell.clear()
            await _waited(held.bell, wait_s)
        return list(held.news)

    def do_say(self, run: str, entries: Sequence[Entry], task: str = "") -> str:
        """Take down what happened; returns why the task may send nothing more."""
        held = self._runs.get(run)
        if held is None:
            return "the run is over"
        held.say(entries)
        return held.why_not(task)

    def do_answer(
        self, run: str, task: str, place: tuple[str, int, int, str], entries: Sequence[Entry]
    ) -> tuple[str | None, str]:
        """The answer that was paid for before, and why nothing may be sent."""
        why = self.do_say(run, entries, task)
        held = self._runs.get(run)
        return (None if held is None else held.answers.get(tuple(place))), why  # type: ignore[arg-type]

    def do_keep(
        self, run: str, place: tuple[str, int, int, str], answer: str, entries: Sequence[Entry]
    ) -> None:
        """Keep an answer, and what was said with it."""
        held = self._runs.get(run)
        if held is not None:
            held.answers[tuple(place)] = answer  # type: ignore[index]
            held.say([*entries, ("answer", *place, answer)])

    async def do_enter(
        self,
        key: str,
        token: str,
        worker: str,
        patience_s: float,
        wait_s: float,
        alone: bool,
    ) -> tuple[str, float]:
        """Whose turn it is: `leader`, `follower` with the seconds it is warm for, or `wait`.

        Asked again with the same token, it says the same. `alone` lets one in at a time.
        """
        end = time.monotonic() + wait_s
        while True:
            prefix, now = self._prefix(key), time.monotonic()
            held = prefix.token and prefix.token != token and now < prefix.until
            warm = now < prefix.warm_until
            if warm and not alone:
                return "follower", prefix.warm_until - now
            if not held and self._lives(worker):
                prefix.token, prefix.worker, prefix.until = token, worker, now + patience_s
                return ("follower" if warm else "leader"), max(0.0, prefix.warm_until - now)
            if now >= end or not self._lives(worker):
                return "wait", 0.0
            await _waited(prefix.bell, min(end, prefix.until) - now)

    def do_left(self, key: str, token: str, warm_s: float | None) -> None:
        """A call has ended, or can be read by others already; it is warm for so long."""
        prefix = self._prefix(key)
        if warm_s is not None:
            prefix.warm_until = max(prefix.warm_until, time.monotonic() + warm_s)
        if prefix.token == token:
            prefix.free()

    def _lives(self, worker: str) -> bool:
        return self._scheduler is not None and worker in self._scheduler.workers

    def _prefix(self, key: str) -> _Prefix:
        found = self._prefixes.get(key)
        if found is None:
            if len(self._prefixes) >= _KEPT:
                now = time.monotonic()
                kept = {k: p for k, p in self._prefixes.items() if p.token or now < p.warm_until}
                self._prefixes = kept
            found = self._prefixes[key] = _Prefix()
        return found


async def _waited(bell: asyncio.Event, wait_s: float) -> None:
    waiting = asyncio.ensure_future(bell.wait())
    try:
        await asyncio.wait({waiting}, timeout=max(0.0, wait_s))
    finally:
        waiting.cancel()
