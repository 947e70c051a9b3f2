"""What became of tasks: events as they happen, an outcome each, and the result of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agentcache.errors import OptionError, TaskError
from agentcache.ledger import Ledger
from agentcache.usage import Usage

__all__ = ["Event", "EventKind", "GraphResult", "Outcome", "Status"]

Status = Literal["done", "resumed", "failed", "skipped", "cancelled"]
EventKind = Literal["started", "retry", "done", "resumed", "failed", "skipped", "cancelled", "note"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a task, `at_s` seconds after the run began."""

    kind: EventKind
    task: str
    at_s: float
    told: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    `value` is its result: the text of an answer, the `output` that was asked for, or what its
    function returned. `resumed` is one that an earlier run had finished. Times are seconds since
    the run began; `calls` counts paid calls of this run, `replayed` those known from an earlier
    one, `input_tokens` and `output_tokens` what they used, as far as providers say.
    """

    name: str
    status: Status
    value: Any = None
    error: BaseException | None = None
    why: str = ""
    started_s: float = 0.0
    ended_s: float = 0.0
    tries: int = 0
    calls: int = 0
    replayed: int = 0
    usages: tuple[Usage, ...] = ()
    where: str = ""

    @property
    def ok(self) -> bool:
        """Whether it has a result."""
        return self.status in ("done", "resumed")

    @property
    def input_tokens(self) -> int | None:
        """Input tokens of its calls; None where a provider did not say."""
        return _sum(u.input_tokens for u in self.usages)

    @property
    def cached_tokens(self) -> int | None:
        """Those of them that were read from a cache."""
        return _sum(u.cached_tokens for u in self.usages)

    @property
    def output_tokens(self) -> int | None:
        """Output tokens of its calls."""
        return _sum(u.output_tokens for u in self.usages)


def _sum(counts: Iterator[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


@dataclass(frozen=True, slots=True)
class GraphResult(Mapping[str, Any]):
    """What a run made: a mapping from the tasks that have a result to it.

    `outcomes` hold all tasks, also those without one, in the order they were added. `bound_s` is
    what the run could not be shorter than: its longest chain, or all its work at that `limit`.
    """

    outcomes: Mapping[str, Outcome]
    seconds: float
    limit: int
    bound_s: float
    ledgers: tuple[Ledger, ...] = ()
    notes: tuple[str, ...] = ()
    spent_usd: float | None = None
    where: str = "in process"
    events: tuple[Event, ...] = field(default=(), repr=False)

    def __getitem__(self, name: str) -> Any:
        """The result of a task; raises TaskError with the reason where it has none."""
        outcome = self.outcomes[name]
        if not outcome.ok:
            raise TaskError(_told(outcome))
        return outcome.value

    def __iter__(self) -> Iterator[str]:
        """The tasks that have a result."""
        return (name for name, outcome in self.outcomes.items() if outcome.ok)

    def __len__(self) -> int:
        """How many tasks have a result."""
        return sum(outcome.ok for outcome in self.outcomes.values())

    @property
    def ok(self) -> bool:
        """Whether all tasks have a result."""
        return len(self) == len(self.outcomes)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The tasks that have none, each with its `error`, or `why` it was not run."""
        return tuple(outcome for outcome in self.outcomes.values() if not outcome.ok)

    def check(self) -> "GraphResult":
        """Return this, or raise TaskError naming each task that failed."""
        if self.failed:
            raise TaskError("\n".join(map(_told, self.failed)))
        return self

    def show(self) -> None:
        """Print what became of each task."""
        from agentcache.graphs.shown import result_table  # noqa: PLC0415 - rich, when needed

        result_table(self)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the run's session; raises OptionError where there is not exactly one."""
        if len(self.ledgers) != 1:
            raise OptionError(f"This run has {len(self.ledgers)} ledgers: see `ledgers`.")
        return self.ledgers[0]


def _told(outcome: Outcome) -> str:
    error = outcome.error
    told = outcome.why or (f"{type(error).__name__}: {error}" if error is not None else "")
    return f"Task {outcome.name!r} {outcome.status}: {told}"
