"""The engine in this process: each task starts as soon as what it needs is there."""

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from agentcache.errors import BudgetError
from agentcache.graphs.doing import Till, as_json_text, from_json_text, perform
from agentcache.graphs.outcomes import Outcome
from agentcache.graphs.plans import Board, Plan
from agentcache.graphs.store import Journal
from agentcache.graphs.tasks import Task
from agentcache.graphs.warmth import keeping_warm, shared_by
from agentcache.usage import Usage

__all__ = ["InProcess", "keep_result", "pause_s"]

_BASE_S: Final = 0.5
_MOST_S: Final = 30.0


class InProcess:
    """Runs a plan on the event loop that it is awaited on; what blocks runs in threads."""

    where = "in process"

    def __init__(self) -> None:
        """Run nothing yet."""
        self._run: _Running | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, board: Board, readers: Mapping[str, Sequence[str]]) -> None:
        """Run a plan; cancelled, it stops what runs before it raises."""
        self._loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(max(board.plan.limit, len(board.plan.tasks)), "agentcache")
        running = self._run = _Running(board, readers, pool, asyncio.Event())
        try:
            async with keeping_warm(board, running.to_come):
                await running.all()
        finally:
            await running.stop()
            pool.shutdown(wait=False, cancel_futures=True)

    def cancel(self, name: str | None) -> None:
        """Stop a task, or everything; from any thread."""
        if self._run is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._run.cancel, name)


