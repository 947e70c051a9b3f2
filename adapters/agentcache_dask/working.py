"""A task on a worker: what Dask calls, which never raises."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any, Final

from distributed import get_worker

from agentcache.asking import OpenSession
from agentcache.errors import BudgetError, TaskError
from agentcache.graphs.doing import Till, perform_here
from agentcache.graphs.outcomes import Status
from agentcache.graphs.running import pause_s
from agentcache.graphs.tasks import Task
from agentcache_dask.awaiting import awaited_worker
from agentcache_dask.gates import SharedGate
from agentcache_dask.links import HomeLedger, Link, till_of
from agentcache_dask.recipes import SessionRecipe
from agentcache_dask.values import Done, packed, packed_error, travels, unpacked

__all__ = ["Order", "Work", "forget", "work"]

_log = logging.getLogger("agentcache")
_SMALL: Final = 64_000
"""Bytes up to which a result goes home by itself; a larger one is fetched from its worker."""
_RUNS: Final = 8
"""Runs that a worker keeps open at a time: one that was killed says no goodbye."""


@dataclass(frozen=True, slots=True)
class Order:
    """One task as it is sent to workers, without its session.

    `session` is the number of that; `shared` are, for each result that several prompts carry, what
    else they say; `kept` is its result of an earlier run, in a tuple.
    """

    task: Task
    key: str
    session: int | None = None
    shared: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict[str, Any])
    kept: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """A plan as it is sent to workers. With `spends` tasks ask whether there is money left."""

    orders: Mapping[str, Order]
    sessions: Sequence[SessionRecipe]
    inputs: Mapping[str, Any]
    spends: bool = False


class _Here:
    """One run in this process: its plan, and its sessions once a task asks for them."""

    def __init__(self, link: Link, plan: Work) -> None:
        """Open no session yet."""
        self.link, self.plan = link, plan
        self._gate = SharedGate(link)
        self._lock = threading.Lock()
        self._sessions: dict[int, OpenSession] = {}
        self._expected: set[tuple[int, str]] = set()

    def task(self, order: Order) -> Task:
        """The task, on its session."""
        task, number = order.task, order.session
        if number is None:
            return task
        recipe = self.plan.sessions[number]
        with self._lock:
            session = self._sessions.get(number)
            if session is None:
                ledger = HomeLedger(self.link, number, content=recipe.content)
                session = self._sessions[number] = recipe.opened(self._gate, ledger)
        if recipe.awaited and task.takes_worker and task.function is not None:
            task = replace(task, function=awaited_worker(task.function))
        return replace(task, session=session)

    def expect(self, order: Order, values: Mapping[str, Any]) -> None:
        """Let results that several prompts carry stand in the trunk, as all workers do."""
        number = order.session
        if number is None:
            return
        for name, readers in order.shared.items():
            with self._lock:
                known = (number, name) in self._expected
                self._expected.add((number, name))
                if not known and isinstance(values[name], str) and values[name]:
                    session = self._sessions[number]
                    session.attachment.expect(session.parent, values[name], readers)

    def close(self) -> None:
        """Close the clients."""
        for session in self._sessions.values():
            session.line.client.close()


_lock = threading.Lock()
_here: dict[str, _Here] = {}


def forget(run: str) -> None:
    """Close a run in this process."""
    with _lock:
        held = _here.pop(run, None)
    if held is not None:
        held.close()


def _opened(run: str) -> _Here:
    """A run in this process; its plan is fetched once."""
    found = _here.get(run)
    if found is not None:
        return found
    with _lock:
        found = _here.get(run)
        if found is None:
            link = Link(get_worker(), run)
            plan = link.ask("plan", run=run)
            if not plan:
                raise TaskError("the run is over")
            found = _here[run] = _Here(link, _read(plan))
            for old in list(_here)[:-_RUNS]:
                _here.pop(old).close()
    return found


def _read(plan: bytes) -> Work:
    try:
        made: Work = unpacked(plan)
    except ModuleNotFoundError as error:
        raise TaskError(
            f"a worker cannot import {error.name!r}, which the graph's functions or types are from."
            " Install it there, or send it: client.upload_file(...)."
        ) from error
    return made


def work(run: str, name: str, *befores: Done) -> Done:
    """Do one task of a run, after those it waits for; never raises."""
    began_at = time.time()
    where = str(get_worker().address)
    for before in befores:
        if not before.ok:
            why = f"it waits for {before.name!r}, which was {before.status}"
            return Done(name, "skipped", why=why, where=where)
    try:
        here = _opened(run)
        done = _done(here, here.plan.orders[name], befores, where)
    except Exception as error:  # noqa: BLE001 - a failure is for the graph, not for Dask
        if not isinstance(error, TaskError):
            _log.exception("task %r could not be run here", name)
        return Done(name, "failed", error=packed_error(error), began_at=began_at, where=where)
    done.began_at, done.ended_at = began_at, time.time()
    _tell(here.link, done)
    return done


def _tell(link: Link, done: Done) -> None:
    """Send a result home, or word that it is here."""
    made = packed(done)
    if len(made) > _SMALL:
        made = packed(replace(done, value=None, away=True))
    link.say("done", done.name, made)


def _done(here: _Here, order: Order, befores: Sequence[Done], where: str) -> Done:
    name = order.task.name
    values = {**here.plan.inputs, **{before.name: before.value for before in befores}}
    if order.kept:
        return Done(name, "resumed", order.kept[0], where=where)
    if order.session is not None and here.plan.spends:
        said = here.link.take()
        why = here.link.ask("say", run=here.link.run, entries=said, task=name)
        if why:
            return Done(name, "skipped", why=why, where=where)
    here.link.say("started", name, where)
    task = here.task(order)
    here.expect(order, values)
    tills: list[Till] = []
    value, error = _tried(here.link, task, order.key, values, tills)
    wrong = travels(value) if error is None else ""
    if wrong:
        error = TypeError(f"its result cannot leave the worker it was made on: {wrong}")
    failed: Status = "skipped" if isinstance(error, BudgetError) else "failed"
    return Done(
        name,
        "done" if error is None else failed,
        value if error is None else None,
        None if error is None else packed_error(error),
        tries=len(tills),
        replayed=sum(till.replayed for till in tills),
        usages=tuple(usage for till in tills for usage in till.usages),
        where=where,
    )


def _tried(
    link: Link, task: Task, key: str, values: Mapping[str, Any], tills: list[Till]
) -> tuple[Any, BaseException | None]:
    """Do a task as often as it may be tried; its result, or what it raised last."""
    attempt = 0
    while True:
        attempt += 1
        tills.append(till_of(link, task.name, key, attempt))
        try:
            return _timed(task, values, tills[-1]), None
        except BudgetError as spent:
            return None, spent
        except Exception as failure:  # noqa: BLE001 - contained: the others go on
            error = failure
        except asyncio.CancelledError as cancel:
            return None, cancel
        if attempt > task.retries:
            return None, error
        link.say("retry", task.name, f"{type(error).__name__}: {error}")
        time.sleep(pause_s(attempt))


def _timed(task: Task, values: Mapping[str, Any], till: Till) -> Any:
    """Do a task in its time; one that takes longer goes on in a thread, to no effect."""
    if task.timeout_s is None:
        return perform_here(task, values, till)
    made: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    _thread(lambda: perform_here(task, values, till), made)
    try:
        value, error = made.get(timeout=task.timeout_s)
    except Exception:  # noqa: BLE001 - queue.Empty
        raise TimeoutError(f"it took longer than {task.timeout_s:g} seconds") from None
    if error is not None:
        raise error
    return value


def _thread(do: Callable[[], Any], made: "SimpleQueue[tuple[Any, BaseException | None]]") -> None:
    def run() -> None:
        try:
            made.put((do(), None))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            made.put((None, error))

    threading.Thread(target=run, name=f"agentcache {id(made)}", daemon=True).start()
