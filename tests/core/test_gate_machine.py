"""The gate as a machine: any schedule of callers, stepped by hand on a clock of its own.

Threads and tasks act one at a time. Once all have come to rest, who is inside and who still waits
is compared with what the entry's terms promise.
"""

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentcache import gate
from agentcache.gate import Gate, Pass, Terms

PATIENCE_S = 50.0
WITHIN: dict[str, tuple[str, ...]] = {"a": (), "b": (), "ab": ("a",)}
"""Each key with the keys of the shorter prefixes that its own begins with."""
FAMILIES = (("a", "ab"), ("b",))
TERMS = st.builds(
    Terms,
    ttl_s=st.sampled_from([20.0, 1000.0]),
    ttl_from=st.sampled_from(["request_start", "last_use"]),
    readable=st.sampled_from(["first_event", "completion", "at_once"]),
    placement=st.sampled_from(["parallel", "in_turn"]),
)


class AbandonedError(BaseException):
    """Ends a thread that a broken gate would keep for ever."""


class Stage:
    """Where threads wait: tells when all of them have come to rest, and moves the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.closed = False
        self._director = threading.get_ident()
        self._changed = threading.Condition()
        self._awake = 0
        self._asleep: list[Callable[[], bool]] = []

    def __call__(self) -> float:
        return self.now

    def start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                self.tell(lambda: self._count(-1))

        self._count(1)
        threading.Thread(target=run, daemon=True).start()

    def _count(self, more: int) -> None:
        self._awake += more

    def tell(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            if not until():
                assert threading.get_ident() != self._director, "the event loop stands still"
                self._asleep.append(until)
                self._changed.notify_all()
                self._changed.wait_for(lambda: until() or self.closed)
                self._asleep.remove(until)
            if self.closed:
                raise AbandonedError

    def rest(self) -> None:
        """Return when every thread has ended, or waits for what has not happened."""
        with self._changed:
            self._changed.wait_for(self._at_rest)

    def _at_rest(self) -> bool:
        return self._awake == len(self._asleep) and not any(until() for until in self._asleep)

    def pass_time(self, seconds: float) -> None:
        self.tell(lambda: setattr(self, "now", self.now + seconds))

    def close(self) -> None:
        self.tell(lambda: setattr(self, "closed", True))
        with self._changed:
            self._changed.wait_for(lambda: self._awake == 0)

    def event(self) -> Any:
        """What `threading.Event` is, with its time-out on this clock."""
        flag: list[bool] = []

        def wait(timeout: float) -> None:
            end = self.now + timeout
            self.wait(lambda: bool(flag) or self.now >= end)

        return SimpleNamespace(set=lambda: self.tell(lambda: flag.append(True)), wait=wait)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop on the stage's clock that runs only when told to."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        super().__init__()

    def time(self) -> float:
        return self._stage.now

    def step(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()

    def busy(self) -> bool:
        due = self._scheduled and self._scheduled[0].when() <= self.time()
        return bool(self._ready or due)


@dataclass(eq=False)
class Caller:
    """One caller, seen from outside the gate; `wrote`: others can read what it wrote."""

    key: str
    kind: Literal["task", "thread", "on_the_loop"]
    writes: bool
    held: Pass | None = None
    wrote: bool = False
    met: bool = False
    ended: bool = False
    inner_role: str = ""
    order: Callable[[str], object] = field(default=lambda _: None, repr=False)

    @property
    def inside(self) -> bool:
        return self.held is not None and not self.ended

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Its own, and those of shorter prefixes that it writes for others."""
        return () if self.held is None else (self.held, *self.held.leads)


def family_of(key: str) -> tuple[str, ...]:
    return next(family for family in FAMILIES if key in family)


