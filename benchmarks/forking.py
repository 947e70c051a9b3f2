"""Forking one call of a tool loop, as its transcript grows to 100,000 tokens."""

import gc
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from rows import Row, busy_ms
from transcripts import MODELS, grown, request, session

__all__ = ["forking"]

_TURNS = 50
_TOKENS = 2000
_LOOPS = 5
_LAST = 5
_SIZES = {"10k": 5, "100k": _TURNS}
_NEW: tuple[float, Literal["ratio"]] = (
    2.0,
    "ratio",
)  # ten times the transcript, as much that is new


@dataclass(frozen=True, slots=True)
class _Loop:
    """Milliseconds of each call of one tool loop, and of writing the same requests as JSON."""

    forked: list[float]
    dumped: list[float]


def forking() -> list[Row]:
    """Milliseconds a call, at three sizes, and how much a long transcript adds.

    In a real loop message dicts may be new at every call, but texts are the same objects;
    `re-parsed` is the worst case, where a program reads its history from JSON at every turn.
    """
    makes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "": lambda body: body,
        " re-parsed": lambda body: json.loads(json.dumps(body)),
    }
    return [
        row for model in MODELS for how, make in makes.items() for row in _rows(model, how, make)
    ]


def _rows(model: str, how: str, make: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Row]:
    one_turn = [_loop(model, 1, 1000, make) for _ in range(4 * _LOOPS)]
    loops = [_loop(model, _TURNS, _TOKENS, make) for _ in range(_LOOPS)]
    rows = [_row(f"fork 1k {model}{how}", one_turn, 1)]
    rows += [_row(f"fork {size} {model}{how}", loops, turns) for size, turns in _SIZES.items()]
    added = [_slope_us([loop.forked for loop in loops]), _slope_us([loop.dumped for loop in loops])]
    return [
        *rows,
        Row(
            f"100k against 10k {model}{how}", rows[2].value, "ms", "fork 10k", rows[1].value, *_NEW
        ),
        Row(f"one more turn {model}{how}", added[0], "us", "json.dumps", added[1]),
    ]


def _slope_us(loops: list[list[float]]) -> float:
    """What every turn already there adds to a call, once the loop has begun."""
    ms = [statistics.median(each) for each in zip(*loops, strict=True)]
    return 1000 * statistics.linear_regression(range(_LAST, _TURNS), ms[_LAST:]).slope


def _row(name: str, loops: list[_Loop], turns: int) -> Row:
    """The calls up to this turn: a few, because one alone is noise."""
    first = max(0, turns - _LAST)
    forked = statistics.median(ms for loop in loops for ms in loop.forked[first:turns])
    dumped = statistics.median(ms for loop in loops for ms in loop.dumped[first:turns])
    below = 1.0 if "100k" in name and "re-parsed" not in name else None
    return Row(name, forked, "ms", "json.dumps", dumped, below)


def _loop(
    model: str, turns: int, tokens: int, make: Callable[[dict[str, Any]], dict[str, Any]]
) -> _Loop:
    fork = session(model).fork("Researcher")
    loop = _Loop([], [])
    gc.collect()
    for messages in grown(model, turns, tokens):
        body = make(request(model, messages))
        loop.dumped.append(busy_ms(lambda body=body: json.dumps(body).encode()))
        loop.forked.append(busy_ms(lambda body=body: _forked(fork, body)))
    return loop


def _forked(fork: Any, body: dict[str, Any]) -> None:
    if not fork.rewrite(body).forked:
        raise RuntimeError("this benchmark measures nothing: the call was not forked")
