"""Summaries: what CrewAI asks for when a context is full, as a fork of its agent's own."""

from bisect import bisect_left
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from crewai.utilities.i18n import I18N_DEFAULT

from agentcache.dialects import Json
from agentcache.summaries import ABOVE

__all__ = ["Summing", "summing", "summing_now"]

try:
    _window: Any = import_module("crewai.llms.context_window")
except ImportError:  # before crewai 1.15.29, whose models are not asked to sum up
    _window = None
_prompt: Final[Callable[[list[Any]], list[Any]] | None] = getattr(
    _window, "build_summary_prompt", None
)

Written = Callable[[Sequence[Any]], Sequence[Json]]


@dataclass(frozen=True, slots=True)
class Summing:
    """A conversation that is summed up: whose it is, its messages, how they stand on the wire.

    CrewAI sums it up in as many parts as its window needs: the first begins where it begins.
    """

    agent: str
    lead: tuple[Any, ...]
    rows: tuple[Any, ...]
    written: Written

    def first_part(self, asked: Sequence[str]) -> tuple[str, Sequence[Json]] | None:
        """The wish without its copy of the conversation, and the messages that it is about.

        `asked` are the texts of a call, the system's first. None for another part, for one that
        cuts a message or a turn in two, and for another wish: CrewAI clears what it sums up, so
        that a message which neither is in the fork nor goes out as text would be lost.
        """
        count = _held(self.rows, asked)
        if not count or _opens_a_turn(self.rows[:count], self.rows[count:]):
            return None
        said = self.rows[:count]
        while said and said[-1].get("tool_calls"):  # its answers are in the next part
            said = said[:-1]
        system = I18N_DEFAULT.slice("summarizer_system_message")
        wish = I18N_DEFAULT.slice("summarize_instruction").format(conversation=ABOVE)
        return f"{system}\n\n{wish}", self.written([*self.lead, *said])


_now: ContextVar[Summing | None] = ContextVar("agentcache_crewai_summing", default=None)


def summing_now() -> Summing | None:
    """The conversation that is summed up here; None if none is."""
    return _now.get()


@contextmanager
def summing(
    voices: Mapping[str, str], messages: Sequence[Any], written: Written
) -> Generator[None]:
    """Note what CrewAI sums up here: its prompt holds that as one text, with results in full.

    `voices` are the agents by their system texts; `written` says how messages stand on the wire.
    """
    lead = tuple(message for message in messages if message.get("role") == "system")
    rows = tuple(message for message in messages if message.get("role") != "system")
    voice = str(messages[0].get("content")) if messages else ""
    agent = voices.get(voice)
    token = _now.set(None if agent is None else Summing(agent, lead, rows, written))
    try:
        yield
    finally:
        _now.reset(token)


def _held(rows: Sequence[Any], asked: Sequence[str]) -> int:
    """How many of the messages a prompt holds, from the first on; none unless exactly these."""
    if not asked or _prompt is None:
        return 0
    counts = range(1, len(rows) + 1)  # each message makes the prompt longer
    at = bisect_left(counts, len(asked[-1]), key=lambda n: len(_texts(rows[:n])[-1]))
    exact = at < len(rows) and _texts(rows[: counts[at]]) == list(asked)
    return counts[at] if exact else 0


def _texts(rows: Sequence[Any]) -> list[str]:
    """What CrewAI asks for a summary of these messages with."""
    made = () if _prompt is None else _prompt(list(rows))
    return [str(row["content"]) for row in made]


def _opens_a_turn(said: Sequence[Any], rest: Sequence[Any]) -> bool:
    """Whether some results of a turn are in this part, and others in the next."""
    return bool(said and rest and said[-1].get("role") == "tool" and rest[0].get("role") == "tool")