class GateMachine(RuleBasedStateMachine):
    """Callers come, stream, end well or badly, give up or overstay; time passes."""

    gate_type: type[Gate] = Gate

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.loop = SteppedLoop(self.stage)
        self.gate = self.gate_type(patience_s=PATIENCE_S, clock=self.stage)
        self.callers: list[Caller] = []
        self.readable_until = dict.fromkeys(WITHIN, float("-inf"))
        self.tasks: list[asyncio.Task[None]] = []
        self.patch = pytest.MonkeyPatch()
        names = {name: getattr(threading, name) for name in ("get_ident", "TIMEOUT_MAX")}
        stand_in = SimpleNamespace(**names, Event=self.stage.event)
        self.patch.setattr("agentcache.gate.threading", stand_in)

    @initialize(terms=st.tuples(TERMS, TERMS))
    def open(self, terms: tuple[Terms, Terms]) -> None:
        one, other = terms
        self.terms = {"a": one, "ab": one, "b": other}

    # What happens

    @rule(
        key=st.sampled_from(sorted(WITHIN)),
        kind=st.sampled_from(["task", "task", "thread", "on_the_loop"]),
        writes=st.sampled_from([True, True, True, False]),
    )
    def start(self, key, kind, writes) -> None:
        if kind == "on_the_loop" and any(
            other.kind == "thread" for near in family_of(key) for other in self.of(near)
        ):
            kind = "task"  # the loop would stand still until that thread is done
        caller = Caller(key, kind, writes)
        self.callers.append(caller)
        getattr(self, f"start_{kind}")(caller)
        self.rest()

    @precondition(lambda self: self.inside())
    @rule(data=st.data())
    def see_the_first_event(self, data) -> None:
        caller = self.pick(data, self.inside())
        if self.terms[caller.key].readable == "first_event":
            self.write(caller)
        caller.order("first_event")
        self.rest()

    @precondition(lambda self: self.inside())
    @rule(data=st.data(), how=st.sampled_from(["done", "done", "fail", "cancel"]))
    def end(self, data, how) -> None:
        self.end_of(self.pick(data, self.inside()), how)
        self.rest()

    @precondition(lambda self: self.tasks_waiting())
    @rule(data=st.data())
    def give_up_waiting(self, data) -> None:
        self.pick(data, self.tasks_waiting()).order("cancel")
        self.rest()

    @precondition(lambda self: self.inside() and self.tasks_waiting())
    @rule(data=st.data(), how=st.sampled_from(["done", "fail"]), steps=st.integers(0, 5))
    def end_while_another_gives_up(self, data, how, steps) -> None:
        leaving = self.pick(data, self.tasks_waiting())
        self.end_of(self.pick(data, self.inside()), how)
        self.stage.rest()
        for _ in range(steps):
            self.loop.step()
        leaving.order("cancel")
        self.rest()

    @precondition(lambda self: self.inside())
    @rule(data=st.data())
    def call_from_inside(self, data) -> None:
        caller = self.pick(data, self.inside())
        caller.inner_role = ""
        caller.order("nested")
        self.rest()
        assert caller.inner_role == "nested", "a nested call had to wait"

    @rule(seconds=st.sampled_from([1.0, 10.0, 30.0, PATIENCE_S]))
    def pass_time(self, seconds) -> None:
        self.stage.pass_time(seconds)
        self.rest()

    def teardown(self) -> None:
        """Let all of them finish: nobody may be left behind. After a failure, only clean up."""
        try:
            while self.inside() and sys.exc_info()[0] is None:
                ending = self.inside()[0]
                self.end_of(ending, "done")
                self.rest()
                assert ending.ended, "a call could not end"
                self.check()
            if sys.exc_info()[0] is None:
                assert all(c.ended for c in self.callers), "somebody waits for ever"
                left = [p for p in self.gate._prefixes.values() if p.inside or p.queue or p.leader]
                assert not left, "kept a call"
        finally:
            self.close()

    # What must hold

    @invariant()
    def check(self) -> None:
        for key, within in WITHIN.items():
            assert len(self.leading(key)) <= 1, "two cold calls at a time"
            warm = self.stage.now < self.readable_until[key]
            assert self.gate.is_warm(key) == warm, f"warm is {not warm}"
            if self.terms[key].placement == "in_turn":
                assert len(self.counted(key)) <= 1, "two inside where calls go in turn"
            elif self.waiting(key) and all(map(self.is_readable, within)):
                assert not self.is_readable(key), "could read, and waits"
                assert any(map(self.leading, family_of(key))), "waits for nobody to write"
            if self.waiting(key):
                assert any(map(self.counted, family_of(key))), "waits for nobody's turn"

    def rest(self) -> None:
        """Wait until nothing moves; check who was let in by what happened."""
        self.stage.rest()
        while self.loop.busy():
            self.loop.step()
            self.stage.rest()
        for came in (c for c in self.inside() if not c.met):
            came.met = True
            if came.held.role == "ungated":
                assert came.kind == "on_the_loop", "not held back by its own thread"
                continue
            role = "follower" if self.is_readable(came.key) else "leader"
            assert came.held.role == role, f"came in as {came.held.role}, not as {role}"
            if came.held.waited_s == 0 and came.kind != "on_the_loop":
                cold = {k for k in WITHIN[came.key] if not self.is_readable(k)}
                assert cold <= {p.key for p in came.passes}, f"writes {cold} behind its leader"
            if not WITHIN[came.key]:
                earlier = self.callers[: self.callers.index(came)]
                assert not set(earlier) & set(self.waiting(came.key)), "overtook somebody"

    # What the terms say

    def write(self, caller: Caller) -> None:
        if not caller.writes:
            return
        caller.wrote = True
        for held in caller.passes:
            terms = self.terms[held.key]
            start = held.started_s if terms.ttl_from == "request_start" else self.stage.now
            until = max(self.readable_until[held.key], start + terms.ttl_s)
            self.readable_until[held.key] = until

    def is_readable(self, key: str) -> bool:
        at_once = self.terms[key].readable == "at_once"
        return at_once or self.stage.now < self.readable_until[key]

    def of(self, key: str) -> list[Caller]:
        return [c for c in self.callers if c.key == key and not c.ended]

    def inside(self) -> list[Caller]:
        return [c for c in self.callers if c.inside]

    def waiting(self, key: str) -> list[Caller]:
        return [c for c in self.of(key) if c.held is None]

    def tasks_waiting(self) -> list[Caller]:
        return [c for key in WITHIN for c in self.waiting(key) if c.kind == "task"]

    def counted(self, key: str) -> list[Pass]:
        """Who may hold the others back: let in by the gate's leave, and not overstaying."""
        now = self.stage.now
        passes = (held for c in self.inside() for held in c.passes if held.role != "ungated")
        return [p for p in passes if p.key == key and now < p.started_s + PATIENCE_S]

    def leading(self, key: str) -> list[Pass]:
        """Who makes a cold call that nobody can read yet."""
        writing = [held for c in self.inside() if not c.wrote for held in c.passes]
        return [p for p in self.counted(key) if p.role == "leader" and p in writing]

    # How callers act

    def pick(self, data: Any, callers: list[Caller]) -> Caller:
        return callers[data.draw(st.integers(0, len(callers) - 1))]

    def end_of(self, caller: Caller, how: str) -> None:
        if how == "done":
            self.write(caller)
        caller.order(how)

    def script(self, caller: Caller) -> Generator[None, str, None]:
        """One blocking call, an order at a time."""
        asked = caller.key, self.terms[caller.key], WITHIN[caller.key]
        try:
            with self.gate.enter(*asked) as held:
                self.let_in(caller, held)
                while (order := (yield)) != "done":
                    self.obey(held, order)
                    if order == "nested":
                        with self.gate.enter(*asked) as inner:
                            caller.inner_role = inner.role
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            caller.ended = True

    def let_in(self, caller: Caller, held: Pass) -> None:
        held.writes = caller.writes
        caller.held = held

    def obey(self, held: Pass, order: str) -> None:
        if order == "first_event":
            held.first_event()
        elif order == "fail":
            raise ConnectionError
        elif order == "cancel":
            raise asyncio.CancelledError

    def start_thread(self, caller: Caller) -> None:
        orders: list[str] = []

        def work() -> None:
            script = self.script(caller)
            try:
                next(script)
                while True:
                    self.stage.wait(lambda: bool(orders))
                    script.send(orders.pop())
            except (StopIteration, AbandonedError):
                script.close()

        caller.order = lambda order: self.stage.tell(lambda: orders.append(order))
        self.stage.start(work)

    def start_on_the_loop(self, caller: Caller) -> None:
        context, script = contextvars.copy_context(), self.script(caller)
        context.run(next, script)

        def obey(order: str) -> None:
            with suppress(StopIteration):
                context.run(script.send, order)

        caller.order = obey

    def start_task(self, caller: Caller) -> None:
        orders: asyncio.Queue[str] = asyncio.Queue()

        async def call() -> None:
            asked = caller.key, self.terms[caller.key], WITHIN[caller.key]
            try:
                async with self.gate.aenter(*asked) as held:
                    self.let_in(caller, held)
                    while (order := await orders.get()) != "done":
                        self.obey(held, order)
                        if order == "nested":
                            async with self.gate.aenter(*asked) as inner:
                                caller.inner_role = inner.role
            except ConnectionError:
                pass
            finally:
                caller.ended = True

        task = self.loop.create_task(call())
        self.tasks.append(task)
        caller.order = lambda order: (
            task.cancel() if order == "cancel" else orders.put_nowait(order)
        )

    def close(self) -> None:
        try:
            self.stage.close()
            for task in self.tasks:
                task.cancel()
            while self.loop.busy():
                self.loop.step()
            self.loop.close()
        finally:
            self.patch.undo()


