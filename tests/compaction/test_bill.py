"""What compaction saves in two tool loops, beside what agents do instead; all of it is emulated."""

from functools import cache
from pathlib import Path

import pytest

import agentcache
from agentcache.compaction import RECALL
from agentcache.demo.loop import Driven, drive
from agentcache.demo.strategies import SLIDING, STRATEGIES, Compacting
from agentcache.demo.traces import ToolTurn, coding_trace, research_trace, task

OURS = ("compaction", "compaction, 10% recalled")
MOVES = {12: 0, 200: 4}
"""Turns of a loop, and how often its head may move."""
FILL = 3
"""Recalled results for which the head may move once more: they stay whole, on top of the 200 turns,
and what is compacted around them frees less at a time."""

models = pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-6-luna", "claude-haiku-5-5"])
loops = pytest.mark.parametrize("turns", MOVES)
ours = pytest.mark.parametrize("strategy", OURS)


def trace(turns: int) -> list[ToolTurn]:
    return research_trace(turns) if turns == 12 else coding_trace(turns)


@cache
def driven(model: str, turns: int, strategy: str) -> Driven:
    return drive(model, trace(turns), STRATEGIES[strategy]())


@models
@loops
@ours
def test_the_head_moves_only_at_announced_steps(model, turns, strategy) -> None:
    found = driven(model, turns, strategy)
    assert found.unannounced == 0
    more = found.recalled // FILL if turns == 200 else 0  # they came on top of the 200 turns
    assert found.moves == found.announced <= MOVES[turns] + more


@models
@loops
@ours
def test_the_bill_is_at_most_half_of_that_without_compaction(model, turns, strategy) -> None:
    without = driven(model, turns, "nothing")
    assert without.moves == 0
    assert driven(model, turns, strategy).bill <= 0.5 * without.bill


@models
@loops
@pytest.mark.parametrize("window", SLIDING)
def test_the_bill_is_below_that_of_a_sliding_window(model, turns, window) -> None:
    assert driven(model, turns, "compaction").bill < driven(model, turns, window).bill


@pytest.mark.parametrize("window", SLIDING)
def test_a_sliding_window_moves_the_head_again_and_again(window) -> None:
    found = driven("gpt-6-luna", 200, window)
    assert found.moves > 50
    assert found.announced == 0


@models
@loops
def test_an_agent_that_asks_for_a_result_again_is_sent_it_whole(model, turns) -> None:
    found = driven(model, turns, "compaction, 10% recalled")
    assert found.recalled > 0
    assert found.calls == turns + 1 + found.recalled


def test_a_tenth_of_what_was_compacted_is_asked_for_again() -> None:
    strategy = Compacting(share=0.1)
    drive("gpt-6-luna", trace(12), strategy)
    assert strategy.decided == 12
    assert strategy.recalled == 1


def test_what_is_recalled_is_the_result_as_it_was() -> None:
    results = {turn.result for turn in trace(12)}
    strategy, request = Compacting(share=1.0), _request(trace(12)[:1])
    told = strategy.shape(request)
    asked = strategy.wants()
    assert asked is not None
    assert asked.tool == RECALL
    assert asked.result in results
    assert asked.result not in str(told.request)
    assert strategy.wants() is None


def _request(turns: list[ToolTurn]) -> dict:
    rows = [{"role": "user", "content": "Find it."}]
    for turn in turns:
        call = {"id": "c", "type": "function", "function": {"name": turn.tool, "arguments": "{}"}}
        rows.append({"role": "assistant", "content": "", "tool_calls": [call]})
        rows.append({"role": "tool", "tool_call_id": "c", "content": turn.result})
    tool = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
    return {"model": "gpt-6-luna", "tools": [tool], "messages": rows}


def test_a_trace_is_the_same_every_time_and_names_nothing_of_this_machine() -> None:
    every = coding_trace(200)
    assert coding_trace(40) == every[:40]
    here = str(Path(agentcache.__file__).parents[1])
    assert here not in f"{every} {research_trace()} {task()}"
