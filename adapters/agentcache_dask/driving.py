"""A run on a cluster, from where it was started: what is handed out, and what comes back."""

import asyncio
import heapq
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from distributed import Future

from agentcache.errors import TaskError
from agentcache.graphs.checking import waits_for
from agentcache.graphs.outcomes import Outcome
from agentcache.graphs.plans import Board
from agentcache.graphs.running import keep_result
from agentcache.graphs.tasks import Task
from agentcache_dask.clusters import Cluster
from agentcache_dask.homecoming import Home
from agentcache_dask.packing import kept_results, packed_plan
from agentcache_dask.values import Done, error_of, unpacked
from agentcache_dask.working import forget, work

__all__ = ["Drive"]

_POLL_S: Final = 5.0
_LOOK_S: Final = 0.5
_SOME: Final = 500
"""Tasks that are handed out before anything else is looked at."""
_FAMILIES: Final = 100
"""More than this are one: the scheduler looks at all of them whenever tasks come in."""
_LOST: Final = "its result was lost with the cluster"


@dataclass(slots=True, eq=False)
class Drive:
    """One run: its tasks become Dask's, each behind those it waits for.

    With more threads than the `limit`, tasks are handed out in as many lanes as that: one task of a
    lane runs at a time, because each waits for the one before it.
    """

    cluster: Cluster
    board: Board
    readers: Mapping[str, Sequence[str]]
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    threads: int = 0
    begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    home: Home = field(init=False)
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    befores: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    futures: dict[str, Any] = field(default_factory=dict[str, Any])
    handed: set[str] = field(default_factory=set[str])
    ready: list[tuple[float, int, str]] = field(default_factory=list[tuple[float, int, str]])
    tails: set[str] = field(default_factory=set[str])
    late: set[str] = field(default_factory=set[str])
    fetching: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])
    order: dict[str, int] = field(default_factory=dict[str, int])
    families: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Know the tasks."""
        self.home = Home(self.board)
        self.tasks = {task.name: task for task in self.board.plan.tasks}
        self.order = {name: n for n, name in enumerate(self.tasks)}
        self.befores = {task.name: waits_for(task, self.tasks) for task in self.board.plan.tasks}
        self.families = families(self.tasks)

    async def begin(self) -> None:
        """Send the plan; what an earlier run has finished is taken down."""
        plan, board = self.board.plan, self.board
        board.values.update(plan.inputs)
        kept = kept_results(board)
        for task in plan.tasks:  # each behind those it waits for
            before = self.befores[task.name]
            if task.name in kept and all(name in board.outcomes for name in before):
                at_s = board.now_s()
                value = kept[task.name]
                board.finish(Outcome(task.name, "resumed", value, started_s=at_s, ended_s=at_s))
        budget = plan.purse.budget
        known = [] if plan.store is None else plan.store.answers(set(plan.keys.values()))
        self.threads = await self.cluster.ask(
            "open",
            run=self.run,
            owner=self.cluster.client.id,
            plan=await packed_plan(self.cluster, board, self.readers, kept),
            budget=None if budget is None else (budget.usd, budget.tokens),
            answers=known,
        )
        self.begun = True

    async def all(self) -> None:
        """Run everything."""
        self._check_over()
        doing = [asyncio.ensure_future(each()) for each in (self._hand_out, self._news, self._look)]
        waiting = asyncio.ensure_future(self.over.wait())
        try:
            while not waiting.done():
                rest = [each for each in doing if not each.done()]
                await asyncio.wait([waiting, *rest], return_when=asyncio.FIRST_COMPLETED)
                for each in doing:
                    if each.done():
                        each.result()  # a fault of our own is raised
        finally:
            waiting.cancel()
            for each in doing:
                each.cancel()
            await asyncio.gather(waiting, *doing, return_exceptions=True)

    async def stop(self) -> None:
        """Stop what still runs, and close the run everywhere."""
        for fetch in self.fetching:
            fetch.cancel()
        rest = [f for name, f in self.futures.items() if name not in self.board.outcomes]
        try:
            if rest:
                await self.cluster.on_loop(lambda: self.cluster.client.cancel(rest, force=True))
            for _, entry in await self.cluster.ask("news", run=self.run, after=0, wait_s=0) or ():
                if entry[0] != "done":
                    self.home.hear(entry)
            await self.cluster.ask("close", run=self.run)
            await self.cluster.on_workers(forget, self.run)
        except OSError:  # the scheduler is gone, and the run with it
            pass
        self.futures.clear()

    def to_come(self, session: Any) -> bool:
        """Whether a task that has not begun is to ask this session, once what runs has ended."""
        known = {*self.home.began, *self.board.outcomes}
        runs = any(name not in self.board.outcomes for name in self.home.began)
        return runs and any(t.session is session for n, t in self.tasks.items() if n not in known)

    async def _hand_out(self) -> None:
        """Hand out everything, where there are no more threads than may be used; else, a part."""
        if 0 < self.threads <= self.board.plan.limit:
            for names in self._together():
                for start in range(0, len(names), _SOME):
                    self._hand(*names[start : start + _SOME])
                    await asyncio.sleep(0)
            return
        for name in self.tasks:
            self._offer(name)
        self._go_on()

    def _together(self) -> Iterable[Sequence[str]]:
        """All tasks, those together that Dask can be told of at once; each behind its befores."""
        depths, found = dict[str, int](), dict[tuple[int, float, int], list[str]]()
        for name, befores in self.befores.items():
            depths[name] = 1 + max((depths[before] for before in befores), default=0)
            held = sum(before not in self.board.outcomes for before in befores)
            place = depths[name], -self.board.plan.ranks[name], held
            found.setdefault(place, []).append(name)
        return [found[place] for place in sorted(found)]

    def _offer(self, name: str) -> None:
        """Let a task be handed out, once nothing is before it."""
        outcomes = self.board.outcomes
        if name not in outcomes and all(b in outcomes for b in self.befores[name]):
            heapq.heappush(self.ready, (-self.board.plan.ranks[name], self.order[name], name))

    def _go_on(self) -> None:
        """Begin lanes, as many as there may be."""
        while self.ready and len(self.tails) < self.board.plan.limit:
            name = heapq.heappop(self.ready)[2]
            if name in self.handed or name in self.board.outcomes:
                continue
            lane = [name]
            self._hand(name)
            while self._follow(lane):
                self._hand(lane[-1])
            self.tails.add(lane[-1])

    def _follow(self, lane: list[str]) -> bool:
        """Add to a lane a task that waits for its last one, and for nothing outside of it."""
        known = {*lane, *self.board.outcomes}
        behind = [
            name
            for name in self.readers[lane[-1]]
            if name not in self.handed and all(b in known for b in self.befores[name])
        ]
        if behind:
            lane.append(max(behind, key=self.board.plan.ranks.__getitem__))
        return bool(behind)

    def _hand(self, *names: str) -> None:
        """Make tasks Dask's: they matter as much, and wait for as many others."""
        news = [n for n in names if n not in self.handed and n not in self.board.outcomes]
        if not news:
            return
        self.handed.update(news)
        befores = [[self.futures[b] for b in self.befores[n] if b in self.futures] for n in news]
        made = self.cluster.client.map(
            work,
            [self.run] * len(news),
            news,
            *zip(*befores, strict=True),
            key=[(f"{self.families[name]}-{self.run}", name) for name in news],
            priority=self.board.plan.ranks[news[0]],
            pure=False,
        )
        self.futures.update(zip(news, made, strict=True))

    async def _news(self) -> None:
        """Hear what happens on the workers."""
        after = 0
        while True:
            found = await self.cluster.ask("news", run=self.run, after=after, wait_s=_POLL_S)
            if found is None:
                self._fail_all(TaskError("the scheduler was restarted, and knows nothing of it"))
                return
            for number, entry in found:
                after = number
                if entry[0] == "done":
                    self._back(entry[1], unpacked(entry[2]))
                else:
                    self.home.hear(entry)

    async def _look(self) -> None:
        """Look after tasks that no word came of: Dask has given them up, or it was lost."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.cluster.client.status in ("closing", "closed"):
                self._fail_all(TaskError("the connection to the scheduler was closed"))
            for name, future in list(self.futures.items()):
                if name in self.board.outcomes:
                    continue
                if future.status == "error" or (future.status == "finished" and name in self.late):
                    self._fetch(name, future)
                elif future.status == "finished":
                    self.late.add(name)
                elif future.status in ("cancelled", "lost"):
                    self._finish(Outcome(name, "failed", error=TaskError(_LOST)))

    def _fetch(self, name: str, future: "Future[Any]") -> None:
        made = asyncio.ensure_future(self._fetched(name, future))
        self.fetching.add(made)
        made.add_done_callback(self.fetching.discard)

    async def _fetched(self, name: str, future: "Future[Any]") -> None:
        """Get a result from the worker that holds it."""
        try:
            done: Done = await self.cluster.on_loop(lambda: self.cluster.client.gather(future))
        except Exception as error:  # noqa: BLE001 - whatever Dask says of it
            self._finish(Outcome(name, "failed", error=error))
            return
        self._back(name, done)

    def _back(self, name: str, done: Done) -> None:
        """Take down what a worker says became of a task."""
        if name in self.board.outcomes:
            return
        if done.away:
            self._fetch(name, self.futures[name])
            return
        started_s, ended_s = self.home.times(done.began_at, done.ended_at)
        if name not in self.home.began and done.tries:
            self.home.hear(("started", name, done.where))
        if done.status == "done":
            used = list(done.usages)
            keep_result(self.board, self.tasks[name], done.value, ended_s - started_s, used)
        error = None if done.error is None else error_of(done.error)
        calls = len(done.usages)
        self._finish(
            Outcome(
                *(name, done.status, done.value, error, done.why, started_s, ended_s),
                *(done.tries, calls, done.replayed, done.usages, done.where),
            )
        )

    def _finish(self, outcome: Outcome) -> None:
        """Take it down; those behind it may start, or cannot."""
        name = outcome.name
        if name in self.board.outcomes:
            return
        self.board.finish(outcome)
        self.tails.discard(name)
        for behind in self.readers[name]:
            if not outcome.ok:
                why = f"it waits for {name!r}, which was {outcome.status}"
                self._finish(Outcome(behind, "skipped", why=why))
            elif self.threads > self.board.plan.limit or not self.threads:
                self._offer(behind)
        for before in (name, *self.befores[name]):
            if all(n in self.board.outcomes for n in self.readers[before]):
                self.futures.pop(before, None)
        self._go_on()
        self._check_over()

    def _check_over(self) -> None:
        if len(self.board.outcomes) == len(self.tasks):
            self.over.set()

    def _fail_all(self, error: BaseException) -> None:
        for name in self.tasks:
            self._finish(Outcome(name, "failed", error=error))

    def cancel(self, name: str | None) -> None:
        """Stop a task, or everything."""
        stopped = [n for n in self.tasks if name in (None, n) and n not in self.board.outcomes]
        held = [self.futures[n] for n in stopped if n in self.futures]
        for each in stopped:
            began = each in self.home.began
            why = "it was cancelled" if began else "it was cancelled before it began"
            error = asyncio.CancelledError() if began else None
            self._finish(Outcome(each, "cancelled", error=error, why=why))
        told = asyncio.ensure_future(self._tell_stopped(stopped, held))
        self.fetching.add(told)
        told.add_done_callback(self.fetching.discard)

    async def _tell_stopped(self, names: Sequence[str], futures: Sequence[Any]) -> None:
        await self.cluster.ask("stop", run=self.run, tasks=list(names))
        await self.cluster.on_loop(lambda: self.cluster.client.cancel(list(futures), force=True))


def families(names: Iterable[str]) -> dict[str, str]:
    """For each task what it is together with on Dask's dashboard: `page` for `page_7`."""
    found = {name: name.rstrip("_0123456789") or "task" for name in names}
    return found if len(set(found.values())) <= _FAMILIES else dict.fromkeys(found, "task")
