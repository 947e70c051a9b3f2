"""What find_break says of every pair of the corpus, against the truth written before it."""

import pytest

from agentcache import CacheBreak, find_break

from .corpus import PAIRS, Expect, Pair


def is_at(found: CacheBreak, expect: Expect) -> bool:
    """Whether a break is where it should be: exactly there if an offset is known, else within."""
    if expect.offset is not None and (found.path, found.offset) != (expect.path, expect.offset):
        return False
    return all(
        found.path == place or found.path.startswith((f"{place}.", f"{place}["))
        for place in (expect.path, expect.param)
        if place is not None
    )


@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.name) for pair in PAIRS])
def test_a_break_is_what_it_is(pair: Pair) -> None:
    found = find_break(pair.before, pair.after, **pair.options)

    if pair.expect is None:
        assert found is None
        return
    assert found is not None
    told = (found.section, found.kind)
    assert told == (pair.expect.section, pair.expect.kind)
    assert is_at(found, pair.expect), (found.path, found.offset)
    assert pair.expect.relation in (None, found.relation)
    assert pair.expect.level in (None, found.level)
