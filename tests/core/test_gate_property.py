"""Whatever the schedule: one cold leader at a time per prefix, and everybody finishes."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.gate import Gate, Pass, Terms


@dataclass(frozen=True)
class Plan:
    """One caller: when it comes, how long it stays, how it ends. Times are steps of the loop."""

    key: str
    arrives: int
    stays: int
    first_event: int
    end: Literal["done", "fails", "cancelled"]
    cancelled_at: int = 0


@dataclass
class Book:
    """Who leads a cold prefix right now, and the most at any one time."""

    leading: dict[str, set[Pass]] = field(default_factory=dict)
    inside: dict[str, int] = field(default_factory=dict)
    most_leading: int = 0
    most_inside: int = 0
    finished: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def came(self, held: Pass) -> None:
        with self.lock:
            key = str(held.key)
            if held.role == "leader":
                self.leading.setdefault(key, set()).add(held)
                self.most_leading = max(self.most_leading, len(self.leading[key]))
            self.inside[key] = self.inside.get(key, 0) + 1
            self.most_inside = max(self.most_inside, self.inside[key])

    def wrote(self, held: Pass) -> None:
        with self.lock:
            self.leading.get(str(held.key), set()).discard(held)

    def went(self, held: Pass) -> None:
        self.wrote(held)
        with self.lock:
            self.inside[str(held.key)] -= 1


plans = st.lists(
    st.builds(
        Plan,
        key=st.sampled_from(["a", "b"]),
        arrives=st.integers(0, 6),
        stays=st.integers(0, 6),
        first_event=st.integers(0, 6),
        end=st.sampled_from(["done", "done", "fails", "cancelled"]),
        cancelled_at=st.integers(0, 12),
    ),
    min_size=1,
    max_size=10,
)
terms = st.builds(
    Terms,
    ttl_s=st.sampled_from([0.0, 3.0, 1000.0]),
    ttl_from=st.sampled_from(["request_start", "last_use"]),
    readable=st.sampled_from(["first_event", "completion"]),
    placement=st.sampled_from(["parallel", "in_turn"]),
)


class Steps:
    """A clock that counts the loop's steps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def one_call(gate: Gate, plan: Plan, rules: Terms, book: Book) -> None:
    for _ in range(plan.arrives):
        await asyncio.sleep(0)
    async with gate.aenter(plan.key, rules) as held:
        book.came(held)
        try:
            for step in range(plan.stays):
                if step == plan.first_event:
                    if rules.readable == "first_event":
                        book.wrote(held)
                    held.first_event()
                await asyncio.sleep(0)
            if plan.end == "fails":
                raise ConnectionError
        finally:
            book.went(held)
    book.finished += 1


async def run_all(planned: list[Plan], rules: Terms) -> Book:
    clock, book = Steps(), Book()
    gate = Gate(patience_s=1e9, clock=clock)  # far beyond any schedule: nobody may need it
    tasks = [asyncio.create_task(one_call(gate, plan, rules, book)) for plan in planned]
    for step in range(400):
        clock.now = float(step)
        for plan, task in zip(planned, tasks, strict=True):
            if plan.end == "cancelled" and step == plan.cancelled_at:
                task.cancel()
        await asyncio.sleep(0)
        if all(t.done() for t in tasks):
            break
    stuck = [t for t in tasks if not t.done()]
    for task in stuck:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not stuck
    assert all(not p.queue and not p.inside and p.leader is None for p in gate._prefixes.values())
    return book


@settings(max_examples=300, deadline=None)
@given(plans, terms)
def test_one_cold_leader_at_a_time_and_everybody_finishes(planned, rules) -> None:
    book = asyncio.run(run_all(planned, rules))

    assert book.most_leading <= 1
    assert rules.placement == "parallel" or book.most_inside <= 1
    assert book.finished >= sum(plan.end == "done" for plan in planned)


@settings(max_examples=25, deadline=None)
@given(plans, terms)
def test_the_same_holds_for_threads_and_loops_mixed(planned, rules) -> None:
    gate, book, unit = Gate(patience_s=30), Book(), 0.0005

    def blocking(plan: Plan) -> None:
        time.sleep(plan.arrives * unit)
        with gate.enter(plan.key, rules) as held:
            book.came(held)
            try:
                time.sleep(plan.stays * unit)
                if plan.end != "done":
                    raise ConnectionError
            finally:
                book.went(held)

    def in_a_loop(plan: Plan) -> None:
        asyncio.run(one_call(gate, plan, rules, book))

    with ThreadPoolExecutor(10) as pool:
        running = [
            pool.submit(in_a_loop if n % 3 == 0 else blocking, plan)
            for n, plan in enumerate(planned)
        ]
        errors = [future.exception(10) for future in running]

    assert all(error is None or isinstance(error, ConnectionError) for error in errors)
    assert book.most_leading <= 1
    assert rules.placement == "parallel" or book.most_inside <= 1


def test_the_book_would_notice_two_leaders() -> None:
    """Positive control: without a gate, the same book counts two."""
    book, rules = Book(), Terms()
    for _ in range(2):
        book.came(Pass("leader", "a", rules, 0.0))

    assert book.most_leading == 2


def test_a_gate_that_lets_everybody_lead_is_caught(mocker) -> None:
    """Positive control: the schedule itself can tell a broken gate."""
    mocker.patch("agentcache.gate._role", return_value="leader")
    planned = [Plan("a", 0, 3, 9, "done"), Plan("a", 0, 3, 9, "done")]

    book = asyncio.run(run_all(planned, Terms()))

    with pytest.raises(AssertionError):
        assert book.most_leading <= 1
