"""Anchors: after which part of a conversation its agent's own text stands, and stays.

Agents that talk in one history (a supervisor and its workers, a swarm, a group chat) send the same
messages under different system texts. Where each agent's own text follows what has been said so
far, that history is one more part of the prefix they share; and an agent that goes on alone keeps
its place, because its own turns stand behind it.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Literal, TypeVar

from agentcache.blocks import Block
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list, role_of
from agentcache.layout import apart
from agentcache.trunks import Path

__all__ = ["START", "Anchor", "Anchors", "Follows", "History", "history_of"]

Follows = Literal["nothing", "found", "history"]
"""What an agent's own text stands behind: nothing, or a history that it shares with others.

`found`: once another agent was asked about it. `history`: the agents are known to talk in one, so
that a new one comes first too, if it is longer than the agent's own text.
"""

K = TypeVar("K")
V = TypeVar("V")

_ROOM: Final = 8192
_BEGUN: Final = 32
_HEARD: Final = ("user", "system", "developer", "tool", "function", "additional_tools")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in a conversation: `at` messages stand before it, `weight` tokens in them.

    `key` digests that history. `older` is an earlier end of it, at which another
    request may have written; 0 if none is known.
    """

    at: int = 0
    key: bytes = b""
    weight: int = 0
    older: int = 0


START: Final = Anchor()
_NOBODY: Final = (frozenset[int](), ())


@dataclass(frozen=True, slots=True)
class History:
    """A conversation's messages, less its system text.

    `keys[n]` digests the first n of them together, `own[n]` message n alone; `said` tells which the
    model said, `weights` their estimated tokens.
    """

    keys: tuple[bytes, ...]
    own: tuple[bytes, ...]
    said: tuple[bool, ...]
    weights: tuple[int, ...]

    @property
    def end(self) -> int:
        """How many messages there are before a last one that the model has begun."""
        end = len(self.said)
        while end and self.said[end - 1]:
            end -= 1
        return end

    def turns(self) -> list[int]:
        """Where the model began to speak."""
        return [n for n, said in enumerate(self.said) if said and not (n and self.said[n - 1])]


def history_of(
    dialect: Dialect, messages: Sequence[Json], blocks: Sequence[Block], weights: Sequence[int]
) -> tuple[History, tuple[Json, ...]]:
    """Read a conversation: (its history, the messages that this counts).

    `blocks` are those of its request, `weights` their tokens. Where roles take turns, what a
    framework had to join in one message of the user's is several messages again.
    """
    count = len({_number(block) for block in blocks})
    lead = count - len(messages)  # the system text stands first
    held: list[list[int]] = [[] for _ in messages]
    for n, block in enumerate(blocks):
        if _number(block) >= lead:
            held[_number(block) - lead].append(n)
    units: list[tuple[Json, list[int]]] = []
    for message, mine in zip(messages, held, strict=True):
        pieces = apart(dialect, message)
        split = len(pieces) == len(mine)
        units += [(p, [n]) for p, n in zip(pieces, mine, strict=True)] if split else []
        units += [] if split else [(message, mine)]
    own = tuple(
        _digest(*(blocks[n].identity for n in mine))
        if (text := _text_of(message)) is None
        else _digest(b"text", text.encode("utf-8", "surrogatepass"))
        for message, mine in units
    )
    keys = tuple(accumulate(own, _digest, initial=b""))
    said = tuple(_is_models(message) for message, _ in units)
    tokens = tuple(sum(weights[n] for n in mine) for _, mine in units)
    return History(keys, own, said, tokens), tuple(message for message, _ in units)


def _text_of(message: Json) -> str | None:
    """What the user says, if it is a text and nothing else: as a string or as the only part."""
    content: Any = message.get("content") if role_of(message) == "user" else None
    if is_list(content) and len(content) == 1 and is_json(content[0]):
        plain = set(content[0]) <= {"type", "text", "cache_control", "prompt_cache_breakpoint"}
        content = content[0].get("text") if plain else None
    named = set(message) - {"role", "content", "type"}
    return content if isinstance(content, str) and not named else None


def _digest(*pieces: bytes) -> bytes:
    return hashlib.blake2b(b"".join(pieces), digest_size=8).digest()


def _number(block: Block) -> int:
    """Number of the message that a block belongs to."""
    return int(block.path.partition("[")[2].partition("]")[0] or 0)


def _is_models(message: object) -> bool:
    """Whether the model said this, be it an item of a response that has no role."""
    kind = role_of(message)
    if is_json(message) and "role" in message:
        return kind == "assistant"
    return bool(kind) and kind not in _HEARD and not kind.endswith("_output")


