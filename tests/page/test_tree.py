"""The tree: where things stand, what happened there, and how its lines are laid out."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.ledger import Call
from agentcache.page.lines import Lines, lines_of
from agentcache.page.outcomes import outcomes_of
from agentcache.page.tree import Tree, trees_of
from agentcache.readings import Reading, read_calls
from agentcache.usage import Usage

from .calls import call

TRUNK = ("tools", 1_000), ("brief", 1_000)


def drawn(*calls: Call, breaks: dict[int, str] | None = None) -> tuple[Tree, Lines]:
    readings = read_calls(calls)
    (tree,) = trees_of(readings)
    names = list(dict.fromkeys(c.agent for c in calls))
    agents = {at: names.index(r.call.agent) for at, r in enumerate(readings)}
    return tree, lines_of(tree, agents, breaks or {})


def spans(tree: Tree) -> list[tuple[int, int, int]]:
    return [(node.parent, node.start, node.end) for node in tree.nodes]


def test_what_two_calls_share_is_one_node() -> None:
    tree, _ = drawn(call("a", *TRUNK, ("a", 100)), call("b", *TRUNK, ("b", 300), index=1))

    assert spans(tree) == [(-1, 0, 2_000), (0, 2_000, 2_100), (0, 2_000, 2_300)]
    assert tree.nodes[0].sections == [("tools", 1_000), ("messages", 2_000)]


def test_a_call_ends_where_the_provider_says() -> None:
    tree, _ = drawn(call("a", *TRUNK, ("a", 1_000), total=6_000))

    assert tree.nodes[tree.leaf[0]].end == 6_000


def test_a_turn_begins_where_the_call_before_it_ended() -> None:
    tree, _ = drawn(
        call("a", *TRUNK, ("a", 1_000), total=6_000),
        call("a", *TRUNK, ("a", 1_000), ("more", 500), total=6_700, read=6_000, index=1),
    )

    assert spans(tree) == [(-1, 0, 6_000), (0, 6_000, 6_700)]


def test_what_a_forks_first_call_read_tells_where_it_leaves() -> None:
    def sent(agent: str, **more: Any) -> Call:
        made = call(agent, *TRUNK, (agent, 1_000), total=3_300, **more)
        tools, brief, tail = made.sent
        return replace(made, sent=(tools, replace(brief, marked=True), tail))

    tree, _ = drawn(sent("a", written=3_300), sent("b", read=2_150, written=1_150, index=1))

    assert spans(tree) == [(-1, 0, 2_150), (0, 2_150, 3_300), (0, 2_150, 3_300)]


def test_what_renders_no_tokens_has_no_node() -> None:
    tree, lines = drawn(
        call("a", ("model", 0), *TRUNK), call("b", ("other model", 0), *TRUNK, index=1)
    )

    assert spans(tree) == [(-1, 0, 2_000), (-1, 0, 2_000)]
    assert [line.parent for line in lines.lines] == [-1, -1]


def test_a_call_without_usage_is_drawn_by_its_estimate() -> None:
    tree, _ = drawn(call("a", *TRUNK, usage=Usage()))

    assert spans(tree) == [(-1, 0, 2_000)]


def test_stretches_tell_how_many_calls_read_wrote_and_sent_anew() -> None:
    calls = (
        call("a", *TRUNK, ("a", 100), written=2_100),
        call("b", *TRUNK, ("b", 400), read=2_000, written=100, index=1),
        call("c", *TRUNK, ("c", 100), usage=Usage(2_100), index=2),
    )
    readings = read_calls(calls)
    (tree,) = trees_of(readings)

    trunk, first, second, third = outcomes_of(tree, readings, step=1)

    assert trunk == [(2_000, (0, 1, 1, 0, 1))]
    assert first == [(2_100, (0, 0, 1, 0, 0))]
    assert second == [(2_100, (0, 0, 1, 0, 0)), (2_400, (0, 0, 0, 1, 0))]
    assert third == [(2_100, (0, 0, 0, 0, 1))]


@st.composite
def runs(draw: st.DrawFn) -> list[Call]:
    """Calls over a few blocks, each with a read and a write that its length allows."""
    calls: list[Call] = []
    for index in range(draw(st.integers(1, 8))):
        letters = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
        blocks = [(letter, 40) for letter in letters]
        total = 40 * len(blocks)
        read = draw(st.integers(0, total))
        written = draw(st.integers(0, total - read))
        agent = draw(st.sampled_from("xyz"))
        calls.append(call(agent, *blocks, read=read, written=written, index=index))
    return calls


@given(runs())
@settings(max_examples=150, deadline=None)
def test_what_is_drawn_adds_up_to_what_was_counted(calls: list[Call]) -> None:
    readings = read_calls(calls)
    (tree,) = trees_of(readings)

    sums = [0] * 5
    for node, stretches in zip(tree.nodes, outcomes_of(tree, readings, step=1), strict=True):
        start = node.start
        for end, counts in stretches:
            sums = [s + n * (end - start) for s, n in zip(sums, counts, strict=True)]
            start = end
        assert start == node.end

    assert sums == _counted(readings)


def _counted(readings: tuple[Reading, ...]) -> list[int]:
    return [
        sum(r.cached_own or 0 for r in readings),
        sum(r.cached_across or 0 for r in readings),
        sum(r.written or 0 for r in readings),
        sum(
            r.input_tokens - (r.call.usage.cached_tokens or 0) - (r.written or 0) for r in readings
        ),
        0,
    ]


@given(runs())
@settings(max_examples=100, deadline=None)
def test_every_node_stands_on_one_line_and_no_limb_crosses_a_line(calls: list[Call]) -> None:
    readings = read_calls(calls)
    (tree,) = trees_of(readings)
    agents = {at: ord(r.call.agent) for at, r in enumerate(readings)}

    lines = lines_of(tree, agents, {}).lines

    kept = sorted(n for line in lines for n in line.nodes)
    assert kept == list(range(len(tree.nodes)))
    for at, line in enumerate(lines):
        for passed in lines[line.parent + 1 : at] if line.parent >= 0 else ():
            assert passed.at >= line.at


def test_agents_leave_the_line_that_they_share() -> None:
    _, lines = drawn(
        call("a", *TRUNK, ("a", 100)),
        call("a", *TRUNK, ("a", 100), ("a2", 100), read=2_100, index=1),
        call("b", *TRUNK, ("b", 300), index=2),
    )

    trunk, first, second = lines.lines
    assert (trunk.agents, trunk.calls) == (frozenset({0, 1}), 3)
    assert (first.parent, first.at, first.nodes) == (0, 2_000, [1, 2])
    assert (second.parent, second.at, second.nodes) == (0, 2_000, [3])


def test_a_transcript_that_all_share_goes_on_in_one_line() -> None:
    said = [("said 1", 200), ("said 2", 200)]
    _, lines = drawn(
        call("a", *TRUNK, ("who a", 50)),
        call("b", *TRUNK, said[0], ("who b", 50), index=1),
        call("a", *TRUNK, *said, ("who a", 50), index=2),
        call("b", *TRUNK, *said, ("who b", 50), index=3),
    )

    assert lines.lines[0].nodes == [0, 2, 4]
    assert [line.at for line in lines.lines[1:]] == [2_400, 2_400, 2_200, 2_000]


def test_lines_alike_are_stood_for_by_the_first() -> None:
    forks = [call("a", *TRUNK, (f"fork {n}", 100), index=n) for n in range(40)]
    odd = call("a", *TRUNK, ("a long one", 9_000), index=40)
    _, lines = drawn(*forks, odd, breaks={7: "timestamp"})

    alike = [line.alike for line in lines.lines if line.at and line.like < 0]
    assert sorted(alike) == [1, 1, 39]
    assert sum(line.like >= 0 for line in lines.lines) == 24
    assert lines.left_out == 14


def test_a_line_left_out_is_found_at_the_one_that_stands_for_it() -> None:
    forks = [call("a", *TRUNK, (f"fork {n}", 100), index=n) for n in range(40)]
    tree, lines = drawn(*forks)

    first = lines.line_of[tree.leaf[0]]
    assert lines.line_of[tree.leaf[39]] == first
