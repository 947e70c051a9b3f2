"""Transcripts: what the agents of a group chat have said, in one form for every reader.

A framework gives each agent its own words as the model's and everybody else's as the user's, so
that two agents' requests part at the first word that one of them said. Written as the user's text
"[name]: ..." for all, the chat is one prefix that grows with every turn, whoever speaks.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final

from agentcache.anchors import Anchor
from agentcache.blocks import dumps
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_list
from agentcache.rules import Rule

__all__ = ["Asked", "Line", "Place", "Places", "Transcript", "merged", "said", "unnamed"]

_ROOM: Final = 8192


@dataclass(frozen=True, slots=True)
class Transcript:
    """A chat as one agent reads it: its `messages` in order, less the system text in front.

    `public` tells which of them were said to all, as `said` writes them. The others are this
    agent's own: its calls of tools, its memory, what it is asked now. `system` is its own text, if
    that is not its request's. With `always` that text follows all that was said so far, whatever
    it costs. With `open_calls` its calls of tools are public too: it does not come back to the end
    of a request to hand in a result. It is `drafted` where an adapter wrote it of what its
    framework has, not of the request: what is compacted there stands here in full,
    or once it was replaced in its messages, in `whole`.
    """

    messages: tuple[Json, ...]
    public: tuple[bool, ...]
    system: tuple[str, ...] | None = None
    always: bool = False
    open_calls: bool = False
    drafted: bool = False
    whole: tuple[Json, ...] | None = None

    def known(self) -> "Transcript":
        """The chat by which it is known again: as it was before anything in it was compacted."""
        return self if self.whole is None else replace(self, messages=self.whole, whole=None)

    def shared(self) -> tuple[Json, ...]:
        """What was said to all."""
        return tuple(m for m, public in zip(self.messages, self.public, strict=True) if public)

    def around(self, at: int) -> tuple[Json, ...]:
        """All messages, with the first `at` public ones in front and the others in their order."""
        cut = self._cut(at)
        own = (m for m, public in zip(self.messages[:cut], self.public, strict=False) if not public)
        return (*self.shared()[:at], *own, *self.messages[cut:])

    def behind(self, at: int) -> int:
        """How many of the agent's own messages are older than the last of `at` public ones."""
        return self._cut(at) - at

    def _cut(self, at: int) -> int:
        ends = [n + 1 for n, public in enumerate(self.public) if public]
        return ends[at - 1] if at else 0

    def placed(self) -> tuple[Json, ...]:
        """What only this agent reads, each with how much was said to all before it."""
        heard = accumulate(self.public)
        every = zip(self.messages, self.public, heard, strict=True)
        return tuple({"after": n, "is": m} for m, public, n in every if not public)

    def own(self) -> tuple[Json, ...]:
        """What only this agent reads."""
        return tuple(m for m, public in zip(self.messages, self.public, strict=True) if not public)


def said(dialect: Dialect, name: str, content: Any) -> Json:
    """One message of the transcript: "[name]: text", or that name in front of its parts."""
    if is_list(content):
        named = {"type": dialect.text_type, "text": f"[{name}]:"}
        return {"role": "user", "content": [named, *content]}
    text = f"[{name}]: {content}"
    parts = [{"type": dialect.text_type, "text": text}]
    return {"role": "user", "content": parts if dialect.mark_key else text}