class Anchors:
    """The histories that the forks of one session have been asked about, and their anchors.

    A history that another fork was asked about before comes first. A new one may too, unless this
    agent's histories have turned out to be its own: then its text is what they have in common.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._asked: dict[bytes, tuple[frozenset[int], Path]] = {}
        self._anchored: dict[tuple[int, bytes], None] = {}
        self._mine: dict[tuple[int, bytes], None] = {}
        self._begun: dict[int, dict[bytes, None]] = {}
        self._plain: dict[tuple[int, bytes], None] = {}
        self._joined: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def path(self, fork: int, history: History) -> Path | None:
        """Where another fork that was asked about a beginning of this history stands."""
        with self._lock:
            found = (self._asked.get(key) for key in reversed(history.keys[1:]))
            return next((path for who, path in filter(None, found) if who - {fork}), None)

    def place(self, fork: int, history: History, follows: Follows, own_weight: int) -> Anchor:
        """Where this fork's own text stands; `own_weight` are its tokens."""
        if follows == "nothing":
            return START
        with self._lock:
            at = self._kept(fork, history, own_weight)
            if at is None:
                at = self._new(fork, history, follows, own_weight)
            older = (n for n in range(at - 1, 0, -1) if (0, history.keys[n]) in self._anchored)
            return Anchor(at, history.keys[at], sum(history.weights[:at]), next(older, 0))

    def _kept(self, fork: int, history: History, own_weight: int) -> int | None:
        """Where this fork's text stood last, unless it pays to move it behind what others said.

        Moved, it is sent anew, and so are the fork's own turns; what others said since is then
        written for all. A conversation that begins has no place yet.
        """
        turns = history.turns()
        places = range(history.end, -1 if turns else history.end - 1, -1)
        at = next((n for n in places if (fork + 1, history.keys[n]) in self._anchored), None)
        if at is None:
            return None
        mine, others, own = 0, 0, True
        for n in range(at, history.end):
            if n in turns:
                own = self._is_mine(fork, history, n)
            mine, others = mine + own * history.weights[n], others + (not own) * history.weights[n]
        return at if others < own_weight + mine or not others else None

    def _is_mine(self, fork: int, history: History, turn: int) -> bool:
        """Whether this fork said it: it was asked about all before, or has said this elsewhere."""
        asked = self._asked.get(history.keys[turn])
        mine = asked is not None and fork in asked[0]
        if mine:
            _keep(self._mine, (fork, history.own[turn]), None)
        return mine or (fork, history.own[turn]) in self._mine

    def _new(self, fork: int, history: History, follows: Follows, own_weight: int) -> int:
        end = history.end
        joined = [k for k in history.keys[1:] if self._asked.get(k, _NOBODY)[0] - {fork}]
        for key in joined:
            _keep(self._joined, key, None)
        longer = sum(history.weights[:end]) >= own_weight
        if joined:
            return end if longer else 0
        begun = self._begun.get(fork, {}).keys() - {history.keys[end]}
        alone = begun and self._joined.keys().isdisjoint(begun)
        return end if follows == "history" and longer and not alone else 0

    def stays_plain(self, fork: int, history: History) -> bool:
        """Whether this is the next turn of a loop whose last request was sent as it is."""
        with self._lock:
            turns = history.turns()
            return bool(turns) and (fork, history.keys[turns[-1]]) in self._plain

    def ask(
        self, fork: int, history: History, path: Path, anchor: Anchor, *, plain: bool = False
    ) -> None:
        """Remember a request; its fork's text stands at `anchor`.

        A `plain` one goes out as the program made it, with that text in front.
        """
        with self._lock:
            key = history.keys[history.end]
            who, _ = self._asked.get(key, (frozenset[int](), path))
            _keep(self._asked, key, (who | {fork}, path))
            if not any(self._is_mine(fork, history, n) for n in history.turns()):
                _keep(self._begun.setdefault(fork, {}), key, None, _BEGUN)
            _keep(self._anchored, (fork + 1, START.key if plain else anchor.key), None)
            if plain:
                _keep(self._plain, (fork, key), None)
            else:
                _keep(self._anchored, (0, anchor.key), None)


def _keep(known: dict[K, V], key: K, value: V, room: int = _ROOM) -> None:
    """Keep the latest; the longest unused is forgotten first."""
    known.pop(key, None)
    while len(known) >= room:
        del known[next(iter(known))]
    known[key] = value
