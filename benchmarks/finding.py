"""Time of find_break on two requests of a million characters."""

import json
from collections.abc import Callable
from typing import Any

from rows import Row, busy_ms
from transcripts import text_of

from agentcache import find_break

__all__ = ["finding"]

_CHARACTERS = 1_000_000
_RUNS = 7
_MIDDLE = _CHARACTERS // 2


def finding() -> list[Row]:
    """One long text that stayed, that was edited in its middle, or that became another one."""
    text = (text_of(_CHARACTERS // 4, 1) * 2)[:_CHARACTERS]
    days = [f"{text[:_MIDDLE]} 2026-11-{day} {text[_MIDDLE:]}" for day in (23, 24)]
    cases = {
        "the same": (text, text),
        "edited in the middle": (text, f"{text[:_MIDDLE]}!{text[_MIDDLE:]}"),
        "a date in the middle": (days[0], days[1]),
        "in another order": (text, text[_MIDDLE:] + text[:_MIDDLE]),
    }
    return [_row(name, _request(one), _request(other)) for name, (one, other) in cases.items()]


def _row(name: str, before: dict[str, Any], after: dict[str, Any]) -> Row:
    took = _best(lambda: find_break(before, after))
    encoded = _best(lambda: [json.dumps(before), json.dumps(after)])
    title = f"find_break, 1M characters, {name}"
    return Row(title, took, "ms", "json.dumps of both", encoded, 50.0, "value")


def _request(text: str) -> dict[str, Any]:
    asked = {"role": "user", "content": "Go on."}
    return {"model": "gpt-6-luna", "messages": [{"role": "system", "content": text}, asked]}


def _best(work: Callable[[], object]) -> float:
    return min(busy_ms(work) for _ in range(_RUNS))
