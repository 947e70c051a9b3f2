"""One task, done: its prompt asked, its function called; with what was known before."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from agentcache.asking import AsyncWorker, Worker
from agentcache.dialects import Json
from agentcache.errors import OptionError, TaskError
from agentcache.graphs.budgets import Purse
from agentcache.graphs.store import Journal
from agentcache.graphs.tasks import Task
from agentcache.sessions import Session
from agentcache.usage import Usage

__all__ = ["Till", "as_json_text", "from_json_text", "perform", "perform_here"]


@dataclass(slots=True)
class Till:
    """Stands between a task and its provider: pays, and keeps what was paid for."""

    purse: Purse
    journal: Journal | None = None
    session: Session | None = None
    usages: list[Usage] = field(default_factory=list[Usage])
    replayed: int = 0
    _places: dict[int, tuple[int, str]] = field(default_factory=dict[int, tuple[int, str]])

    def before(self, request: Json) -> Json | None:
        """The answer that an earlier run paid for; raises BudgetError where nothing may be sent."""
        if self.journal is not None:
            found, place = self.journal.find(request)
            if found is not None:
                self.replayed += 1
                return found
            self._places[id(request)] = place
        self.purse.ask()
        return None

    def after(self, request: Json, answer: Json, usage: Usage) -> None:
        """Keep an answer, before anything is made of it."""
        if self.journal is not None:
            self.journal.keep(self._places.pop(id(request)), answer)
        self.usages.append(usage)
        if self.session is not None:
            parent = self.session.parent
            self.purse.pay(usage, parent.rule, parent.domain.model)


async def perform(task: Task, values: Mapping[str, Any], till: Till, pool: Executor) -> Any:
    """Do a task; what blocks runs in a thread of the pool."""
    worker = _worker(task, till)
    if task.asks:
        ask, given = _asking(task, worker), _prompt(task, values)
        if isinstance(worker, AsyncWorker):
            return _made(task, await ask(*given))
        return _made(task, await _in(pool, ask, *given))
    function, arguments = _called(task, values, worker)
    made = function if inspect.iscoroutinefunction(function) else None
    if made is not None:
        with _exits_contained():
            return await made(**arguments)
    result = await _in(pool, function, **arguments)
    return await result if inspect.isawaitable(result) else result


def perform_here(task: Task, values: Mapping[str, Any], till: Till) -> Any:
    """Sync twin of `perform`, on this thread; the task's session is synchronous."""
    worker = _worker(task, till)
    if task.asks:
        return _made(task, _asking(task, worker)(*_prompt(task, values)))
    function, arguments = _called(task, values, worker)
    with _exits_contained():
        made = function(**arguments)
        return asyncio.run(_awaited(made)) if inspect.isawaitable(made) else made


async def _awaited(made: Awaitable[Any]) -> Any:
    return await made


@contextmanager
def _exits_contained() -> Generator[None]:
    """What a task calls may want to end the process: it ends the task alone."""
    try:
        yield
    except SystemExit as error:
        raise TaskError(f"It called sys.exit({error.code!r}).") from error


async def _in(pool: Executor, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    def call() -> Any:
        with _exits_contained():
            return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(pool, copy_context().run, call)


def _worker(task: Task, till: Till) -> Worker | AsyncWorker | None:
    """A fork of the session for this task; its calls go through the till."""
    if task.session is None or not (task.asks or task.takes_worker):
        return None
    params = {} if task.timeout_s is None else {"timeout": task.timeout_s}
    made = task.session.fork(task.name, role=task.role, tools=task.tools, params=params)
    till.session = task.session.parent
    made.tap = till
    return made


def _asking(task: Task, worker: Worker | AsyncWorker | None) -> Callable[..., Any]:
    if worker is None:
        raise OptionError(f"Task {task.name!r} asks a model: open a session, TaskGraph(session).")
    return worker.ask


def _prompt(task: Task, values: Mapping[str, Any]) -> tuple[Any, ...]:
    said = task.said(values)
    return (said,) if task.output is None else (said, task.output)


def _made(task: Task, answer: Any) -> Any:
    return answer.text if task.output is None else answer.output


def _called(
    task: Task, values: Mapping[str, Any], worker: Worker | AsyncWorker | None
) -> tuple[Callable[..., Any], dict[str, Any]]:
    if task.runs is not None:
        said, runs = task.said(values), task.runs
        if inspect.iscoroutinefunction(runs):

            async def arun() -> Any:
                return await runs(said)

            return arun, {}
        return lambda: runs(said), {}
    if task.function is None:
        raise OptionError(f"Task {task.name!r} has nothing to do.")
    given = {name: values[name] for name in task.needs}
    return task.function, {**given, "worker": worker} if task.takes_worker else given


def as_json_text(value: Any) -> str | None:
    """A value as JSON that reads back as the same; None where there is no such text."""
    try:
        text = to_json(value).decode()
        kept = json.loads(text)
    except (ValueError, TypeError):
        return None
    return text if kept == value or hasattr(value, "model_dump") else None


def from_json_text(task: Task, text: str) -> Any:
    """The value that a task had made."""
    if task.output is None:
        return json.loads(text)
    return TypeAdapter[Any](task.output).validate_json(text)
