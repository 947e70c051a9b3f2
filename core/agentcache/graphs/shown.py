"""A graph in a terminal: its tasks, what runs, and what became of it."""

import logging
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from agentcache.graphs.checking import levels, waits_for
from agentcache.graphs.outcomes import Event, GraphResult, Outcome
from agentcache.graphs.plans import Plan
from agentcache.graphs.tasks import Task

__all__ = ["progress", "result_table", "show_graph", "told_to"]

_log = logging.getLogger("agentcache")
_STYLES: Final = {
    "done": "green",
    "resumed": "cyan",
    "failed": "red",
    "skipped": "yellow",
    "cancelled": "yellow",
}
_ROOM: Final = 12
"""Tasks under way that are shown by name."""


@dataclass(slots=True)
class Told:
    """A live view of a run."""

    bar: Progress
    total: Any
    rows: dict[str, Any] = field(default_factory=dict[str, Any])
    began: dict[str, float] = field(default_factory=dict[str, float])

    def hear(self, event: Event, outcome: Outcome | None) -> None:
        """Show what happened."""
        if event.kind == "started" and len(self.rows) < _ROOM:
            self.rows[event.task] = self.bar.add_task(f"  {event.task}", total=1)
        elif event.kind == "retry" and event.task in self.rows:
            told = f"  {event.task} [yellow]again: {_short(event.told)}"
            self.bar.update(self.rows[event.task], description=told)
        if outcome is None:
            return
        row = self.rows.pop(event.task, None)
        if row is not None:
            self.bar.remove_task(row)
        self.bar.advance(self.total)
        if not outcome.ok:
            style = _STYLES[outcome.status]
            self.bar.console.print(
                f"[{style}]{outcome.status}[/] {outcome.name}: ", end="", highlight=False
            )
            self.bar.console.print(_short(event.told), markup=False, highlight=False)


@contextmanager
def progress(plan: Plan, *, wanted: bool | None) -> Generator[Told | None]:
    """A live view on stderr, if it is wanted, or a terminal is there to see it."""
    console = Console(file=sys.stderr)
    if not (console.is_terminal if wanted is None else wanted):
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Told(bar, bar.add_task("tasks", total=len(plan.tasks)))


def told_to(
    told: Told | None,
    on_event: Callable[[Event], object] | None,
    event: Event,
    outcome: Outcome | None,
) -> None:
    """Tell whoever listens; what they raise is logged, and the run goes on."""
    try:
        if told is not None:
            told.hear(event, outcome)
        if on_event is not None:
            on_event(event)
    except Exception:  # noqa: BLE001 - listening never breaks a run
        _log.exception("on_event raised; the run goes on")


def show_graph(ordered: Sequence[Task]) -> None:
    """Print the tasks by how many stand before them."""
    table = Table(box=None, pad_edge=False, title=f"{len(ordered)} tasks", title_justify="left")
    for name in ("", "task", "after", "what"):
        table.add_column(name, overflow="fold")
    known = {task.name for task in ordered}
    for depth, row in enumerate(levels(ordered)):
        for task in row:
            before = ", ".join(waits_for(task, known)) or "-"
            table.add_row(str(depth + 1), task.name, before, _what(task))
        table.add_section()
    Console().print(table, markup=False)


def _what(task: Task) -> str:
    if task.function is not None:
        return f"{getattr(task.function, '__name__', type(task.function).__name__)}()"
    return _short(task.prompt or "", 60)


def result_table(result: GraphResult) -> None:
    """Print what became of each task, and how long the run took beside its bound."""
    table = Table(box=None, pad_edge=False)
    table.add_column("task", overflow="ellipsis", no_wrap=True, min_width=10)
    table.add_column("", no_wrap=True, min_width=7)
    for name in ("begun", "took", "calls", "input", "cached", "output"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6)
    table.add_column("result", overflow="ellipsis", no_wrap=True, max_width=20)
    for outcome in result.outcomes.values():
        told = outcome.why or str(outcome.error or "") if not outcome.ok else str(outcome.value)
        table.add_row(
            outcome.name,
            f"[{_STYLES[outcome.status]}]{outcome.status}[/]",
            f"{outcome.started_s:.2f}",
            f"{outcome.ended_s - outcome.started_s:.2f}",
            f"{outcome.calls}" + (f"+{outcome.replayed}" if outcome.replayed else ""),
            *(
                _count(n) if outcome.calls else "-"
                for n in (outcome.input_tokens, outcome.cached_tokens, outcome.output_tokens)
            ),
            _escaped(_short(told, 40)),
        )
    console = Console()
    console.print(table)
    done = len(result)
    bound = f", at least {result.bound_s:.2f} s" if result.bound_s > 0.01 else ""
    spent = f", ${result.spent_usd:.4f}" if result.spent_usd else ""
    console.print(
        f"{done} of {len(result.outcomes)} tasks, {result.seconds:.2f} s{bound} "
        f"({result.where}, {result.limit} at a time){spent}",
        style="dim",
        highlight=False,
    )
    for note in dict.fromkeys(result.notes):
        console.print(note, style="dim", highlight=False, markup=False)


def _escaped(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def _short(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
