"""Readings and the report: what was read, whose it was, and what an ideal cache would have held."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.ledger import Call, Ledger
from agentcache.prints import Print
from agentcache.readings import read_calls
from agentcache.reports import report_on
from agentcache.usage import Usage

TRUNK = Print("system", "system[0]", "trunk", 2000, markable=True, marked=True)


def tail(agent: str, weight: int = 100) -> Print:
    return Print("messages", "messages[0]", f"tail of {agent}", weight, markable=True)


def call(agent: str, started_s: float, usage: Usage, **more: Any) -> Call:
    sent = (TRUNK, tail(agent))
    values: dict[str, Any] = {
        "agent": agent,
        "model": "gpt-6-luna",
        "rule_id": "openai-breakpoint",
        "session": "ac-1",
        "forked": True,
        "reason": "",
        "place": "leader",
        "usage": usage,
        "sent": sent,
        "original": (tail(agent, 2100),),
        "started_s": started_s,
        "first_event_s": None,
        "ended_s": started_s + 1,
    }
    return Call(**{**values, **more})


LEADER = call("a", 1.0, Usage(2100, 0, 2000, 5))
FOLLOWER = call("b", 2.0, Usage(2100, 2000, 0, 5))


def test_the_first_call_has_nothing_to_read() -> None:
    assert read_calls([LEADER])[0].ceiling == 0


def test_what_only_others_sent_is_read_across_agents() -> None:
    reading = read_calls([LEADER, FOLLOWER])[1]

    assert (reading.cached_own, reading.cached_across) == (0, 2000)
    assert (reading.ceiling, reading.ceiling_across) == (2000, 2000)


def test_what_the_agent_sent_itself_is_read_in_its_own_loop() -> None:
    again = call("a", 2.0, Usage(2100, 2000, 0, 5))

    reading = read_calls([LEADER, again])[1]

    assert (reading.cached_across, reading.ceiling_across) == (0, 0)


def test_calls_count_in_the_order_they_started() -> None:
    readings = read_calls([FOLLOWER, LEADER])

    assert [r.call.agent for r in readings] == ["a", "b"]


def test_a_failed_call_is_neither_read_nor_learnt_from() -> None:
    failed = call("a", 1.0, Usage(), error="TimeoutError")

    second = call("b", 2.0, Usage(2100, 0, 2000, 5))

    (reading,) = read_calls([failed, second])

    assert (reading.call, reading.ceiling) == (second, 0)


def test_an_entry_older_than_the_log_is_not_called_a_read_across_agents() -> None:
    (reading,) = read_calls([FOLLOWER])

    assert (reading.cached_own, reading.cached_across, reading.ceiling) == (2000, 0, 2000)


def test_reads_that_were_not_reported_make_no_bill() -> None:
    (reading,) = read_calls([call("a", 1.0, Usage(2100, None, None, 5))])

    assert (reading.cost, reading.cached_own) == (None, None)


def test_another_session_is_another_cache() -> None:
    other = call("b", 2.0, Usage(2100, 0, 2000, 5), session="ac-2")

    assert read_calls([LEADER, other])[1].ceiling == 0


def test_what_was_not_reported_stays_unknown() -> None:
    silent = call("b", 2.0, Usage(2100, None, None, 5))

    reading = read_calls([LEADER, silent])[1]

    assert (reading.cached_own, reading.cached_across, reading.written) == (None, None, None)


def test_a_read_costs_a_tenth_and_a_write_a_quarter_more() -> None:
    leader, follower = read_calls([LEADER, FOLLOWER])

    assert leader.cost == pytest.approx(100 + 2000 * 1.25)
    assert follower.cost == pytest.approx(100 + 2000 * 0.1)


usages = st.builds(
    lambda fresh, read, written: Usage(fresh + read + written, read, written, 1),
    st.integers(1, 3000),
    st.integers(0, 3000),
    st.integers(0, 3000),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), usages), min_size=1, max_size=6))
def test_own_and_across_make_all_that_was_read(made) -> None:
    calls = [call(agent, float(n), usage) for n, (agent, usage) in enumerate(made)]

    for reading in read_calls(calls):
        assert reading.cached_own is not None
        assert reading.cached_across is not None
        assert reading.cached_own >= 0
        assert reading.cached_across >= 0
        assert reading.cached_own + reading.cached_across == reading.call.usage.cached_tokens
        assert 0 <= reading.ceiling_across <= reading.ceiling


@pytest.fixture
def ledger() -> Ledger:
    book = Ledger(source="emulated")
    book.extend([LEADER, FOLLOWER, call("c", 3.0, Usage(), error="TimeoutError")])
    book.record(call("b", 4.0, Usage(9, 0, 0, 1), forked=False, reason="side_call: <x>"))
    book.note("One note.")
    return book


def test_a_report_counts_calls_and_errors_and_says_where_its_figures_come_from(ledger) -> None:
    report = report_on(ledger)

    assert [(row.agent, row.calls) for row in report.rows] == [("a", 1), ("b", 2)]
    assert (report.total.calls, report.errors, report.source) == (3, 1, "emulated")


def test_a_report_says_what_passed_through_and_why(ledger) -> None:
    report = report_on(ledger)

    assert [(p.agent, p.reason, p.calls) for p in report.passed_through] == [
        ("b", "side_call: <x>", 1)
    ]
    assert "One note." in report.notes


def test_a_report_is_the_same_from_its_json(ledger) -> None:
    report = report_on(ledger)

    assert type(report).model_validate_json(report.model_dump_json()) == report


def test_a_report_escapes_what_agents_are_called_in_html(ledger) -> None:
    ledger.record(call("<script>", 5.0, Usage(2100, 0, 0, 1)))

    page = report_on(ledger)._repr_html_()

    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_report_is_plain_text_too(ledger) -> None:
    said = str(report_on(ledger))

    assert "agentcache (emulated)" in said
    assert "\x1b" not in said


def test_an_empty_ledger_has_an_empty_report() -> None:
    report = report_on(Ledger())

    assert (report.rows, report.total.calls, report.unit) == ((), 0, "n/a")


def test_a_provider_that_compacted_by_itself_leaves_no_bill_below_zero() -> None:
    ends = [Print("messages", f"messages[{n}]", f"end {n}", 900, markable=True) for n in range(2)]
    heads = [(TRUNK, *ends[: n + 1]) for n in range(2)]
    sent = [{"sent": each, "original": each} for each in heads]
    summed = call("a", 1.0, Usage(180_000, 0, 170_000, 5), **sent[0])
    after = call("a", 2.0, Usage(20_000, 2000, 18_000, 5), **sent[1])

    reading = read_calls([summed, after])[1]

    assert reading.ceiling <= reading.input_tokens == 20_000
    assert 0 < reading.unshared_cost <= 1.25 * 20_000
