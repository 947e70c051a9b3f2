"""The office of every demo: three tools on the launch brief, as plain functions."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

__all__ = ["break_even_months", "check_sections", "search_records", "tool_calls"]

tool_calls: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("search_records", {"query": "turnaround"}),
    ("break_even_months", {"price": 39, "cost": 31}),
    ("check_sections", {"text": "(s3) (s5)"}),
)
"""The tools with the arguments that the constructed model calls them with."""

_RECORDS: Final = {
    "turnaround": "Median turnaround h: Utrecht 37, Rotterdam 41, Hamburg 48, Antwerp 52 (s3).",
    "parts": "Waiting: motor controller 11 days, torque sensor 9, battery board 14 (s3).",
    "price": "Promise 39, All in 64, Pool 33 euros a bike and month (s5).",
}


def search_records(query: str) -> str:
    """Search the workshop records and interviews for one word."""
    with suppress(StopIteration):
        return next(text for word, text in _RECORDS.items() if word in query.lower())
    return f"No record mentions {query!r}. Words that do: {', '.join(_RECORDS)}."


def break_even_months(price: float, cost: float) -> str:
    """Months until winning a fleet (1,150 euros) is earned back, for a fleet of forty bikes."""
    margin = (price - cost) * 40
    return "never" if margin <= 0 else f"{1150 / margin:.1f} months"


def check_sections(text: str) -> str:
    """Check that a text quotes sections of the brief, such as (s3)."""
    found = [f"s{n}" for n in range(1, 9) if f"(s{n})" in text]
    return f"quoted: {', '.join(found) or 'none'}"
