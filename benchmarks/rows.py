"""What a benchmark returns, and how times that are compared are taken."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Row", "SkippedError", "busy_ms", "in_turn_ms"]


class SkippedError(Exception):
    """A benchmark cannot run here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number beside what it is compared with; `below` is the target of its value or ratio.

    `note` says what else a reader should know: that figures are emulated, what they were made of.
    """

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float
    below: float | None = None
    of: Literal["value", "ratio"] = "value"
    note: str = ""

    @property
    def ratio(self) -> float:
        """The value in units of its baseline."""
        return self.value / self.baseline_value

    @property
    def target(self) -> str:
        """The target as a reader wants it; empty if there is none."""
        if self.below is None:
            return ""
        return f"< {self.below:g}{'x' if self.of == 'ratio' else ' ' + self.unit}"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.below is None:
            return None
        return (self.ratio if self.of == "ratio" else self.value) < self.below


def busy_ms(work: Callable[[], object]) -> float:
    """Milliseconds of processor time that one run takes: other programs do not stretch them."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000


def _elapsed_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def in_turn_ms(works: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds that each takes, in turn: a slow moment of the machine falls on all."""
    turns = [{name: _elapsed_ms(work) for name, work in works.items()} for _ in range(runs)]
    return {name: statistics.median(turn[name] for turn in turns) for name in works}
