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

__all__ = ["Line", "Place", "Places", "Transcript", "merged", "said", "unnamed"]

_ROOM: Final = 8192


@dataclass(frozen=True, slots=True)
class Transcript:
    """A chat as one agent reads it: its `messages` in order, less the system text in front.

    `public` tells which of them were said to all, as `said` writes them. The others are this
    agent's own: its calls of tools, its memory, what it is asked now. `system` is its own text, if
    that is not its request's. With `always` that text follows all that was said so far, whatever
    it costs.
    """

    messages: tuple[Json, ...]
    public: tuple[bool, ...]
    system: tuple[str, ...] | None = None
    always: bool = False

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
class _Stood:
    at: int
    returns: bool
    written: bool
    plain: bool


class Places:
    """Where the forks of one session stand in the chats that they were asked about.

    An agent's own text follows what was said so far. Sent anew at every turn, it is paid anew at
    every turn: where others say less between its turns than that is long, it stays where it is.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._stood: dict[tuple[int, bytes], _Stood] = {}
        self._ends: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def place(
        self,
        fork: int,
        transcript: Transcript,
        rule: Rule,
        write: float,
        own: int,
        weigh: Callable[[str], int],
    ) -> tuple[Place, tuple[bytes, ...]]:
        """Where this fork's text of `own` tokens stands, and the keys of what was said before it.

        `write` is what a written token costs, `weigh` estimates the tokens of a text.
        """
        texts = [dumps(message) for message in transcript.shared()]
        keys = tuple(accumulate(map(_digest, texts), lambda a, b: _digest(a + b), initial=b""))
        weights = [weigh(text) for text in texts]
        with self._lock:
            last = next((n for n in range(len(texts), -1, -1) if (fork, keys[n]) in self._stood), 0)
            stood = self._stood.get((fork, keys[last]))
            again = stood is not None and last == len(texts)
            if stood is not None and again:
                at, returns = stood.at, stood.returns
            else:
                since = sum(weights[last:])
                pays = write * since < (1 - rule.read_multiplier) * own
                returns = stood is not None and pays and not transcript.always
                stays = returns and stood is not None and stood.written and not stood.plain
                at = stood.at if stays and stood is not None else len(texts)
            older = next((n for n in range(at - 1, 0, -1) if keys[n] in self._ends), 0)
        plain = stood is not None and stood.plain and again
        anchor = Anchor(at, keys[at], sum(weights[:at]), older)
        return Place(anchor, returns, again, plain), keys

    def ask(
        self, fork: int, keys: Sequence[bytes], place: Place, *, plain: bool, written: bool
    ) -> None:
        """Remember a request; `plain` if it went out as the program made it."""
        with self._lock:
            stood = _Stood(place.anchor.at, place.returns, written, plain)
            _keep(self._stood, (fork, keys[-1]), stood)
            if not plain:
                _keep(self._ends, place.anchor.key, None)


def _digest(content: str | bytes) -> bytes:
    text = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return hashlib.blake2b(text, digest_size=8).digest()


def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep the latest; the longest unused is forgotten first."""
    known.pop(key, None)
    while len(known) >= _ROOM:
        del known[next(iter(known))]
    known[key] = value
