"""Copies of one agent, for frameworks in which one object serves one caller at a time."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["Copies"]

T = TypeVar("T")


class Copies(Generic[T]):
    """As many copies as there are callers at a time; each is lent to one of them, and comes back.

    One whose caller failed does not: nobody knows in what state it is. `first`, where given, is
    lent before any copy is made.
    """

    def __init__(self, make: Callable[[], T], first: T | None = None) -> None:
        """Have no copy yet."""
        self._make = make
        self._free: list[T] = [] if first is None else [first]
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Generator[T]:
        """A copy that nobody else has, for a `with` block."""
        with self._lock:
            one = self._free.pop(0) if self._free else self._make()
        yield one
        with self._lock:
            self._free.insert(0, one)
