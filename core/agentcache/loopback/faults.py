"""Things that go wrong on request."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from agentcache.errors import OptionError
from agentcache.loopback.values import Turn

__all__ = ["Fault", "FaultKind", "Faults"]

FaultKind = Literal["429", "500", "529", "cut_stream", "slow", "no_usage", "hang"]
"""`cut_stream` drops the connection half way; `hang` never answers; `slow` waits first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Let something go wrong.

    `at` is the number of a model request (1 is the first one after the start or the last
    `reset()`), or a predicate on its turn, or None for whichever comes next. It strikes
    `times` requests: from that number on, or the first ones that match.
    """

    kind: FaultKind
    at: int | Callable[[Turn], bool] | None = None
    times: int = 1
    retry_after_s: float | None = None
    delay_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a kind that does not exist."""
        if self.kind not in get_args(FaultKind):
            known = ", ".join(get_args(FaultKind))
            raise OptionError(f"Fault kind {self.kind!r} does not exist. Known: {known}.")


class Faults:
    """Hold the faults that have not struck yet; safe to add to from any thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        """Start with these."""
        self._lock = threading.Lock()
        self._waiting = [(fault, fault.times) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Add one."""
        with self._lock:
            self._waiting.append((fault, fault.times))

    def strike(self, number: int, turn: Turn) -> Fault | None:
        """Return the fault that hits this request, and count it."""
        with self._lock:
            for index, (fault, left) in enumerate(self._waiting):
                if left > 0 and _hits(fault, number, turn):
                    self._waiting[index] = (fault, left - 1)
                    return fault
        return None


def _hits(fault: Fault, number: int, turn: Turn) -> bool:
    if fault.at is None:
        return True
    if isinstance(fault.at, int):
        return number >= fault.at
    return fault.at(turn)
