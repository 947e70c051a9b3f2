"""The gate: one cold call per shared prefix, the others wait until its entry can be read.

Works across threads and event loops: one lock guards plain state, and no thread or loop of its own
runs. A caller can never wait for itself: calls nested inside a call that holds a pass go straight
through, and so does a blocking call on the thread of the event loop that it would wait for.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal

from agentcache.errors import OptionError

__all__ = ["Gate", "Pass", "Role", "Terms"]

_held: ContextVar["Pass | None"] = ContextVar("agentcache_gate_held", default=None)
_PATIENCE_S: Final = 120.0
_ROOM: Final = 64

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
    `ungated` one was not asked to, or would have waited for its own thread.
    `waited_s` is how long the gate held the call back; `over` turns true when the block ends. Set
    `writes` to False for a call that turns out not to carry the prefix: it warms nothing. `leads`
    are the passes for shorter prefixes that the same call writes.
    """

    role: Role
    key: Hashable
    terms: Terms
    started_s: float
    waited_s: float = 0.0
    gate: "Gate | None" = None
    over: bool = False
    writes: bool = True
    leads: "tuple[Pass, ...]" = ()

    def first_event(self) -> None:
        """Say that the response has begun: where the rules allow it, the others go now."""
        if self.over or not self.writes or self.terms.readable != "first_event":
            return
        if self.gate is not None:
            for held in (self, *self.leads):
                self.gate.readable(held)


@dataclass(slots=True)
class _Prefix:
    """State of one key; `inside` maps the calls under way to their threads."""

    key: Hashable
    warm_until: float = float("-inf")
    leader: Pass | None = None
    inside: dict[Pass, int] = field(default_factory=dict[Pass, int])
    queue: "deque[_Visit]" = field(default_factory=deque["_Visit"])


@dataclass(eq=False, slots=True)
class _Visit:
    """One caller, from asking to leaving; `blocking` if its thread stands still while it waits."""

    key: Hashable
    terms: Terms
    asked_s: float
    notify: Callable[[], object]
    blocking: bool
    thread: int = field(default_factory=threading.get_ident)
    granted: Pass | None = None


