"""Who speaks: agents told by their system texts, and by the conversations that they go on with."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from agentcache.blocks import frozen
from agentcache.breaks.talk import is_another
from agentcache.breaks.texts import change_of
from agentcache.dialects import Json
from agentcache.dialects.base import role_of

__all__ = ["Voices", "same_voice"]

_TEXTS: Final = 64
_TALKS: Final = 512
_SHUFFLED: Final = ("invisible", "whitespace", "key_order", "order")
_GROWN: Final = 200


def same_voice(one: str, other: str) -> bool:
    """Whether one agent said both: what differs changes by itself, with the clock or the run."""
    longer = max(len(one), len(other))
    if abs(len(one) - len(other)) > _GROWN + longer // 8:
        return False
    change = change_of(one, other)
    if change is None or change.kind in _SHUFFLED:
        return True
    old, new = one.splitlines(), other.splitlines()
    return len(old) == len(new) and all(map(_is_volatile, old, new))


def _is_volatile(one: str, other: str) -> bool:
    change = change_of(one, other)
    return change is None or change.kind in (*_SHUFFLED, "timestamp", "random_id")


class Voices:
    """Names the agents that speak through one client: by system text, and by what they go on from.

    One that changes its system text in the middle of a conversation stays the same agent. Whoever
    asks from several threads holds a lock.
    """

    def __init__(self, name_of: Callable[[str], str]) -> None:
        """Know nobody; `name_of` names a new one by its system text."""
        self._name_of = name_of
        self._texts: dict[str, str] = {}
        self._talks: dict[int, tuple[str, str]] = {}

    def name(self, system: str, said: Sequence[Json]) -> str:
        """The agent that speaks so; `said` are the messages behind its system text, as sent."""
        ends = _ends(said)
        name = self._texts.get(system, "") or self._near(system)
        if not name and any(role_of(message) != "user" for message in said):
            name = self._going_on(system, ends)
        name = name or self._name_of(system)
        _keep(self._texts, system, name, _TEXTS)
        if ends:
            _keep(self._talks, ends[-1], (name, system), _TALKS)
        return name

    def _near(self, system: str) -> str:
        known = reversed(self._texts.items())
        return next((name for text, name in known if same_voice(text, system)), "")

    def _going_on(self, system: str, ends: Sequence[int]) -> str:
        """The agent whose conversation this is, if it was edited and is not another one's."""
        for end in reversed(ends):
            name, text = self._talks.get(end, ("", ""))
            if name and not is_another(text, system):
                return name
        return ""


def _ends(said: Sequence[Json]) -> list[int]:
    """What tells a conversation by all it has said so far, after each message."""
    out: list[int] = []
    for message in said:
        out.append(hash((out[-1] if out else 0, frozen(message))))
    return out


def _keep(held: dict[Any, Any], key: object, value: object, most: int) -> None:
    held.pop(key, None)
    held[key] = value
    while len(held) > most:
        del held[next(iter(held))]