@dataclass(slots=True)
class _Running:
    board: Board
    readers: Mapping[str, Sequence[str]]
    pool: ThreadPoolExecutor
    over: asyncio.Event
    under_way: dict[str, asyncio.Task[None]] = field(
        default_factory=dict[str, "asyncio.Task[None]"]
    )
    ready: list[tuple[float, int, int, str]] = field(
        default_factory=list[tuple[float, int, int, str]]
    )
    left: dict[str, int] = field(default_factory=dict[str, int])
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    order: dict[str, tuple[float, int, int, str]] = field(
        default_factory=dict[str, tuple[float, int, int, str]]
    )
    cancelled: bool = False

    @property
    def plan(self) -> Plan:
        return self.board.plan

    async def all(self) -> None:
        """Run everything."""
        plan = self.plan
        self.board.values.update(plan.inputs)
        places = {id(session): n for n, session in enumerate(plan.sessions)}
        for n, task in enumerate(plan.tasks):
            self.tasks[task.name] = task
            self.left[task.name] = 0
            # Of those that matter as much, the ones on one parent run together, while it is warm.
            where = places.get(id(task.session), -1)
            self.order[task.name] = (-plan.ranks[task.name], where, n, task.name)
        for behind in self.readers.values():
            for name in behind:
                self.left[name] += 1
        for task in plan.tasks:
            if not self.left[task.name]:
                heapq.heappush(self.ready, self.order[task.name])
        self.go_on()
        if self.tasks:
            await self.over.wait()

    def go_on(self) -> None:
        """Start what may start."""
        limit = self.plan.limit
        while self.ready and len(self.under_way) < limit:
            name = heapq.heappop(self.ready)[3]
            task = self.tasks[name]
            if not self._told_before(task):
                made = self.under_way[name] = asyncio.ensure_future(self._one(task))
                made.add_done_callback(partial(self._gone, name))
        if len(self.board.outcomes) == len(self.tasks):
            self.over.set()

    def to_come(self, session: Any) -> bool:
        """Whether a task that has not begun is to ask this session, once what runs has ended."""
        begun = {*self.under_way, *self.board.outcomes}
        return bool(self.under_way) and any(
            t.session is session for name, t in self.tasks.items() if name not in begun
        )

    def _told_before(self, task: Task) -> bool:
        """Whether an earlier run has finished it, or nothing may be spent on it."""
        store, plan = self.plan.store, self.plan
        found = None if store is None else store.result(plan.keys[task.name])
        if found is not None:
            at_s = self.board.now_s()
            value = from_json_text(task, found[0])
            self._finish(Outcome(task.name, "resumed", value, started_s=at_s, ended_s=at_s))
            return True
        spent = plan.purse.why_not() if task.session is not None else ""
        if spent or self.cancelled:
            why = spent or "the run was cancelled"
            self._finish(Outcome(task.name, "skipped" if spent else "cancelled", why=why))
            return True
        return False

    async def _one(self, task: Task) -> None:
        """Do a task; whatever comes of it, it is taken down, and the others go on."""
        board = self.board
        started_s = board.now_s()
        board.tell("started", task.name)
        tills: list[Till] = []
        value: Any = None
        error: BaseException | None = None
        try:
            value = await self._tried(task, tills)
            used = [usage for till in tills for usage in till.usages]
            keep_result(board, task, value, board.now_s() - started_s, used)
        except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001 - contained
            error = failure
        self.under_way.pop(task.name, None)
        self._finish(
            Outcome(
                task.name,
                _status(error),
                value,
                error,
                "it was cancelled" if isinstance(error, asyncio.CancelledError) else "",
                started_s,
                board.now_s(),
                len(tills),
                sum(len(till.usages) for till in tills),
                sum(till.replayed for till in tills),
                tuple(usage for till in tills for usage in till.usages),
            )
        )
        self.go_on()

    def _gone(self, name: str, _done: "asyncio.Task[None]") -> None:
        """What was cancelled before it began to run has taken down nothing."""
        if self.under_way.pop(name, None) is not None:
            self._finish(Outcome(name, "cancelled", why="it was cancelled before it began"))
            self.go_on()

    async def _tried(self, task: Task, tills: list[Till]) -> Any:
        """Do a task, as often as it may be tried; `tills` get one for each try."""
        plan = self.plan
        while True:
            journal = None
            if plan.store is not None:
                journal = Journal(plan.store, plan.keys[task.name], len(tills) + 1)
            tills.append(Till(plan.purse, journal))
            try:
                return await self._timed(task, tills[-1])
            except BudgetError:
                raise
            except Exception as failure:
                if len(tills) > task.retries:
                    raise
                self.board.tell("retry", task.name, f"{type(failure).__name__}: {failure}")
            await asyncio.sleep(pause_s(len(tills)))

    async def _timed(self, task: Task, till: Till) -> Any:
        """Do a task in its time."""
        doing = perform(task, self.board.values, till, self.pool)
        if task.timeout_s is None:
            return await doing
        inner = asyncio.ensure_future(doing)
        try:
            # Not wait_for: before Python 3.12 it can swallow a cancellation.
            await asyncio.wait({inner}, timeout=task.timeout_s)
        finally:
            late = not inner.done()
            if late:
                inner.cancel()
                await asyncio.wait({inner})
            failed = not inner.cancelled() and inner.exception() is not None
        if late and (failed or inner.cancelled()):
            raise TimeoutError(f"it took longer than {task.timeout_s:g} seconds")
        return inner.result()

    def _finish(self, outcome: Outcome) -> None:
        """Take it down; those behind it may start, or cannot."""
        if outcome.name in self.board.outcomes:
            return
        self.board.finish(outcome)
        behind = self.readers[outcome.name]
        if outcome.ok:
            shared_by(self.tasks[outcome.name], [self.tasks[n] for n in behind], self.board.values)
        for name in behind:
            self.left[name] -= 1
            if not outcome.ok:
                why = f"it waits for {outcome.name!r}, which was {outcome.status}"
                self._finish(Outcome(name, "skipped", why=why))
            elif not self.left[name] and name not in self.board.outcomes:
                heapq.heappush(self.ready, self.order[name])

    def cancel(self, name: str | None) -> None:
        """Stop a task, or everything."""
        if name is None:
            self.cancelled = True
        for running in [n for n in self.under_way if name in (None, n)]:
            self.under_way[running].cancel()
        waiting = [n for n in self.tasks if name in (None, n) and n not in self.under_way]
        for each in waiting:
            self._finish(Outcome(each, "cancelled", why="it was cancelled before it began"))
        self.ready = [row for row in self.ready if row[3] not in self.board.outcomes]
        heapq.heapify(self.ready)
        self.go_on()

    async def stop(self) -> None:
        """Stop what still runs."""
        self.cancelled = True
        rest = list(self.under_way.values())
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)


def pause_s(tries: int) -> float:
    """Seconds to wait before a task that has failed so often is tried again."""
    return min(_MOST_S, _BASE_S * 2.0 ** (tries - 1))


def keep_result(board: Board, task: Task, value: Any, took_s: float, used: Sequence[Usage]) -> None:
    """Keep a result in the plan's store, if there is one and it can be read back."""
    store = board.plan.store
    text = None if store is None else as_json_text(value)
    if store is None:
        return
    if text is None:
        told = "its result is no JSON, and is not kept: a resumed run does it again"
        board.tell("note", task.name, told)
        return
    usage = {
        "input_tokens": sum(u.input_tokens or 0 for u in used),
        "cached_tokens": sum(u.cached_tokens or 0 for u in used),
        "output_tokens": sum(u.output_tokens or 0 for u in used),
        "calls": len(used),
    }
    store.finish(board.plan.keys[task.name], task.name, text, took_s, usage)


def _status(error: BaseException | None) -> Any:
    if error is None:
        return "done"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "skipped" if isinstance(error, BudgetError) else "failed"
