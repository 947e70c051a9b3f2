"""A plan: a graph that was checked, with all that an engine needs to run it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentcache.graphs.budgets import Purse
from agentcache.graphs.outcomes import Event, EventKind, Outcome
from agentcache.graphs.store import RunStore
from agentcache.graphs.tasks import AnySession, Task

__all__ = ["Board", "Engine", "Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the tasks, each behind those it waits for, and how much each matters.

    `ranks` are the weights of the longest chains that begin with a task: the largest goes first.
    `keys` name in the `store` what a task has made; `limit` tasks run at a time.
    """

    tasks: tuple[Task, ...]
    inputs: Mapping[str, Any]
    ranks: Mapping[str, float]
    keys: Mapping[str, str]
    limit: int
    purse: Purse
    store: RunStore | None = None

    @property
    def sessions(self) -> tuple[AnySession, ...]:
        """The sessions that its tasks ask, each once."""
        held = {id(t.session): t.session for t in self.tasks if t.session is not None}
        return tuple(held.values())


@dataclass(slots=True)
class Board:
    """What has become of a plan's tasks so far, and who is told of it."""

    plan: Plan
    hear: Callable[[Event, Outcome | None], object]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    events: list[Event] = field(default_factory=list[Event])
    began_s: float = field(default_factory=time.monotonic)

    def now_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began_s

    def tell(self, kind: EventKind, task: str, told: str = "", at: Outcome | None = None) -> None:
        """Say that something happened."""
        event = Event(kind, task, self.now_s(), told)
        self.events.append(event)
        self.hear(event, at)

    def finish(self, outcome: Outcome) -> None:
        """Take down what became of a task."""
        self.outcomes[outcome.name] = outcome
        if outcome.ok:
            self.values[outcome.name] = outcome.value
        told = outcome.why or (
            f"{type(outcome.error).__name__}: {outcome.error}" if outcome.error else ""
        )
        self.tell(outcome.status, outcome.name, told, outcome)


class Engine(Protocol):
    """Where a plan runs. An entry point of group `agentcache.engines` names a module for it.

    Its key is the top-level package of what is passed as `on=`; the module has `engine_on(on)`,
    which returns an Engine.
    """

    where: str

    async def run(self, board: Board, readers: Mapping[str, Sequence[str]]) -> None:
        """Run the board's plan to its end: an outcome for each task, whatever happens.

        `readers` are, for each task, those that wait for it.
        """
        ...

    def cancel(self, name: str | None) -> None:
        """Stop a task, or everything; from any thread. The board then holds what there is."""
        ...