def unnamed(text: str, name: str) -> str:
    """An answer without the name in front of it, which a model may have copied from the chat."""
    return re.sub(rf"\A\s*\[{re.escape(name)}\]:\s*", "", text, count=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a chat. `key` is its content; `name` who said it, if it was said to all."""

    key: str
    name: str | None
    message: Any


def merged(
    thread: Sequence[Line], context: Sequence[Line], own: str, *, whole: bool = False
) -> list[Line]:
    """A chat as one agent reads it: the common `thread`, with what only it has at its place.

    `context` is what the framework gives the agent. Only what that holds, and what the agent
    `own` said itself, is taken of the thread; all of it with `whole`. What others said that the
    agent has and the thread has not stays where it is.
    """
    waiting: dict[str, list[int]] = {}
    for n, line in enumerate(thread):
        waiting.setdefault(line.key, []).append(n)
    places: list[tuple[int, Line]] = []
    at = 0
    known: set[int] = set()
    for line in context:
        found = waiting.get(line.key) if line.name is not None else None
        if found:
            n = found.pop(0)
            known.add(n)
            at = max(at, n + 1)
        else:  # where there is a thread, what is not in it was not said to all
            places.append((at, replace(line, name=None) if thread else line))
    end = at
    while end < len(thread) and thread[end].name == own:
        end += 1
    heard = range(len(thread)) if whole else range(end)
    out: list[tuple[int, int, Line]] = [
        (n + 1, 0, thread[n]) for n in heard if whole or n in known or thread[n].name == own
    ]
    out += [(n, 1, line) for n, line in places]
    return [line for _, _, line in sorted(out, key=lambda item: item[:2])]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent's own text stands in a transcript.

    It `returns` to its own end at its next turn, and so may write it. `again` says that it was
    asked about as much before, in the same turn, `plain` that this was sent as the program made it.
    """

    anchor: Anchor
    returns: bool = False
    again: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is remembered: what was said to all, and how much by this fork alone."""

    fork: int
    key: bytes
    own: int
    mine: bytes


@dataclass(frozen=True, slots=True)
class _Stood:
    place: Place
    own: int
    key: bytes
    written: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class _Bill:
    """What a turn would cost, in tokens: its `tail` sent anew; all since its last turn, to `stay`.

    `shared` is what was said since somebody wrote it for all, the `last` message a part of it.
    """

    tail: float
    stay: float
    shared: float
    last: float


class Places:
    """Where the forks of one session stand in the chats that they were asked about.

    An agent's own text follows what was said so far. Sent anew at every turn, it is paid anew at
    every turn: where others say less between its turns than that is long, it stays where it is.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._stood: dict[tuple[int, bytes], _Stood] = {}
        self._ends: dict[bytes, None] = {}
        self._rent = 0.0
        self._lock = threading.Lock()

    def place(
        self,
        fork: int,
        transcript: Transcript,
        texts: tuple[str, ...],
        rule: Rule,
        write: float,
        weigh: Callable[[Json], int],
    ) -> tuple[Place, Asked]:
        """Where this fork's own `texts` stand, and what to remember of this request.

        `write` is what a written token costs, `weigh` estimates the tokens of a message.
        """
        shared, own, known = transcript.shared(), transcript.own(), transcript.known()
        keys, sent = _chain(b"", known.shared()), _chain(b"", shared)
        weights = [weigh(message) for message in shared]
        mine = _chain(dumps(texts).encode("utf-8", "surrogatepass"), known.placed())
        with self._lock:
            last = next(
                (n for n in range(len(shared), -1, -1) if (fork, keys[n]) in self._stood), 0
            )
            stood = self._stood.get((fork, keys[last]))
            again = stood is not None and last == len(shared)
            if stood is not None and again:
                place = replace(stood.place, again=True, plain=stood.plain)
                return place, Asked(fork, keys[-1], len(own), mine[-1])
            older = [n for n in range(len(shared), 0, -1) if sent[n] in self._ends]
            stays = returns = False
            if stood is not None and not transcript.always:
                own_text = ({"content": text} for text in texts)
                bill = _Bill(
                    (1 - rule.read_multiplier) * sum(map(weigh, (*own_text, *own))),
                    write * sum(weights[last:]),
                    write * sum(weights[older[0] if older else 0 :]),
                    write * (weights[-1] if weights else 0),
                )
                goes_on = stood.own < len(mine) and mine[stood.own] == stood.key
                returns = goes_on and bill.stay < bill.tail + bill.last
                stays = goes_on and stood.written and self._stays(bill)
            at = stood.place.anchor.at if stood is not None and stays else len(shared)
        before = next((n for n in older if n < at), 0)
        anchor = Anchor(at, sent[at], sum(weights[:at]), before)
        plain = stays and stood is not None and stood.plain
        return Place(anchor, returns, plain=plain), Asked(fork, keys[-1], len(own), mine[-1])

    def _stays(self, bill: "_Bill") -> bool:
        """Whether staying is cheaper now, and has not yet cost what moving once would.

        Where all stay, none of them writes what was said for the others: the first to move pays
        for that, as much as the others can save as long again as they have talked so far.
        """
        self._rent += max(0.0, bill.stay - bill.tail - bill.last)
        stays = bill.stay < bill.tail + bill.shared and self._rent < bill.shared
        if not stays:
            self._rent = 0.0
        return stays

    def ask(self, asked: Asked, place: Place, *, plain: bool, written: bool) -> None:
        """Remember a request; `plain` if it went out as the program made it."""
        with self._lock:
            stood = _Stood(place, asked.own, asked.mine, written, plain)
            _keep(self._stood, (asked.fork, asked.key), stood)
            if not plain:
                _keep(self._ends, place.anchor.key, None)


def _chain(start: bytes, messages: Sequence[Json]) -> tuple[bytes, ...]:
    """A digest of every beginning of these messages."""
    first = _digest(start)
    return tuple(accumulate(map(_text, messages), lambda a, b: _digest(a + b), initial=first))


def _text(message: Json) -> bytes:
    return dumps(message).encode("utf-8", "surrogatepass")


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=8).digest()


def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep the latest; the longest unused is forgotten first."""
    known.pop(key, None)
    while len(known) >= _ROOM:
        del known[next(iter(known))]
    known[key] = value
