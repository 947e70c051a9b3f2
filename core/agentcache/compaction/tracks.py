"""One conversation and what became of it: read once, message by message, and never again."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Any, Final

from agentcache.blocks import dumps
from agentcache.compaction.decisions import Decision
from agentcache.compaction.extracts import OPENING
from agentcache.compaction.pieces import (
    Kind,
    Piece,
    calls_in,
    is_said,
    pieces_in,
    replaced,
    tokens_of,
)
from agentcache.dialects import Json
from agentcache.dialects.base import is_json, is_list

__all__ = ["Track"]

_THINKING: Final = ("thinking", "redacted_thinking")


class Track:
    """A conversation: its messages as the program has them, and `out`, as they are sent.

    `heard` is the last message that a model has answered: all up to there was sent. `open` are the
    pieces about which something may yet be decided, in order, `fresh` those just read. `tokens` are
    estimated: of all as the program has it, and as it is sent. `size` counts the characters it may
    hold on to. `sent` messages were sent; `moved` says what moved of them since, and is not told.
    """

    def __init__(self, kinds: Sequence[Kind], front: int = 0, agent: str = "") -> None:
        """Begin a conversation of an agent; `front` are the tokens of what stands before it."""
        self.agent = agent
        self.size = 0
        self.changed = False
        self.offered = False
        self.unasked = False
        self.version = 0
        self.out: list[Any] = []
        self.open: list[Piece] = []
        self.fresh: list[Piece] = []
        self.heard = -1
        self.turns = 0
        self.tokens = (front, front)
        self.seen_s = 0.0
        self.sent = 0
        self.moved = ""
        self._kinds = kinds
        self._read: list[Any] = []
        self._weights: list[int] = []
        self._names: dict[str, str] = {}
        self._results: list[int] = []
        self._said = False
        self._bound = -1

    def __len__(self) -> int:
        """How many messages were read."""
        return len(self._read)

    def leads_to(self, rows: Sequence[Any]) -> bool:
        """Whether these messages go on from those that were read, which are as they were.

        A message that a program changes in place goes out changed, but for what was replaced.
        """
        n = len(self._read)
        if n > len(rows) or (n and rows[n - 1] != self._read[n - 1]):
            return False
        return rows[:n] == self._read

    def grow(self, rows: Sequence[Any]) -> list[Piece]:
        """Read the messages that came since; returns what they hold that may be compacted."""
        found: list[Piece] = []
        for n, row in enumerate(rows[len(self._read) :], len(self._read)):
            if is_said(row):
                self.turns += not self._said
                self.heard = n - 1 if not self._said else self.heard
            self._said = is_said(row)
            found += self._take(n, row)
        self.fresh = found
        return found

    def _take(self, n: int, row: Any) -> list[Piece]:
        self._names.update(calls_in(row))
        pieces = list(pieces_in(n, row, self._names, self._kinds))
        if any(piece.kind == "result" for piece in pieces):
            self._results.append(n)
        texts = [piece for piece in pieces if piece.text is not None]
        frame = replaced(row, [(piece, "") for piece in texts]) if texts else row
        weight = tokens_of(dumps(frame)) + sum(piece.tokens for piece in texts)
        if is_json(row) and is_list(row.get("content")) and any(map(_thinks, row["content"])):
            self._bound = n
        self.size += sum(len(piece.text or "") for piece in pieces)
        self._weights.append(weight)
        self._read.append(row)
        self.out.append(row)
        self.tokens = (self.tokens[0] + weight, self.tokens[1] + weight)
        return [piece for piece in texts if OPENING not in (piece.text or "")[: len(OPENING) + 20]]

    def take(self, decisions: Mapping[str, Decision]) -> int | None:
        """Put placeholders where something was decided; returns the first message that changed."""
        if not decisions:
            return None
        both = (*self.open, *self.fresh)
        taken = [(piece, decisions[piece.name]) for piece in both if piece.name in decisions]
        if not taken:
            return None
        self.changed = True
        self.open = [piece for piece in self.open if piece.name not in decisions]
        self.fresh = [piece for piece in self.fresh if piece.name not in decisions]
        for piece, decision in taken:
            before, after = decision.tokens
            self._weights[piece.row] += after - before
            self.tokens = (self.tokens[0], self.tokens[1] + after - before)
        for n in {piece.row for piece, _ in taken}:
            row: Json = self.out[n]
            self.out[n] = replaced(row, [(p, d.text) for p, d in taken if p.row == n])
        return min(piece.row for piece, _ in taken)

    def keep_open(self, least: int, never: Sequence[str]) -> None:
        """Go on with those of the fresh pieces that are large enough, and not of these tools."""
        self.open += [p for p in self.fresh if p.tokens >= least and p.tool not in never]
        self.fresh = []

    def unsent(self) -> list[Piece]:
        """The open pieces that no model has read."""
        return list(takewhile(lambda piece: piece.row > self.heard, reversed(self.open)))[::-1]

    def thinks_behind(self, row: int) -> bool:
        """Whether a model's thinking is sent back behind this message."""
        return self._bound >= row

    def stale(self, keep: int) -> list[Piece]:
        """What was sent, and is not in the latest results."""
        if keep >= len(self._results):
            return []
        end = min(self._results[-keep] if keep else len(self._read), self.heard + 1)
        return [piece for piece in self.open if piece.row < end]

    def behind(self) -> list[int]:
        """For each message the tokens from it to the end, as it is sent."""
        return list(accumulate(reversed(self._weights)))[::-1]


def _thinks(part: Any) -> bool:
    return is_json(part) and part.get("type") in _THINKING
