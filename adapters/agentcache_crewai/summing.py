"""Summaries: what CrewAI asks for when a context is full, as a fork of its agent's own."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from crewai.utilities.i18n import I18N_DEFAULT

from agentcache.dialects import Json
from agentcache.dialects.openai_chat import texts_of
from agentcache.summaries import ABOVE

__all__ = ["Summing", "summing", "summing_now"]

_ENDS: Final = 120
"""Characters at both ends of a text, by which it is found in a prompt."""

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

    def first_part(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> tuple[str, Sequence[Json]] | None:
        """The wish without its copy of the conversation, and the messages that it is about.

        None for another part, for one that cuts a message or a turn in two, and for another wish.
        """
        asked = "\n".join(text for row in messages for text in texts_of(row.get("content")))
        wish = str(I18N_DEFAULT.slice("summarize_instruction"))
        head, _, tail = wish.partition("{conversation}")
        if head.strip() not in asked:
            return None
        count = _held(self.rows, asked.partition(head.strip())[2])
        if not count or _opens_a_turn(self.rows[:count], self.rows[count:]):
            return None
        said = self.rows[:count]
        while said and said[-1].get("tool_calls"):  # its answers are in the next part
            said = said[:-1]
        system = I18N_DEFAULT.slice("summarizer_system_message")
        return f"{system}\n\n{head}{ABOVE}{tail}", self.written([*self.lead, *said])


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


def _held(rows: Sequence[Any], asked: str) -> int:
    """How many of the messages a prompt holds, from the first on; none if it cuts one in two."""
    at = 0
    for n, row in enumerate(rows):
        text = "\n".join(texts_of(row.get("content"))).strip()
        if not text:
            continue
        start = asked.find(text[:_ENDS], at)
        if start < 0:
            return n
        at = asked.find(text[-_ENDS:], start)
        if at < 0:
            return 0
    return len(rows)


def _opens_a_turn(said: Sequence[Any], rest: Sequence[Any]) -> bool:
    """Whether some results of a turn are in this part, and others in the next."""
    return bool(said and rest and said[-1].get("role") == "tool" and rest[0].get("role") == "tool")
