"""parallel: a framework's own program, its tasks begun as soon as what they wait for is there."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentcache.errors import OptionError
from agentcache.graphs import Event, GraphResult, TaskGraph
from agentcache.wrapping import adapter_for

__all__ = ["aparallel", "parallel"]


def parallel(
    x: object,
    *,
    inputs: Mapping[str, Any] | None = None,
    limit: int | None = None,
    progress: bool | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Any:
    """Run a CrewAI crew, wrapped or not; tasks that do not read each other run at the same time.

    Returns what `crew.kickoff(inputs=inputs)` returns, and leaves behind what that leaves; the
    model is sent the same prompts. A task that fails holds up those that read it; the others
    finish, then its error is raised.

    Args:
        x: A `crewai.Crew` with sequential process.
        inputs: As for `kickoff`.
        limit: Tasks that run at a time; 16 by default.
        progress: Show it live; by default where a terminal is there to see it, and the program
            itself writes nothing to it.
        on_event: Called with each `Event`, as it happens; what it raises is logged.

    Raises:
        OptionError: it cannot be run in parallel; why, and what to do instead.
        UnknownObjectError: no installed adapter takes `x`.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _Runs(limit, progress, on_event).all_of(x, inputs)
    raise OptionError("An event loop runs here: await agentcache.aparallel(...) instead.")


async def aparallel(
    x: object,
    *,
    inputs: Mapping[str, Any] | None = None,
    limit: int | None = None,
    progress: bool | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Any:
    """Async twin of `parallel`, in a thread, as CrewAI's `kickoff_async` is.

    Cancelled, it begins nothing more.
    """
    runs = _Runs(limit, progress, on_event)
    try:
        return await asyncio.to_thread(runs.all_of, x, inputs)
    except asyncio.CancelledError:
        for graph in runs.graphs:
            graph.cancel()
        raise


@dataclass(slots=True)
class _Runs:
    """How the graphs of a program are run; the adapter says what they are."""

    limit: int | None
    progress: bool | None
    on_event: Callable[[Event], object] | None
    graphs: list[TaskGraph] = field(default_factory=list[TaskGraph])

    def all_of(self, x: object, inputs: Mapping[str, Any] | None) -> Any:
        """Run a program by its adapter."""
        runs: Any = getattr(adapter_for(x), "in_parallel", None)
        if runs is None:
            raise OptionError(
                f"{type(x).__name__} has no tasks of its own that could run in parallel. Add it "
                "to a graph: TaskGraph().add(name, agent, prompt)."
            )
        return runs(x, inputs, self)

    def __call__(self, graph: TaskGraph, *, quiet: bool = False) -> GraphResult:
        """Run one graph; `quiet` where the program itself writes to the terminal."""
        self.graphs.append(graph)
        progress = False if quiet and self.progress is None else self.progress
        return graph.run(limit=self.limit, progress=progress, on_event=self.on_event)
