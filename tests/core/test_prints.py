"""Fingerprints: the same ones, however many requests hold them."""

import copy
import json
import pickle
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.blocks import Block
from agentcache.ledger import Call
from agentcache.prints import Printer, Prints, Weaver, prints
from agentcache.usage import Usage

TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=8), max_size=12)


def blocks(texts: list[str], mark: str = "") -> list[Block]:
    return [Block("messages", f"messages[{n}]", f'"{t}"', mark=mark) for n, t in enumerate(texts)]


@given(requests=TEXTS, limit=st.integers(1, 6))
def test_what_is_forgotten_is_made_anew_and_nothing_else_changes(requests, limit) -> None:
    kept, tight = Printer(), Printer(limit)
    for texts in requests:
        made = blocks(texts)
        assert kept(made) == tight(made) == prints(made)
        assert [p.path for p in tight(made)] == [b.path for b in made]


@given(requests=TEXTS)
def test_woven_fingerprints_are_the_same(requests) -> None:
    printer, weave = Printer(), Weaver()
    for texts in requests:
        made = printer(blocks(texts))
        assert weave(list(made)) == made == tuple(made)
        assert hash(weave(made)) == hash(made)


def test_they_are_a_sequence() -> None:
    made = prints(blocks(["a", "b", "c"]))
    assert (len(made), made[-1], made[:2]) == (3, [*made][2], tuple(made)[:2])
    assert Prints() == ()
    assert len(Prints()) == 0
    assert made != prints(blocks(["a", "b", "d"]))
    assert made != 3
    assert copy.copy(made) == made
    assert [p.marked for p in prints(blocks(["a"], "{}"))] == [True]


def test_a_long_conversation_costs_what_is_new() -> None:
    def call(number: int) -> Call:
        sent = printer(blocks([str(n) for n in range(1_000 + number)]))
        return Call(
            *("a", "m", "r", "s", False, "", "ungated", Usage()), sent, sent, 0.0, None, 1.0
        )

    printer = Printer()
    first = call(0)
    tracemalloc.start()
    try:
        held = [call(n) for n in range(1, 101)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    one = sys.getsizeof(tuple(first.sent))
    assert len(held[-1].sent) == 1_100
    assert size < 100 * one / 4


def test_a_line_of_a_ledger_holds_them_all() -> None:
    sent = prints(blocks(["a", "b"]))
    call = Call(*("a", "m", "r", "s", False, "", "ungated", Usage()), sent, sent, 0.0, None, 1.0)
    line = json.loads(json.dumps(call.line()))
    assert [row["chain"] for row in line["sent"]] == [p.chain for p in sent]
    assert line["original"] == line["sent"]


@pytest.mark.parametrize("length", [50_000])
def test_no_length_is_too_deep(length) -> None:
    made = Printer(10)(blocks([str(n) for n in range(length)]))
    assert len(made) == len(tuple(made)) == length
    assert copy.deepcopy(made) is made
    assert pickle.loads(pickle.dumps(made)) == copy.copy(made) == made
    assert pickle.loads(pickle.dumps(Prints())) == Prints()
    del made