class Gate:
    """Single-flight per key; `patience_s` bounds how long one call may hold the others back."""

    def __init__(
        self,
        *,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a gate; `clock` returns seconds and never goes back."""
        if not patience_s > 0:
            raise OptionError(f"patience_s={patience_s!r} is not a positive number of seconds.")
        self.patience_s = patience_s
        self._clock = clock
        # Reentrant: the garbage collector may close an abandoned block while this thread is inside.
        self._lock = threading.RLock()
        self._prefixes: dict[Hashable, _Prefix] = {}
        self._room = _ROOM

    @contextmanager
    def enter(
        self, key: Hashable, terms: Terms, within: Sequence[Hashable] = ()
    ) -> Generator[Pass]:
        """Wait for a turn and hold it for the block; if the block raises, the lead passes on.

        `within` are the keys of shorter prefixes that the call's own begins with, the shortest
        first: it waits for whoever writes one of them, and writes for others those that are cold.
        """
        if _nested():
            yield Pass("nested", key, terms, self._clock())
            return
        asked_s = self._clock()
        with ExitStack() as stack:
            leads: list[Pass] = []
            for shorter in within:
                if not self.is_warm(shorter):
                    leads += _lead(stack, self._waited(shorter, terms))
            with self._waited(key, terms) as held, _holding(held, leads, asked_s):
                yield held

    @asynccontextmanager
    async def aenter(
        self, key: Hashable, terms: Terms, within: Sequence[Hashable] = ()
    ) -> AsyncGenerator[Pass]:
        """Async twin of `enter`."""
        if _nested():
            yield Pass("nested", key, terms, self._clock())
            return
        asked_s = self._clock()
        async with AsyncExitStack() as stack:
            leads: list[Pass] = []
            for shorter in within:
                if not self.is_warm(shorter):
                    leads += await _alead(stack, self._awaited(shorter, terms))
            async with self._awaited(key, terms) as held:
                with _holding(held, leads, asked_s):
                    yield held

    @contextmanager
    def _waited(self, key: Hashable, terms: Terms) -> Generator[Pass]:
        event = threading.Event()
        with self._visiting(key, terms, event.set, blocking=True) as visit:
            while visit.granted is None:
                event.wait(min(self._patience_left(visit), threading.TIMEOUT_MAX))
                self._settle(visit)
            yield visit.granted

    @asynccontextmanager
    async def _awaited(self, key: Hashable, terms: Terms) -> AsyncGenerator[Pass]:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def notify() -> None:
            loop.call_soon_threadsafe(_wake, woken)

        with self._visiting(key, terms, notify, blocking=False) as visit:
            while visit.granted is None:
                # Not wait_for: before Python 3.12 it can swallow a cancellation.
                await asyncio.wait({woken}, timeout=self._patience_left(visit))
                self._settle(visit)
            yield visit.granted

    def is_warm(self, key: Hashable) -> bool:
        """Whether a call with this prefix would find its entry, as far as the rules tell."""
        with self._lock:
            prefix = self._prefixes.get(key)
            return prefix is not None and self._clock() < prefix.warm_until

    def readable(self, held: Pass) -> None:
        """The entry that `held` writes can be read from now on."""
        with self._lock:
            prefix = self._prefix(held.key)
            self._warm(prefix, held)
            self._pump(prefix)

    def known_warm(self, held: Pass, left_s: float) -> None:
        """The entry that `held` was to write has been written elsewhere: it goes, and all others.

        It can be read for so many seconds more.
        """
        with self._lock:
            prefix = self._prefix(held.key)
            if prefix.leader is held:
                prefix.leader = None
            held.role = "follower"
            prefix.warm_until = max(prefix.warm_until, self._clock() + left_s)
            self._pump(prefix)

    @contextmanager
    def _visiting(
        self, key: Hashable, terms: Terms, notify: Callable[[], object], *, blocking: bool
    ) -> Generator[_Visit]:
        """Queue up, and leave for certain: granted or not, done or failed."""
        visit = _Visit(key, terms, self._clock(), notify, blocking)
        done = False
        try:
            self._join(visit)
            yield visit
            done = True
        finally:
            self._leave(visit, done=done)

    def _join(self, visit: _Visit) -> None:
        with self._lock:
            prefix = self._prefix(visit.key)
            prefix.queue.append(visit)
            self._pump(prefix)

    def _prefix(self, key: Hashable) -> _Prefix:
        found = self._prefixes.get(key)
        if found is None:
            if len(self._prefixes) >= self._room:
                self._forget()
            found = self._prefixes[key] = _Prefix(key)
        return found

    def _forget(self) -> None:
        """Drop what is cold and idle, so that a gate does not grow with the keys it has seen."""
        now = self._clock()
        self._prefixes = {
            key: prefix
            for key, prefix in self._prefixes.items()
            if prefix.inside or prefix.queue or now < prefix.warm_until
        }
        self._room = max(_ROOM, 2 * len(self._prefixes))

    def _pump(self, prefix: _Prefix) -> None:
        """Let in as many callers, oldest first, as the state allows."""
        now = self._clock()
        while prefix.queue:
            visit = prefix.queue[0]
            role = _role(prefix, visit.terms, now)
            if role is None:
                break
            self._grant(prefix, visit, role, now)
            if prefix.queue and prefix.queue[0] is visit:
                prefix.queue.popleft()
        for visit in [v for v in prefix.queue if v.blocking and v.thread in prefix.inside.values()]:
            self._grant(prefix, visit, "ungated", now)
            prefix.queue.remove(visit)

    def _grant(self, prefix: _Prefix, visit: _Visit, role: Role, now: float) -> None:
        if visit.granted is not None:
            return
        granted = Pass(role, prefix.key, visit.terms, now, now - visit.asked_s, self)
        try:
            visit.notify()
        except RuntimeError:  # its event loop is closed: nobody is waiting any more
            return
        visit.granted = granted
        if role == "ungated":
            return
        prefix.inside[granted] = visit.thread
        if role == "leader":
            prefix.leader = granted

    def _leave(self, visit: _Visit, *, done: bool) -> None:
        with self._lock:
            prefix, held = self._prefix(visit.key), visit.granted
            if held is None:
                with suppress(ValueError):  # not queued any more: its event loop was closed
                    prefix.queue.remove(visit)
            else:
                held.over = True
                self._drop(prefix, held)
                if done and held.writes:
                    self._warm(prefix, held)
            self._pump(prefix)

    def _drop(self, prefix: _Prefix, held: Pass) -> None:
        prefix.inside.pop(held, None)
        if prefix.leader is held:
            prefix.leader = None

    def _warm(self, prefix: _Prefix, held: Pass) -> None:
        if prefix.leader is held:
            prefix.leader = None
        from_s = held.started_s if held.terms.ttl_from == "request_start" else self._clock()
        prefix.warm_until = max(prefix.warm_until, from_s + held.terms.ttl_s)

    def _left(self, held: Pass, now: float) -> float:
        return held.started_s + self.patience_s - now

    def _patience_left(self, visit: _Visit) -> float:
        """Seconds until the oldest call that may hold this one back has used up its patience."""
        with self._lock:
            now = self._clock()
            inside = self._prefix(visit.key).inside
            left = min((self._left(p, now) for p in inside), default=self.patience_s)
            return max(0.0, left)

    def _settle(self, visit: _Visit) -> None:
        """Stop waiting for calls that have used up their patience, then let in who may go."""
        if visit.granted is not None:
            return
        with self._lock:
            prefix, now = self._prefix(visit.key), self._clock()
            for overdue in [p for p in prefix.inside if self._left(p, now) <= 0]:
                self._drop(prefix, overdue)
            self._pump(prefix)


def _role(prefix: _Prefix, terms: Terms, now: float) -> Role | None:
    """What a caller would be if it went now; None if it has to wait."""
    if terms.placement == "in_turn" and prefix.inside:
        return None
    if terms.readable == "at_once" or now < prefix.warm_until:
        return "follower"
    return "leader" if prefix.leader is None else None


def _nested() -> bool:
    """Whether this call runs inside one that still holds a pass, be it of another gate."""
    outer = _held.get()
    return outer is not None and not outer.over


def _lead(stack: ExitStack, turn: AbstractContextManager[Pass]) -> list[Pass]:
    """Wait for a shorter prefix; whoever leads there goes on holding it."""
    with ExitStack() as own:
        held = own.enter_context(turn)
        if held.role == "leader":
            stack.push(own.pop_all())
            return [held]
        held.writes = False  # nothing was sent under it
    return []


async def _alead(stack: AsyncExitStack, turn: AbstractAsyncContextManager[Pass]) -> list[Pass]:
    """Async twin of `_lead`."""
    async with AsyncExitStack() as own:
        held = await own.enter_async_context(turn)
        if held.role == "leader":
            stack.push_async_exit(own.pop_all())
            return [held]
        held.writes = False
    return []


@contextmanager
def _holding(held: Pass, leads: Sequence[Pass], asked_s: float) -> Generator[None]:
    held.leads, held.waited_s = tuple(leads), held.started_s - asked_s
    token = _held.set(held)
    try:
        yield
    finally:
        for lead in leads:
            lead.writes = held.writes
        with suppress(ValueError):  # an abandoned block is closed in another context
            _held.reset(token)


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)
