"""Conversations under way: what each began with, and keeps."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.blocks import dumps, frozen
from agentcache.dialects import Parts
from agentcache.dialects.base import role_of
from agentcache.dialects.openai_chat import texts_of
from agentcache.layout import SAID
from agentcache.standings import Standing

__all__ = ["Talk", "Talks", "key_of", "opening"]

_ROOM: Final = 512


@dataclass(eq=False, slots=True)
class Talk:
    """One conversation: the trunk it stands on, and the tools its tail lists once it has begun.

    `left` says why it is left alone, as it was when it began: no verdict moves it half-way.

    A framework may drop the tools for a last forced answer, or add one late: both are wire
    restrictions, not news for the tail. In a group chat each turn lists its own. And the trunk may
    grow meanwhile: by texts, which wait for the next conversation, or by a tool, which this one
    needs.
    """

    standing: Standing
    length: int
    left: str = ""
    listed: tuple[str, ...] | None = None
    under: Standing | None = None

    def lists(self, own: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
        """The tools its tail lists: those it began with, of the agent's own in their order.

        Where it moved to a longer union, all is written anew: what it brought is listed then too.
        """
        if self.listed is None or self.under is not self.standing:
            known = (*(self.listed or ()), *names)
            first = [name for name in own if name in known]
            self.listed, self.under = tuple(dict.fromkeys((*first, *known))), self.standing
        return self.listed


class Talks:
    """The conversations of all forks of one session; the longest silent are forgotten first."""

    def __init__(self) -> None:
        """Know of none."""
        self._known: dict[tuple[int, int], Talk] = {}
        self._lock = threading.Lock()

    def of(
        self, fork: int, said: Sequence[str], length: int, stand: Callable[[], tuple[Standing, str]]
    ) -> Talk:
        """The conversation of this fork that opened with these texts; a new one if it begins.

        `stand` says what a new one stands on, and why it is left alone. A conversation of one
        message begins, and so does one that is shorter than it was; any other is the next turn, or
        a retry.
        """
        key = (fork, key_of(said))
        with self._lock:
            talk = self._known.pop(key, None)
            if talk is None or length <= 1 or length < talk.length:
                standing, left = stand()
                talk = Talk(standing, length, left)
            talk.length = length
            while len(self._known) >= _ROOM:
                self._known.pop(next(iter(self._known)))
            self._known[key] = talk
        return talk


def opening(parts: Parts) -> list[str]:
    """The system text and the first message, as far as the program itself says it."""
    first = [m for m in parts.messages[:1] if role_of(m) in SAID]
    return [*parts.system, *(text for m in first for text in texts_of(m.get("content")))]


def key_of(*values: Sequence[Any]) -> int:
    """What tells one conversation from another, inside this process."""
    try:
        return hash(frozen(values))
    except TypeError:  # an SDK's own object
        return hash(dumps(values))
