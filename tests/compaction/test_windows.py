"""Windows: the limit holds, the same messages give the same window, and it only moves on."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentcache.compaction import dropped, gap, opening

ONES = st.integers(0, 300).map(lambda n: [1] * n)
WEIGHTS = st.lists(st.integers(0, 60), max_size=80)
LIMITS = st.integers(0, 120)


@given(WEIGHTS, LIMITS)
def test_what_is_left_weighs_no_more_than_the_limit(weights: list[int], limit: int) -> None:
    assert sum(weights[dropped(weights, limit) :]) <= limit


@given(WEIGHTS, LIMITS)
def test_the_count_never_falls_as_messages_are_appended(weights: list[int], limit: int) -> None:
    counts = [dropped(weights[:n], limit) for n in range(len(weights) + 1)]
    assert counts == sorted(counts)


@given(WEIGHTS, LIMITS)
def test_what_fits_is_left_alone(weights: list[int], limit: int) -> None:
    assert sum(weights) > limit or dropped(weights, limit) == 0


@given(WEIGHTS.filter(bool), LIMITS)
def test_the_latest_message_stays_where_it_fits(weights: list[int], limit: int) -> None:
    assert weights[-1] > limit or dropped(weights, limit) < len(weights) or not weights[-1]


@given(ONES, st.integers(1, 120))
def test_counted_messages_are_dropped_by_half_the_limit(ones: list[int], limit: int) -> None:
    block = max(1, limit // 2)
    count = dropped(ones, limit)
    assert count % block == 0
    assert count == 0 or len(ones) - (count - block) > limit, "fewer would have done"


@given(st.lists(st.integers(1, 10), min_size=100, max_size=100))
def test_the_head_moves_once_in_half_a_window(weights: list[int]) -> None:
    limit = 100
    counts = [dropped(weights[:n], limit) for n in range(1, 101)]
    moves = sum(one != other for one, other in pairwise(counts))
    assert moves <= sum(weights) / (limit // 2 - 10)


@given(WEIGHTS, LIMITS, st.integers(0, 90))
def test_the_head_stays_and_counts(weights: list[int], limit: int, head: int) -> None:
    first, last = gap(weights, limit, head)
    assert first == min(head, len(weights))
    kept = sum(weights[:first]) + sum(weights[last:])
    assert kept <= max(limit, sum(weights[:first]))


@given(WEIGHTS, LIMITS)
def test_an_opening_fits_and_no_longer_one_does(weights: list[int], room: int) -> None:
    count = opening(weights, room)
    assert sum(weights[:count]) <= room
    assert count == len(weights) or sum(weights[: count + 1]) > room
