"""The play of the test programs: their texts, and what the provider answers to whom."""

import json
from collections import Counter
from threading import Lock

from agentcache import loopback
from agentcache.loopback.scripts import _listed_tools


def _dossier(weeks: int) -> str:
    asked = (
        "Prepare the board memo on the Harbour Line from this dossier: one page, for readers who "
        "know none of the ferries."
    )
    lines = (
        f"{n}. In week {n} the Harbour Line carried {n * 7919 % 9973} passengers over {n * 37 % 61}"
        f" crossings; {n * 13 % 29} were late, most of them at pier {n % 7}, and the crew of ferry "
        f"{n * 31 % 17} asked for a review of the winter timetable."
        for n in range(1, weeks + 1)
    )
    return "\n".join([asked, "", *lines])


TASK = _dossier(8)
"""About 1,500 characters: with it hardly a request is as long as a provider caches at least."""

BRIEF = _dossier(50)
"""About 2,500 tokens."""

PARTS = {
    "planner": ("you break the work into steps", "dates", "owners", "the order of the steps"),
    "writer": ("you draft in plain sentences", "verbs", "figures", "the reader on the board"),
    "critic": ("you look for what is wrong", "sources", "gaps", "the claim behind each number"),
    "checker": ("you count everything again", "sums", "units", "the rounding of each total"),
    "editor": ("you make one text of many", "headings", "length", "the thread of the argument"),
}
"""What each agent does, and what it cares for."""

PROMPTS = {
    name: "\n".join(
        [
            f"You are the {name} of the Harbour Line desk: {duty}.",
            *(
                f"Rule {n} of the {name}: keep to {cares[n % 3]} while page {n} of the dossier is "
                f"open, then name the one thing that the {name} would change about it."
                for n in range(1, 8)
            ),
        ]
    )
    for name, (duty, *cares) in PARTS.items()
}
"""Each agent's own system message, about 1,075 characters."""

OWN = {"planner": "read_calendar", "writer": "search_archive", "critic": "check_figures"}
"""The tool of each agent that has one of its own."""

TRIO = tuple(OWN)

DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR"
    "9awAAAABJRU5ErkJggg=="
)
"""An image of one pixel."""

_MANAGER = {
    "selector": "Then select the next role",
    "facts": "please answer the following pre-survey",
    "plan": "please devise a short bullet-point plan",
    "ledger": "including necessary reasoning",
    "final": "provide the final answer to the original request",
}
_SIGNS = (
    *((name, f"You are the {name} of the Harbour Line desk") for name in PROMPTS),
    *((name, f'<agent name="{name}">') for name in PROMPTS),
    *_MANAGER.items(),
)
"""By what a request says who is asked: of several signs the one that stands last.

A fork names its agent in its tail; the prompts of all may stand in front of that.
"""


class Play:
    """The answers of one run: they depend on who is asked and how often, not on how it is asked."""

    def __init__(self, *, at_once: bool = False) -> None:
        """Begin a run; the next one needs a play of its own.

        With `at_once` nobody speaks before handing over.
        """
        self.asked: Counter[str] = Counter()
        self._at_once = at_once
        self._calling = ""
        self._lock = Lock()

    def __call__(self, turn: loopback.Turn) -> loopback.Answer:
        """Select in turn, call one's own tool before one speaks, speak before one hands over."""
        who = speaker(turn)
        with self._lock:
            asked = self.asked[who]
            self.asked[who] += 1
            informed = self._calling == who or turn.texts[-1].role == "tool"
            speaks = asked % 2 == 0 and not self._at_once
            calls = () if who in _MANAGER else _calls(turn, asked, informed=informed, speaks=speaks)
            self._calling = who if calls else ""
        if who == "selector":
            return loopback.Answer(TRIO[asked % 3])
        if who == "ledger":
            return loopback.Answer(_ledger(asked))
        return loopback.Answer(tool_calls=calls) if calls else loopback.Answer(_note(who, asked))


def speaker(turn: loopback.Turn) -> str:
    """Who is asked: an agent's name, or a part that a team's manager plays."""
    told = "\n".join(said.text for said in turn.texts if said.role in ("system", "user"))
    at, who = max((told.rfind(sign), who) for who, sign in _SIGNS)
    assert at >= 0, f"nobody is asked in: {told[-400:]}"
    return who


def _calls(
    turn: loopback.Turn, asked: int, *, informed: bool, speaks: bool
) -> tuple[loopback.ToolCall, ...]:
    mine = _listed_tools(turn)
    tools = [name for name in mine if not name.startswith("transfer_to_")]
    hands = [name for name in mine if name.startswith("transfer_to_")]
    made = () if (speaks if hands else informed) else (*tools, *hands)
    return tuple(
        loopback.ToolCall(name, {"query": f"winter timetable, {asked}"} if name in tools else {})
        for name in made
    )


def _note(who: str, asked: int) -> str:
    """About 285 characters that only this speaker says, and only now."""
    return f"Note {asked + 1} by the {who}. " + " ".join(
        f"On pier {(asked * 5 + n) % 7} the {who} counts {(asked + 3) * n * 97 % 811} late boats."
        for n in range(1, 7)
    )


def _ledger(asked: int) -> str:
    """Magentic's progress: four steps, then done."""
    step = asked % 5
    answers = {
        "is_request_satisfied": step == 4,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": TRIO[step % 3],
        "instruction_or_question": f"Step {step + 1}: please do your part of the memo now.",
    }
    return json.dumps({k: {"reason": f"Step {step + 1}.", "answer": v} for k, v in answers.items()})