A_THOUSAND = settings(max_examples=1000, stateful_step_count=20, deadline=None)
UNTIL_CAUGHT = settings(
    A_THOUSAND,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_a_thousand_schedules_keep_every_promise() -> None:
    run_state_machine_as_test(GateMachine, settings=A_THOUSAND)


class EverybodyLeads(Gate):
    def _grant(self, prefix, visit, role, now):
        super()._grant(prefix, visit, "leader", now)


class NeverHandsOver(Gate):
    def _drop(self, prefix, held):
        leader = prefix.leader
        super()._drop(prefix, held)
        prefix.leader = leader


class HandsOverToNobody(Gate):
    def _leave(self, visit, *, done):
        pump, self._pump = self._pump, lambda _: None
        super()._leave(visit, done=done)
        self._pump = pump


class WarmsOnFailure(Gate):
    def _leave(self, visit, *, done):
        super()._leave(visit, done=True)


class WarmsWithoutWriting(Gate):
    def _leave(self, visit, *, done):
        if visit.granted is not None:
            visit.granted.writes = True
        super()._leave(visit, done=done)


class ColdUntilTheEnd(Gate):
    def readable(self, held):
        pass


class NeverExpires(Gate):
    def _warm(self, prefix, held):
        super()._warm(prefix, held)
        prefix.warm_until = float("inf")


class CountsFromTheWrongEnd(Gate):
    def _warm(self, prefix, held):
        other = {"request_start": "last_use", "last_use": "request_start"}
        held.terms = replace(held.terms, ttl_from=other[held.terms.ttl_from])
        super()._warm(prefix, held)


class IgnoresTurns(Gate):
    def _join(self, visit):
        visit.terms = replace(visit.terms, placement="parallel")
        super()._join(visit)


class ReadersQueue(Gate):
    def _join(self, visit):
        visit.terms = replace(visit.terms, placement="in_turn")
        super()._join(visit)


class LastComeFirstServed(Gate):
    def _pump(self, prefix):
        prefix.queue.reverse()
        super()._pump(prefix)
        prefix.queue.reverse()


class KeepsWhoGaveUp(Gate):
    def _leave(self, visit, *, done):
        if visit.granted is not None:
            super()._leave(visit, done=done)


class EndlessPatience(Gate):
    def _left(self, held, now):
        return 1000.0


class BlocksItsOwnLoop(Gate):
    def _join(self, visit):
        visit.blocking = False
        super()._join(visit)


class NestedCallsQueue(Gate):
    def enter(self, *asked):
        gate._held.set(None)
        return super().enter(*asked)

    def aenter(self, *asked):
        gate._held.set(None)
        return super().aenter(*asked)


class IgnoresShorterPrefixes(Gate):
    def enter(self, key, terms, within=()):
        return super().enter(key, terms)

    def aenter(self, key, terms, within=()):
        return super().aenter(key, terms)


WARM = "warm is|came in as|could read"
STUCK = "waits for|kept a call|could read|stands still"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (EverybodyLeads, "two cold calls|came in as"),
        (NeverHandsOver, STUCK),
        (HandsOverToNobody, STUCK),
        (WarmsOnFailure, WARM),
        (WarmsWithoutWriting, WARM),
        (ColdUntilTheEnd, WARM),
        (NeverExpires, WARM),
        (CountsFromTheWrongEnd, WARM),
        (IgnoresTurns, "two inside"),
        (ReadersQueue, "could read, and waits"),
        (LastComeFirstServed, "overtook"),
        (KeepsWhoGaveUp, STUCK),
        (EndlessPatience, STUCK),
        (BlocksItsOwnLoop, "the event loop stands still"),
        (IgnoresShorterPrefixes, "behind its leader"),
        (NestedCallsQueue, "a nested call had to wait"),
    ],
)
def test_a_broken_gate_is_caught(broken, said) -> None:
    """Positive control: without this guard the same schedules find the fault."""
    machine = type(broken.__name__, (GateMachine,), {"gate_type": broken})

    with pytest.raises(AssertionError, match=said):
        run_state_machine_as_test(machine, settings=UNTIL_CAUGHT)
