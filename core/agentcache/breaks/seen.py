"""What was seen of the calls, and how much of it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.dialects import Dialect
from agentcache.prints import Print
from agentcache.rules import Rule
from agentcache.usage import Usage

__all__ = ["Seen", "Shelf"]

_AGENTS: Final = 256
_EACH: Final = 32
_ROOM: Final = 24_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A call as it was seen: whose it is, what it sent, what it used, and when, in seconds.

    `number` is that of the call in its ledger, `headers` went with it. `wire` and `rule` are those
    of its endpoint. `original` fingerprints the request as the program made it, before it was
    forked. `answer_id` is what the provider called its answer. Only calls of one `place`, an
    address and a key, may share a cache; where a call is not `timed`, its times say nothing. `keys`
    digest the blocks that render, `size` counts their characters: both once it is kept. With
    `moved` a step of compaction, which was announced, changed what was sent before.
    """

    wire: Dialect
    rule: Rule
    agent: str
    request: Mapping[str, Any]
    headers: Mapping[str, str]
    usage: Usage
    started_s: float
    ended_s: float
    number: int = -1
    forked: bool = False
    original: Sequence[Print] = ()
    answer_id: str = ""
    place: str = ""
    timed: bool = True
    keys: tuple[bytes, ...] = ()
    size: int = 0
    moved: bool = False


class Shelf:
    """The latest calls of each agent: 32 of each, of 256 agents, of 24 million characters in all.

    Where there is no room, the agent that was silent longest loses one: a call that a later one
    goes on from before others, then the oldest, its latest last. Texts that several requests hold
    count for each of them, though they are kept once.
    """

    def __init__(self, room: int = _ROOM) -> None:
        """Keep up to `room` characters."""
        self._room = room
        self._size = 0
        self._seen: dict[str, list[Seen]] = {}

    def of(self, agent: str) -> list[Seen]:
        """The calls of an agent, the oldest first."""
        return list(self._seen.get(agent, ()))

    def latest(self) -> list[Seen]:
        """The latest call of every agent, the latest first."""
        return [each[-1] for each in reversed(self._seen.values())]

    def put(self, seen: Seen) -> None:
        """Keep a call, and drop what there is no room for."""
        self._seen[seen.agent] = [*self._seen.pop(seen.agent, ()), seen]
        self._size += seen.size
        if len(self._seen[seen.agent]) > _EACH:
            self._drop(seen.agent)
        while len(self._seen) > _AGENTS:
            self._drop(next(iter(self._seen)))
        while self._size > self._room and (len(self._seen) > 1 or len(self._seen[seen.agent]) > 1):
            several = (agent for agent, each in self._seen.items() if len(each) > 1)
            self._drop(next(several, next(iter(self._seen))))

    def _drop(self, agent: str) -> None:
        held = self._seen[agent]
        self._size -= held.pop(_spare(held)).size
        if not self._seen[agent]:
            del self._seen[agent]


def _spare(held: Sequence[Seen]) -> int:
    """The number of a call that a later one holds all of; else that of the oldest."""
    for n, one in enumerate(held[:-1]):
        long = len(one.keys)
        if any(len(s.keys) > long and s.keys[:long] == one.keys for s in held[n + 1 :]):
            return n
    return 0
