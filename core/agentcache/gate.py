"""The gate: one cold call per shared prefix, the others wait until its entry can be read.

Works across threads and event loops: one lock guards plain state, and no thread or loop of its own
runs. Calls nested inside a call that holds a pass go straight through, so that a caller can never
wait for itself.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["Gate", "Pass", "Role", "Terms"]

_inside: ContextVar[bool] = ContextVar("agentcache_gate_inside", default=False)
_PATIENCE_S: Final = 120.0

Role = Literal["leader", "follower", "nested", "ungated"]


@dataclass(frozen=True, slots=True)
class Terms:
    """How an entry behaves: lifetime in seconds and from when, when readable, how many at once."""

    ttl_s: float = 300.0
    ttl_from: Literal["request_start", "last_use"] = "last_use"
    readable: Literal["first_event", "completion", "at_once"] = "completion"
    placement: Literal["parallel", "in_turn"] = "parallel"


@dataclass(eq=False, slots=True)
class Pass:
    """Permission to send one call, good until its block ends.

    A `leader` found the prefix cold, a `follower` found it warm, a `nested` call never waits, an
    `ungated` one was not asked to.
    `waited_s` is how long the gate held the call back.
    """

    role: Role
    key: Hashable
    terms: Terms
    started_s: float
    waited_s: float = 0.0
    gate: "Gate | None" = None

    def first_event(self) -> None:
        """Say that the response has begun: where the rules allow it, the others go now."""
        if self.gate is not None and self.terms.readable == "first_event":
            self.gate.readable(self)


@dataclass(eq=False, slots=True)
class _Waiter:
    terms: Terms
    asked_s: float
    notify: Callable[[], object]
    granted: Pass | None = None


@dataclass(slots=True)
class _Prefix:
    key: Hashable
    warm_until: float = float("-inf")
    leader: Pass | None = None
    inside: set[Pass] = field(default_factory=set[Pass])
    queue: deque[_Waiter] = field(default_factory=deque[_Waiter])


class Gate:
    """Single-flight per key; `patience_s` bounds how long one call may hold the others back."""

    def __init__(
        self,
        *,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a gate; `clock` returns seconds and never goes back."""
        self.patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._prefixes: dict[Hashable, _Prefix] = {}

    @contextmanager
    def enter(self, key: Hashable, terms: Terms) -> Iterator[Pass]:
        """Wait for a turn and hold it for the block; if the block raises, the lead is handed over."""
        held = self._nested(key, terms) or self._wait(key, terms)
        with self._holding(held):
            yield held

    @asynccontextmanager
    async def aenter(self, key: Hashable, terms: Terms) -> AsyncIterator[Pass]:
        """Async twin of `enter`."""
        held = self._nested(key, terms) or await self._await(key, terms)
        with self._holding(held):
            yield held

    def is_warm(self, key: Hashable) -> bool:
        """Whether a call with this prefix would find its entry, as far as the rules tell."""
        with self._lock:
            prefix = self._prefixes.get(key)
            return prefix is not None and self._clock() < prefix.warm_until

    def readable(self, held: Pass) -> None:
        """The entry that `held` writes can be read from now on."""
        with self._lock:
            prefix = self._prefixes.get(held.key)
            if prefix is not None:
                self._warm(prefix, held)
                self._pump(prefix)

    @contextmanager
    def _holding(self, held: Pass) -> Iterator[None]:
        token = _inside.set(True)
        done = False
        try:
            yield
            done = True
        finally:
            _inside.reset(token)
            self._leave(held, done=done)

    def _nested(self, key: Hashable, terms: Terms) -> Pass | None:
        return Pass("nested", key, terms, self._clock()) if _inside.get() else None

    def _wait(self, key: Hashable, terms: Terms) -> Pass:
        event = threading.Event()
        waiter = self._join(key, terms, event.set)
        try:
            while waiter.granted is None:
                event.wait(self._deadline(key))
                event.clear()
                self._settle(key)
        except BaseException:
            self._withdraw(key, waiter)
            raise
        return waiter.granted

    async def _await(self, key: Hashable, terms: Terms) -> Pass:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        waiter = self._join(key, terms, lambda: loop.call_soon_threadsafe(event.set))
        try:
            while waiter.granted is None:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(event.wait(), self._deadline(key))
                event.clear()
                self._settle(key)
        except BaseException:
            self._withdraw(key, waiter)
            raise
        return waiter.granted

    def _join(self, key: Hashable, terms: Terms, notify: Callable[[], object]) -> _Waiter:
        waiter = _Waiter(terms, self._clock(), notify)
        with self._lock:
            prefix = self._prefixes.setdefault(key, _Prefix(key))
            prefix.queue.append(waiter)
            self._pump(prefix)
        return waiter

    def _pump(self, prefix: _Prefix) -> None:
        """Let in as many waiters, oldest first, as the state allows."""
        while prefix.queue:
            waiter = prefix.queue[0]
            now = self._clock()
            role = _role(prefix, waiter.terms, now)
            if role is None:
                return
            prefix.queue.popleft()
            self._grant(prefix, waiter, role, now)

    def _grant(self, prefix: _Prefix, waiter: _Waiter, role: Role, now: float) -> None:
        granted = Pass(role, prefix.key, waiter.terms, now, now - waiter.asked_s, self)
        try:
            waiter.notify()
        except RuntimeError:  # its event loop is closed: nobody is waiting any more
            return
        waiter.granted = granted
        prefix.inside.add(granted)
        if role == "leader":
            prefix.leader = granted

    def _leave(self, held: Pass, *, done: bool) -> None:
        with self._lock:
            prefix = self._prefixes.get(held.key)
            if prefix is None or held.role == "nested":
                return
            prefix.inside.discard(held)
            if done:
                self._warm(prefix, held)
            elif prefix.leader is held:
                prefix.leader = None
            self._pump(prefix)

    def _warm(self, prefix: _Prefix, held: Pass) -> None:
        if prefix.leader is held:
            prefix.leader = None
        from_s = held.started_s if held.terms.ttl_from == "request_start" else self._clock()
        prefix.warm_until = max(prefix.warm_until, from_s + held.terms.ttl_s)

    def _deadline(self, key: Hashable) -> float | None:
        """Seconds until the call that holds the others back has used up its patience."""
        with self._lock:
            blockers = self._prefixes[key].inside
            oldest = min((b.started_s for b in blockers), default=self._clock())
            return max(0.0, oldest + self.patience_s - self._clock())

    def _settle(self, key: Hashable) -> None:
        """Stop waiting for calls that have used up their patience, then let in who may go."""
        with self._lock:
            prefix = self._prefixes[key]
            now = self._clock()
            for overdue in [p for p in prefix.inside if now - p.started_s >= self.patience_s]:
                prefix.inside.discard(overdue)
                if prefix.leader is overdue:
                    prefix.leader = None
            self._pump(prefix)

    def _withdraw(self, key: Hashable, waiter: _Waiter) -> None:
        with self._lock:
            if waiter.granted is None:
                prefix = self._prefixes[key]
                prefix.queue.remove(waiter)
                self._pump(prefix)
                return
        self._leave(waiter.granted, done=False)


def _role(prefix: _Prefix, terms: Terms, now: float) -> Role | None:
    """What a caller would be if it went now; None if it has to wait."""
    if terms.placement == "in_turn" and prefix.inside:
        return None
    if terms.readable == "at_once" or now < prefix.warm_until:
        return "follower"
    return "leader" if prefix.leader is None else None
