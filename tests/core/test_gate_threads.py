"""The gate among threads: one cold call per prefix, whatever becomes of it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NoReturn

import pytest

from agentcache.errors import OptionError
from agentcache.gate import Gate, Pass, Terms

KEY = ("domain", "prefix")
COMPLETION = Terms(readable="completion")
FIRST_EVENT = Terms(readable="first_event")
IN_TURN = Terms(placement="in_turn")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.001)


def fail(*said: str) -> NoReturn:
    raise ConnectionError(*said)


def queued(gate: Gate) -> int:
    return sum(len(prefix.queue) for prefix in gate._prefixes.values())


def roles_of(gate: Gate, count: int, terms: Terms, hold_s: float = 0.02) -> list[str]:
    start = threading.Barrier(count)

    def call(_: int) -> str:
        start.wait(5)
        with gate.enter(KEY, terms) as held:
            time.sleep(hold_s)
            return held.role

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count), timeout=10))


def test_eight_parallel_cold_callers_make_one_cold_call() -> None:
    roles = roles_of(Gate(), 8, COMPLETION)

    assert sorted(roles) == ["follower"] * 7 + ["leader"]


def test_callers_of_different_prefixes_do_not_wait_for_each_other() -> None:
    gate = Gate()

    with gate.enter("a", COMPLETION) as first, ThreadPoolExecutor(1) as pool:

        def other() -> str:
            with gate.enter("b", COMPLETION) as held:
                return held.role

        assert pool.submit(other).result(5) == first.role == "leader"


def test_the_others_wait_until_the_leader_is_done() -> None:
    gate, order = Gate(), list[str]()

    def follow() -> None:
        with gate.enter(KEY, COMPLETION):
            order.append("follower")

    with ThreadPoolExecutor(1) as pool:
        with gate.enter(KEY, COMPLETION) as leader:
            waiting = pool.submit(follow)
            until(lambda: queued(gate) == 1)
            leader.first_event()  # an event does not matter where only completion counts
            time.sleep(0.02)
            order.append("leader")
        waiting.result(5)

    assert order == ["leader", "follower"]


def test_the_first_event_lets_the_others_go_where_the_rules_say_so() -> None:
    gate = Gate()

    def follow() -> str:
        with gate.enter(KEY, FIRST_EVENT) as held:
            return held.role

    with ThreadPoolExecutor(1) as pool, gate.enter(KEY, FIRST_EVENT) as leader:
        waiting = pool.submit(follow)
        until(lambda: queued(gate) == 1)
        leader.first_event()

        assert waiting.result(5) == "follower"


def test_a_failed_leader_hands_over_to_exactly_one_other() -> None:
    gate, leaders = Gate(), list[int]()
    lock = threading.Lock()

    def call(n: int) -> str:
        try:
            with gate.enter(KEY, COMPLETION) as held:
                if held.role != "leader":
                    return held.role
                with lock:
                    leaders.append(n)
                    first = len(leaders) == 1
                if first:
                    until(lambda: queued(gate) == 7)
                    fail()
                return held.role
        except ConnectionError:
            return "failed"

    with ThreadPoolExecutor(8) as pool:
        roles = list(pool.map(call, range(8), timeout=10))

    assert sorted(roles) == ["failed"] + ["follower"] * 6 + ["leader"]


def test_when_every_call_fails_they_fail_one_after_another_and_nobody_is_stuck() -> None:
    gate, inside, most = Gate(), 0, 0

    def call(_: int) -> str:
        nonlocal inside, most
        try:
            with gate.enter(KEY, COMPLETION) as held:
                inside += 1
                most = max(most, inside)
                time.sleep(0.002)
                inside -= 1
                fail(held.role)
        except ConnectionError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        roles = list(pool.map(call, range(8), timeout=10))

    assert (roles, most) == (["leader"] * 8, 1)


def test_a_leader_that_hangs_past_the_patience_is_no_longer_waited_for() -> None:
    gate, free = Gate(patience_s=0.05), threading.Event()

    def hang() -> None:
        with gate.enter(KEY, COMPLETION):
            free.wait(5)

    with ThreadPoolExecutor(3) as pool:
        hanging = pool.submit(hang)
        until(lambda: bool(gate._prefixes) and gate._prefixes[KEY].leader is not None)
        roles = roles_of(gate, 2, COMPLETION, hold_s=0.01)
        free.set()
        hanging.result(5)

    assert sorted(roles) == ["follower", "leader"]


def test_a_late_leader_that_ends_after_all_still_warms_the_prefix() -> None:
    clock = Clock()
    gate = Gate(patience_s=1, clock=clock)
    late = gate.enter(KEY, COMPLETION)
    late.__enter__()
    clock.now = 2.0

    def failing() -> None:
        with pytest.raises(ConnectionError), gate.enter(KEY, COMPLETION):
            fail()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(failing).result(5)
    assert not gate.is_warm(KEY)

    late.__exit__(None, None, None)

    assert gate.is_warm(KEY)


def test_an_interrupted_wait_gives_its_place_back(mocker) -> None:
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:

        def interrupted() -> None:
            mocker.patch("threading.Event.wait", side_effect=KeyboardInterrupt)
            with gate.enter(KEY, COMPLETION):
                pytest.fail("never let in")

        with gate.enter(KEY, COMPLETION):
            # The pool's own thread waits on no event, so the patch reaches only the gate.
            with pytest.raises(KeyboardInterrupt):
                pool.submit(interrupted).result(5)
            mocker.stopall()

            assert queued(gate) == 0

    assert gate.is_warm(KEY)


def test_calls_in_turn_never_overlap() -> None:
    gate, inside, most = Gate(), 0, 0
    lock = threading.Lock()

    def call(n: int) -> str:
        nonlocal inside, most
        try:
            with gate.enter(KEY, IN_TURN) as held:
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.002)
                with lock:
                    inside -= 1
                if n % 3 == 0:
                    fail()
                return held.role
        except ConnectionError:
            return "failed"

    with ThreadPoolExecutor(8) as pool:
        roles = list(pool.map(call, range(12), timeout=10))

    assert most == 1
    assert roles.count("failed") == 4


def test_in_parallel_the_followers_do_overlap() -> None:
    gate, together = Gate(), threading.Barrier(4)
    with gate.enter(KEY, COMPLETION):
        pass

    def call(_: int) -> int:
        with gate.enter(KEY, COMPLETION):
            return together.wait(5)  # only all four at once get past

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(call, range(4), timeout=10)) == [0, 1, 2, 3]


def test_entries_readable_at_once_need_no_leader() -> None:
    roles = roles_of(Gate(), 4, Terms(readable="at_once"))

    assert roles == ["follower"] * 4


def test_a_call_nested_in_another_never_waits_for_it() -> None:
    gate = Gate()

    with gate.enter(KEY, IN_TURN), gate.enter(KEY, IN_TURN) as inner:
        assert inner.role == "nested"


def test_a_context_copied_from_a_finished_call_is_gated_again() -> None:
    import contextvars

    gate = Gate()
    with gate.enter("other", COMPLETION):
        copied = contextvars.copy_context()

    def late() -> str:
        with gate.enter(KEY, COMPLETION) as held:
            return held.role

    assert copied.run(late) == "leader"


def test_a_block_closed_in_another_context_still_leaves() -> None:
    import contextvars

    gate = Gate()
    held = gate.enter(KEY, COMPLETION)
    contextvars.copy_context().run(held.__enter__)

    held.__exit__(None, None, None)

    assert gate.is_warm(KEY)


def test_an_abandoned_stream_gives_its_place_back() -> None:
    gate = Gate()

    def stream():
        with gate.enter(KEY, COMPLETION):
            yield 1
            yield 2

    answer = stream()
    next(answer)
    del answer

    assert roles_of(gate, 2, COMPLETION, hold_s=0.001).count("leader") == 1


def test_an_entry_expires_and_the_next_caller_leads_again() -> None:
    clock = Clock()
    gate = Gate(clock=clock)
    terms = Terms(ttl_s=300)
    roles = list[str]()
    for moment in (0, 299, 598, 898):  # each use refreshes the entry; the last comes too late
        clock.now = moment
        with gate.enter(KEY, terms) as held:
            roles.append(held.role)

    assert roles == ["leader", "follower", "follower", "leader"]


@pytest.mark.parametrize(("ttl_from", "warm"), [("request_start", False), ("last_use", True)])
def test_the_lifetime_runs_from_where_the_rules_say(ttl_from, warm) -> None:
    clock = Clock()
    gate = Gate(patience_s=1000, clock=clock)
    with gate.enter(KEY, Terms(ttl_s=300, ttl_from=ttl_from)):
        clock.now = 240
    clock.now = 310

    assert gate.is_warm(KEY) is warm


def test_a_follower_says_how_long_it_was_held_back() -> None:
    gate = Gate()

    def follow() -> Pass:
        with gate.enter(KEY, COMPLETION) as held:
            return held

    with ThreadPoolExecutor(1) as pool:
        with gate.enter(KEY, COMPLETION) as leader:
            waiting = pool.submit(follow)
            until(lambda: queued(gate) == 1)
            time.sleep(0.02)
        follower = waiting.result(5)

    assert leader.waited_s < 0.01 < follower.waited_s < 5


def test_endless_patience_is_allowed() -> None:
    assert roles_of(Gate(patience_s=float("inf")), 3, COMPLETION).count("leader") == 1


def test_a_patience_that_is_not_positive_is_refused() -> None:
    with pytest.raises(OptionError, match="patience_s=-1"):
        Gate(patience_s=-1)


def test_a_gate_forgets_prefixes_that_are_cold_and_idle() -> None:
    clock = Clock()
    gate = Gate(clock=clock)
    for n in range(1000):
        clock.now = float(n)
        with gate.enter(n, Terms(ttl_s=10)):
            pass

    assert len(gate._prefixes) < 100


def test_a_gate_forgets_no_prefix_that_somebody_holds() -> None:
    clock = Clock()
    gate = Gate(clock=clock)
    with gate.enter(KEY, COMPLETION) as held, ThreadPoolExecutor(1) as pool:

        def others() -> None:
            for n in range(200):
                clock.now = float(n)
                with gate.enter(n, Terms(ttl_s=0.5)):
                    pass

        pool.submit(others).result(5)
        clock.now = 0.0

        assert gate._prefixes[KEY].leader is held


@pytest.mark.parametrize("readable", ["first_event", "completion"])
def test_a_call_that_could_not_be_a_fork_warms_nothing(readable) -> None:
    gate, terms = Gate(), Terms(readable=readable)
    with gate.enter("p", terms) as held:
        held.writes = False
        held.first_event()
    with gate.enter("p", terms) as second:
        assert second.role == "leader"


def test_a_longer_prefix_waits_for_whoever_writes_the_shorter_one_it_begins_with() -> None:
    gate, order = Gate(), []
    written, started = threading.Event(), threading.Event()

    def shorter() -> None:
        with gate.enter("brief", Terms()):
            started.set()
            written.wait(5)
            order.append("brief")

    def longer() -> None:
        started.wait(5)
        with gate.enter("brief+answer", Terms(), within=["brief"]) as held:
            order.append(held.role)

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(shorter), pool.submit(longer)]
        started.wait(5)
        time.sleep(0.05)
        assert order == []
        written.set()
        for one in done:
            one.result(5)
    assert order == ["brief", "leader"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_longer_prefix_writes_the_shorter_ones_it_begins_with(fails) -> None:
    gate = Gate()
    with suppress(ValueError), gate.enter("c", Terms(), within=["a", "b"]) as held:
        assert [lead.key for lead in held.leads] == ["a", "b"]
        if fails:
            raise ValueError
    assert [gate.is_warm(key) for key in "abc"] == [not fails] * 3


def test_what_did_not_carry_the_prefix_warms_none_of_its_parts() -> None:
    gate = Gate()
    with gate.enter("b", Terms(), within=["a"]) as held:
        held.writes = False
    assert not gate.is_warm("a")
    assert not gate.is_warm("b")


def test_the_first_event_opens_the_shorter_prefixes_too() -> None:
    gate = Gate()
    with gate.enter("b", Terms(readable="first_event"), within=["a"]) as held:
        assert not gate.is_warm("a")
        held.first_event()
        assert gate.is_warm("a")


def test_waiting_on_a_warm_prefix_does_not_make_it_live_longer() -> None:
    now = [0.0]
    gate = Gate(clock=lambda: now[0])
    with gate.enter("a", Terms(ttl_s=10)):
        pass
    now[0] = 9.0
    with gate.enter("b", Terms(ttl_s=10), within=["a"]) as held:
        assert held.leads == ()
    now[0] = 11.0
    assert not gate.is_warm("a")
