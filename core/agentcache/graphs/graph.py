"""TaskGraph: tasks with dependencies over forks of one session."""

import asyncio
import inspect
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Any, Final

from agentcache.asking import AsyncOpenSession, OpenSession, Tool
from agentcache.errors import GraphError, OptionError
from agentcache.graphs import pictures, shown
from agentcache.graphs.budgets import Budget, Purse
from agentcache.graphs.checking import checked, critical_path, ranks, readers_of
from agentcache.graphs.outcomes import Event, GraphResult, Outcome
from agentcache.graphs.plans import Board, Engine, Plan
from agentcache.graphs.running import InProcess
from agentcache.graphs.store import RunStore, keys_of
from agentcache.graphs.tasks import AnySession, Task

__all__ = ["TaskGraph"]

GROUP: Final = "agentcache.engines"
_LIMIT: Final = 16
_LOCAL: Final = ("local", "distributed")
"""What a text asks for: a cluster on this machine, or a scheduler's address."""


class TaskGraph:
    """Tasks that run as soon as what they need is there, as forks of one session.

    graph = TaskGraph(session, inputs={"market": "bike repair"})
    graph.add("needs", "What does {market} need?", needs=["market"])
    graph.add("price", "Set a price for: {needs}", needs=["needs"], retries=2)
    result = graph.run(limit=8)
    print(result["price"])
    """

    def __init__(
        self, session: AnySession | None = None, *, inputs: Mapping[str, Any] | None = None
    ) -> None:
        """Hold no task. `session` is what prompts ask; `inputs` are values that tasks may need."""
        if session is not None and not isinstance(session, OpenSession | AsyncOpenSession):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(
                f"{session!r:.80} is no opened session. Pass Session.open(client, model=...)."
            )
        self.session = session
        self.inputs = dict(inputs or {})
        self._tasks: dict[str, Task] = {}
        self._engine: Engine | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in the order they were added."""
        return tuple(self._tasks.values())

    def add(  # noqa: PLR0913 - a task is all of these
        self,
        name: str,
        work: str | Callable[..., Any] | object,
        prompt: str | None = None,
        *,
        needs: Sequence[str] = (),
        after: Sequence[str] = (),
        session: AnySession | None = None,
        role: str = "",
        tools: Sequence[Tool | str] | None = None,
        output: type[Any] | None = None,
        retries: int = 0,
        timeout_s: float | None = None,
        weight: float = 1.0,
        version: str = "",
    ) -> str:
        """Add a task; returns its name.

        Args:
            name: Its name: an identifier, by which others need it.
            work: A prompt: `{name}` is replaced for each of its `needs`, other braces are text. Or
                a function, sync or async, called with its needs by name, and with a fork of the
                session if it asks for `worker`. Or an agent of a framework that has an adapter; its
                `prompt` is then given beside it.
            prompt: What an agent is asked.
            needs: Tasks and inputs whose values it is given; it sees no others.
            after: Tasks that come first, and whose results it does not read.
            session: Another session than the graph's.
            role: Its own system text.
            tools: What it may call: names of the session's tools, or functions; all by default.
            output: A type that its answer is read into, such as a pydantic model.
            retries: How often it is tried again where it fails. A provider that asks for time is
                given it without that.
            timeout_s: Seconds for one try. A function that blocks cannot be stopped: its thread
                goes on, and its result is dropped.
            weight: How long it is expected to take, beside the others; known from the `store` of an
                earlier run where there is one.
            version: Names what an agent is told, or all that a function calls, for the `store`:
                change it when that changes. A task of an agent is resumed only if it has one.

        Raises:
            GraphError: a name that is taken, or is none; anything else that cannot be had.
            UnknownObjectError: an agent of no known framework.

        """
        self._check_name(name)
        held = self._work(name, work, prompt)
        for what, given in (("needs", needs), ("after", after)):
            if isinstance(given, str):
                raise GraphError(f"Task {name!r}: {what}={given!r} is a string; pass a list.")
        if not isinstance(retries, int) or retries < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(f"Task {name!r}: retries={retries!r} is below 0, or no number.")
        for what, number in (
            ("timeout_s", 1 if timeout_s is None else timeout_s),
            ("weight", weight),
        ):
            if not _is_positive(number):
                raise GraphError(f"Task {name!r}: {what}={number!r} is no number above 0.")
        if not isinstance(version, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(f"Task {name!r}: version={version!r} is no string.")
        return self.put(
            Task(
                name,
                **held,
                needs=tuple(dict.fromkeys(needs)),
                after=tuple(dict.fromkeys(after)),
                session=session or self.session,
                role=role,
                tools=None if tools is None else tuple(tools),
                output=output,
                retries=retries,
                timeout_s=timeout_s,
                weight=weight,
                version=version,
            )
        )

    def put(self, task: Task) -> str:
        """Add a task as it is; returns its name. Raises GraphError for a name that is taken."""
        self._check_name(task.name)
        self._tasks[task.name] = task
        return task.name

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or not name.isidentifier():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(
                f"{name!r} is no name of a task: letters, digits and _, as in {{name}}."
            )
        if name in self._tasks:
            raise GraphError(f"There is a task {name!r} already. Name this one otherwise.")

    def _work(self, name: str, work: Any, prompt: str | None) -> dict[str, Any]:
        if isinstance(work, str):
            if prompt is not None or not work:
                raise GraphError(f"Task {name!r}: give it one prompt, that is not empty.")
            return {"prompt": work}
        if inspect.isroutine(work) or (callable(work) and prompt is None and _is_plain(work)):
            if prompt is not None:
                raise GraphError(f"Task {name!r}: a function is given its needs, and no prompt.")
            if inspect.isgeneratorfunction(work) or inspect.isasyncgenfunction(work):
                raise GraphError(f"Task {name!r}: a generator has no result. Return a list.")
            return {"prompt": None, "function": work}
        from agentcache.graphs.agents import runner_of  # noqa: PLC0415 - adapters load when needed

        runs = runner_of(work)
        if not prompt:
            raise GraphError(f"Task {name!r}: an agent is asked something: give it a prompt.")
        return {"prompt": prompt, "runs": runs}

    def check(self) -> "TaskGraph":
        """Return this graph, or raise GraphError naming all that keeps it from running."""
        checked(self._tasks, self.inputs)
        return self

    def run(
        self,
        *,
        limit: int | None = None,
        budget: Budget | float | None = None,
        store: RunStore | str | PathLike[str] | None = None,
        on: object = None,
        progress: bool | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> GraphResult:
        """Run the graph. A task that fails holds up only those that wait for it.

        Args:
            limit: Tasks that run at a time; 16 by default.
            budget: Dollars, or a `Budget`: once it is spent nothing more is begun.
            store: A `RunStore` or the path of one: what was paid for is kept there, task by task
                and call by call, and a run that was killed goes on from it.
            on: Where to run, if not in this process: a Dask `distributed.Client`, a scheduler's
                address, or `local` for two workers on this machine (extra `dask`). Other engines
                are found by entry points of group `agentcache.engines`.
            progress: Show it live; by default where a terminal is there to see it.
            on_event: Called with each `Event`, as it happens; what it raises is logged.

        Raises:
            GraphError: the graph cannot run; nothing was sent.
            OptionError: an option that cannot be had, or a task that cannot be sent to a cluster.
            EndpointError: no scheduler answers at this address.
            MissingExtraError: what `on` asks for is not installed.

        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise OptionError("An event loop runs here: await graph.arun(...) instead.")
        return asyncio.run(
            self.arun(
                limit=limit,
                budget=budget,
                store=store,
                on=on,
                progress=progress,
                on_event=on_event,
            )
        )

    async def arun(
        self,
        *,
        limit: int | None = None,
        budget: Budget | float | None = None,
        store: RunStore | str | PathLike[str] | None = None,
        on: object = None,
        progress: bool | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> GraphResult:
        """Async twin of `run`; cancelled, it stops what runs, and the store keeps what was done."""
        if limit is not None and (not isinstance(limit, int) or limit < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(f"limit={limit!r}: at least one task runs at a time.")
        if on_event is not None and not callable(on_event):
            raise OptionError(f"on_event={on_event!r} cannot be called.")
        engine, purse = _engine_on(on), Purse(Budget.of(budget))
        self.check()
        with _opened(store) as kept:
            plan = self._plan(limit or _LIMIT, purse, kept)
            with shown.progress(plan, wanted=progress) as told:

                def hear(event: Event, outcome: Outcome | None) -> None:
                    shown.told_to(told, on_event, event, outcome)

                board = Board(plan, hear)
                self._engine = engine
                try:
                    await engine.run(board, readers_of(self._tasks))
                finally:
                    self._engine = None
        return self._result(board, engine)

    def cancel(self, name: str | None = None) -> None:
        """Stop a task of the run under way and those behind it, or all; from any thread.

        The run returns with the results there are.
        """
        if name is not None and name not in self._tasks:
            raise OptionError(f"There is no task {name!r}.")
        if self._engine is not None:
            self._engine.cancel(name)

    def show(self) -> None:
        """Print the graph: its tasks by what they wait for."""
        shown.show_graph(checked(self._tasks, self.inputs))

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart, which notebooks and code hosts draw."""
        return pictures.mermaid(checked(self._tasks, self.inputs), self.inputs)

    def svg(self, path: str | PathLike[str] | None = None) -> str:
        """The graph as an SVG picture; written to a file if one is named."""
        made = pictures.svg(checked(self._tasks, self.inputs))
        if path is not None:
            Path(path).write_text(made, encoding="utf-8")
        return made

    def _repr_html_(self) -> str:
        """The picture, for notebooks."""
        return self.svg()

    def _plan(self, limit: int, purse: Purse, store: RunStore | None) -> Plan:
        ordered = checked(self._tasks, self.inputs)
        plan = Plan(ordered, self.inputs, {}, keys_of(ordered, self.inputs), limit, purse, store)
        for session in plan.sessions:
            purse.check(session.parent.parent.rule, session.model)
        known = {} if store is None else store.seconds([t.name for t in ordered])
        return Plan(
            ordered, self.inputs, ranks(_weighed(ordered, known)), plan.keys, limit, purse, store
        )

    def _result(self, board: Board, engine: Engine) -> GraphResult:
        plan = board.plan
        outcomes = {name: board.outcomes[name] for name in self._tasks}
        taken = {name: o.ended_s - o.started_s for name, o in outcomes.items()}
        chain = critical_path(plan.tasks, taken)[1]
        ledgers = {id(s.ledger): s.ledger for s in plan.sessions}
        return GraphResult(
            outcomes,
            board.now_s(),
            plan.limit,
            max(chain, sum(taken.values()) / plan.limit),
            tuple(ledgers.values()),
            tuple(e.told for e in board.events if e.kind == "note"),
            plan.purse.usd,
            engine.where,
            tuple(board.events),
        )


def _weighed(ordered: Sequence[Task], known: Mapping[str, float]) -> list[Task]:
    """The tasks with the seconds they took last, where all of them are known."""
    from dataclasses import replace  # noqa: PLC0415

    if not all(task.name in known for task in ordered):
        return list(ordered)
    return [replace(task, weight=max(known[task.name], 1e-6)) for task in ordered]


@contextmanager
def _opened(store: RunStore | str | PathLike[str] | None) -> Generator[RunStore | None]:
    """The store for what was passed; one that is opened here is closed again."""
    if store is None or isinstance(store, RunStore):
        yield store
    else:
        with closing(RunStore(store)) as opened:
            yield opened


def _is_positive(number: Any) -> bool:
    return isinstance(number, int | float) and 0 < number < math.inf


def _is_plain(work: Any) -> bool:
    """Whether a callable object is one by itself, and not an agent that can be called too."""
    package = type(work).__module__.partition(".")[0]
    return package not in {e.name for e in entry_points(group="agentcache.adapters")}


def _engine_on(on: object) -> Engine:
    """The engine for what was passed as `on=`."""
    if on is None:
        return InProcess()
    known = {e.name: e.value for e in entry_points(group=GROUP)}
    wanted = [_LOCAL[1]] if isinstance(on, str) else []
    wanted += [cls.__module__.partition(".")[0] for cls in type(on).__mro__]
    found = next((known[name] for name in wanted if name in known), None)
    if found is None:
        raise OptionError(
            f"on={on!r:.80}: no engine is installed for it (entry points of {GROUP}). Pass a "
            "distributed.Client, a scheduler's address, or 'local'; or leave it out to run in this "
            "process."
        )
    engine: Engine = import_module(found).engine_on(on)
    return engine
