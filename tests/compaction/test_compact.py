"""What compact promises for any request: nothing lost, nothing revised, the head moved by steps."""

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.compaction import Compaction, DecisionLog, MemoryStore, compact, recall
from agentcache.dialects import dialect_of
from agentcache.errors import OptionError

from .loops import LOOPS, chat, log_of

QUICK = settings(max_examples=60, deadline=None)
wires = pytest.mark.parametrize("wire", LOOPS)
RESULTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.builds(log_of, st.integers(0, 9), st.integers(8, 200)),
        st.sampled_from(["", "\ud800", "[compacted tool result ", "x" * 9_000]),
    ),
    max_size=9,
)
POLICIES = st.builds(
    lambda large, high, low, keep: Compaction(
        large=large, high=low + high, low=low, keep=keep, small=9
    ),
    st.none() | st.integers(1, 3_000),
    st.integers(1, 3_000),
    st.integers(0, 3_000),
    st.integers(0, 4),
)


def texts(request: dict[str, Any]) -> list[str]:
    return [b.json for b in dialect_of(request).hashed(request)]


def pairs(request: dict[str, Any]) -> list[tuple[str, ...]]:
    """The ids of calls and of results, in order."""
    told = json.dumps(request)
    keys = ("tool_call_id", "call_id", "tool_use_id", "toolUseId", "id")
    found: list[tuple[str, ...]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend((k, str(v)) for k, v in value.items() if k in keys)
            for inner in value.values():
                walk(inner)
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads(told))
    return found


@QUICK
@given(wire=st.sampled_from([*LOOPS]), results=RESULTS, compaction=POLICIES, cold=st.booleans())
def test_compacting_twice_is_compacting_once_and_loses_nothing(
    wire, results, compaction, cold
) -> None:
    request = LOOPS[wire](results)
    before = copy.deepcopy(request)

    once = compact(request, compaction=compaction, cold=cold)
    twice = compact(once.request, once.log, compaction=compaction, cold=cold)

    assert request == before
    assert twice.request == once.request
    assert twice.log == once.log
    assert not twice.new
    assert pairs(once.request) == pairs(request)
    assert once.tokens[1] <= once.tokens[0]
    store = MemoryStore()
    store.put(once.originals)
    for decision in once.new:
        assert recall(store, {"id": decision.content_id}) in results
    same = compact(copy.deepcopy(request), compaction=compaction, cold=cold)
    assert json.dumps(same.request) == json.dumps(once.request)


@QUICK
@given(wire=st.sampled_from([*LOOPS]), results=RESULTS, compaction=POLICIES)
def test_what_was_decided_is_never_revised_and_the_head_moves_by_steps(
    wire, results, compaction
) -> None:
    log, sent, steps = DecisionLog(), list[str](), 0
    for n in range(len(results) + 1):
        made = compact(LOOPS[wire](results[:n]), log, compaction=compaction)
        assert made.log.decisions[: len(log)] == log.decisions
        steps += made.moved
        assert made.log.steps == steps
        now = texts(made.request)
        assert made.moved or now[: len(sent)] == sent
        log, sent = made.log, now


@QUICK
@given(results=RESULTS, compaction=POLICIES, more=RESULTS)
def test_a_fork_compacts_what_it_inherits_as_its_parent_did(results, compaction, more) -> None:
    parent = compact(chat(results), compaction=compaction, cold=True)
    fork = chat([*results, *more])

    made = compact(fork, parent.log, compaction=Compaction(large=None, high=None))

    shared = len(parent.request["messages"])
    assert made.request["messages"][:shared] == parent.request["messages"]


@wires
def test_a_large_result_is_compacted_before_it_is_sent(wire) -> None:
    small, large = "exit 0", log_of(1, 900)
    made = compact(LOOPS[wire]([small, large]))

    assert [d.reason for d in made.new] == ["unsent"]
    assert not made.moved
    told = json.dumps(made.request)
    assert "FAILED: AssertionError: 1 != 2" in told
    assert f"{len(large):,} characters, 900 lines" in told
    assert made.tokens[1] < made.tokens[0] / 4
    again = compact(LOOPS[wire]([small, large, small]), made.log)
    assert texts(again.request)[: len(texts(made.request))] == texts(made.request)


@wires
def test_a_step_is_taken_at_high_water_and_only_if_it_pays(wire) -> None:
    results = [log_of(n, 60) for n in range(30)]
    compaction = Compaction(large=None, high=20_000, low=10_000, keep=3)
    request = LOOPS[wire](results)

    paying = compact(request, compaction=compaction, calls_left=40)
    heavy = LOOPS[wire]([*results[:-3], *(log_of(n, 900) for n in range(3))])
    last = compact(heavy, compaction=compaction, calls_left=1)
    forced = compact(
        heavy,
        compaction=Compaction(large=None, high=20_000, low=10_000, limit=20_000),
        calls_left=1,
    )

    assert paying.moved
    assert {d.reason for d in paying.new} == {"pays"}
    assert paying.tokens[1] <= 10_000
    assert "save about" in paying.why
    assert not last.moved
    assert "more than it saves" in last.why
    assert {d.reason for d in forced.new} == {"limit"}
    assert "reach the limit" in forced.why
    kept = json.dumps(paying.request)
    assert all(json.dumps(text)[1:-1] in kept for text in results[-3:])


def test_a_cold_prefix_is_compacted_for_nothing() -> None:
    results = [log_of(n, 60) for n in range(8)]
    made = compact(chat(results), compaction=Compaction(large=None), cold=True, calls_left=1)
    assert {d.reason for d in made.new} == {"cold"}
    assert made.moved


def test_the_same_on_every_python(tmp_path) -> None:
    request = chat([log_of(n, 200) for n in range(6)])
    made = compact(request, compaction=Compaction(large=500))
    (tmp_path / "request.json").write_text(json.dumps(request))
    code = (
        "import json, sys; from agentcache.compaction import Compaction, compact; "
        "made = compact(json.load(open(sys.argv[1])), compaction=Compaction(large=500)); "
        "print(json.dumps(made.request))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "request.json")]
    for seed in ("1", "2"):
        ran = subprocess.run(
            command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        )
        assert json.loads(ran.stdout) == made.request


def test_a_log_is_kept_as_lines_and_read_again() -> None:
    log = compact(chat([log_of(n, 400) for n in range(3)])).log
    assert len(log) == 1
    assert DecisionLog.from_json(log.to_json()) == log
    assert [*DecisionLog.from_json("")] == []
    for wrong in ("{}", "[1]", "no", log.to_json().replace("unsent", "because")):
        with pytest.raises(OptionError, match="line 1 holds no decision"):
            DecisionLog.from_json(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"high": 5, "low": 5}, "low=5 must be below high=5"),
        ({"limit": -5}, "limit=-5 must be a number of 0 or more, or None"),
        ({"keep": -1}, r"keep=-1 must be a number of 0 or more\."),
        ({"never": "grep"}, "pass a tuple"),
        ({"also": ("sound",)}, "also='sound' does not exist"),
    ],
)
def test_figures_that_contradict_each_other_are_refused(wrong, said) -> None:
    with pytest.raises(OptionError, match=said):
        Compaction(**wrong)


def test_tools_that_are_named_stay_as_they_are() -> None:
    request = chat([log_of(1, 900)])
    assert compact(request, compaction=Compaction(never=("tool0",))).request == request
    assert compact(request).request != request
