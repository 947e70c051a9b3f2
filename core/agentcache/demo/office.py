"""The office of every demo: tools on the launch brief, and a team that talks about it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "Speaker",
    "break_even_months",
    "check_sections",
    "questions",
    "reading",
    "search_records",
    "speakers",
    "tool_calls",
]

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


@dataclass(frozen=True, slots=True)
class Speaker:
    """One who speaks in a group chat: what the others know of it, what it is told, its tool."""

    name: str
    description: str
    prompt: str
    tool: Callable[..., str] | None = None


speakers: Final[Sequence[Speaker]] = (
    Speaker(
        "researcher",
        "Finds in the records what fleets need. Speaks first.",
        "You are the researcher. You spent ten years in field interviews and trust records over "
        "opinions. List what fleets need, with the records that support it.",
        search_records,
    ),
    Speaker(
        "analyst",
        "Shows what it costs and when it breaks even. Speaks after the researcher.",
        "You are the analyst. You were a controller in a repair chain and never round in your own "
        "favour. Compare the three ways to sell it, and show which breaks even and when.",
        break_even_months,
    ),
    Speaker(
        "reviewer",
        "Checks what the researcher and the analyst said. Speaks after them.",
        "You are the reviewer. You have killed three launches and regret none of them. Find every "
        "claim of the others that the brief does not support.",
        check_sections,
    ),
    Speaker(
        "writer",
        "Writes the page for the board, once all others have spoken.",
        "You are the writer. You write short sentences and put the decision first. Write the page "
        "that the board decides on, from what the others said.",
    ),
)
"""A team in a group chat; its writer has the last word."""

questions: Final[Sequence[str]] = (
    "Which of the three ways to sell it comes first, and at what price?",
    "Which two cities come first, and what has to be true in each of them?",
)
"""What two such teams are asked about the one brief."""

reading: Final = (
    "seq., par.: the two chats one after the other, or at once. own loop, across agents: tokens "
    "read from the cache that the same agent, or only others, had sent before."
)
"""How the table of two such chats is read."""
