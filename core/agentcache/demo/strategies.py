"""Ways to keep a tool loop short: compaction, and what agents use instead of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from agentcache.blocks import dumps, estimate_tokens
from agentcache.compaction import RECALL, Compaction, Compactor, MemoryStore, recall
from agentcache.demo.traces import ToolTurn
from agentcache.dialects import Json, dialect_of
from agentcache.rules import rule_for

__all__ = ["SLIDING", "STRATEGIES", "Compacting", "Once", "Shaped", "Strategy"]

_FOLD: Final = 40_000
_KEPT: Final = 10
"""Turns that a summary leaves as they are: LangChain's default, 20 messages."""
_WORDS: Final = 85
"""Of a summary: about 300 tokens of what these loops hold."""
_SUMMARY: Final = (
    "Extract the most important context from the conversation below, so that it can go on without "
    "it: what was asked, what was found, what was changed, what is left to do.\n\n"
)


@dataclass(frozen=True, slots=True)
class Shaped:
    """What is sent in a request's place, and the requests that are made to get there."""

    request: Json
    before: tuple[Json, ...] = ()
    announced: bool = False


class Strategy(Protocol):
    """Shapes the requests of one loop, in order; `wants` is a turn that the agent adds to it."""

    def shape(self, request: Json) -> Shaped:
        """The request as it is sent."""
        ...

    def wants(self) -> ToolTurn | None:
        """What the agent asks for because of what it was sent; None for nothing."""
        ...


@dataclass
class _Pure:
    """A strategy that looks at nothing but the request."""

    rows: Callable[[Sequence[Json]], Sequence[Json]]

    def shape(self, request: Json) -> Shaped:
        """The request with other messages."""
        head, turns = _split(request["messages"])
        return Shaped({**request, "messages": [*head, *self.rows(turns)]})

    def wants(self) -> None:
        """Nothing: what is gone is gone."""


@dataclass
class _Folding:
    """Folds all but the latest turns into a summary once the request is long.

    So do CrewAI (`respect_context_window`) and LangChain (`SummarizationMiddleware`). The call that
    writes the summary is billed as what it is, a call with a prompt of its own.
    """

    _folded: int = field(default=0, init=False)
    _summary: list[Json] = field(default_factory=list[Json], init=False)
    _weigh: "Once[int]" = field(default_factory=lambda: Once(_tokens_of), init=False)

    def shape(self, request: Json) -> Shaped:
        """The request with a summary in the place of what was folded."""
        head, turns = _split(request["messages"])
        rows, end = [*head, *self._summary, *turns[self._folded :]], len(turns) - 2 * _KEPT
        if sum(map(self._weigh, rows)) <= _FOLD or end <= self._folded:
            return Shaped({**request, "messages": rows})
        text = dumps([*self._summary, *turns[self._folded : end]])
        self._folded = end
        words = " ".join(text.split()[-_WORDS:])  # as long as a summary, and as new
        self._summary = [{"role": "user", "content": f"The conversation so far, in short: {words}"}]
        asked = {"role": "user", "content": _SUMMARY + text}
        kept: Json = {key: request[key] for key in ("model", "max_tokens") if key in request}
        rows = [*head, *self._summary, *turns[self._folded :]]
        return Shaped({**request, "messages": rows}, ({**kept, "messages": [asked]},))

    def wants(self) -> None:
        """Nothing: what is gone is gone."""


@dataclass
class Compacting:
    """`agentcache.compaction`, with an agent that recalls a share of what was compacted, in full.

    `decided` counts what was compacted, `recalled` what of it the agent asked for. The tool to ask
    with is offered from the first call on.
    """

    compaction: Compaction = field(default_factory=Compaction)
    share: float = 0.0
    decided: int = field(default=0, init=False)
    recalled: int = field(default=0, init=False)
    _store: MemoryStore = field(default_factory=MemoryStore, init=False)
    _compactor: Compactor | None = field(default=None, init=False)
    _due: list[str] = field(default_factory=list[str], init=False)

    def shape(self, request: Json) -> Shaped:
        """The request with placeholders in it; what they stand for is kept."""
        if self._compactor is None:
            told = (dialect_of(request), rule_for(request["model"]))
            self._compactor = Compactor(self.compaction, self._store, *told)
        made = self._compactor(request, recalls=True)
        for decision in made.new:
            if decision.tool == RECALL:
                continue
            self.decided += 1
            if _counts(self.decided, self.share):
                self._due.append(decision.content_id)
        return Shaped(dict(made.request), announced=bool(made.moved))

    def wants(self) -> ToolTurn | None:
        """The next of the results that the agent cannot do without."""
        if not self._due:
            return None
        self.recalled += 1
        asked = {"id": self._due.pop(0)}
        return ToolTurn(RECALL, asked, recall(self._store, asked), "I need all of that.")


def _counts(n: int, share: float) -> bool:
    """Whether the n-th of many belongs to an evenly spread share."""
    return int(n * share + 0.5) > int((n - 1) * share + 0.5)


def _split(rows: Sequence[Json]) -> tuple[Sequence[Json], Sequence[Json]]:
    """What was said before the model first answered, and the turns since: two rows each."""
    first = next((n for n, row in enumerate(rows) if row["role"] == "assistant"), len(rows))
    return rows[:first], rows[first:]


_Made = TypeVar("_Made")


class Once(Generic[_Made]):
    """Works out once for each message what a loop asks of it at every call."""

    def __init__(self, work: Callable[[Json], _Made]) -> None:
        """Know of no message yet."""
        self._work = work
        self._known: dict[int, tuple[Json, _Made]] = {}

    def __call__(self, row: Json) -> _Made:
        """What was, or is now, worked out for this message."""
        if id(row) not in self._known:
            self._known[id(row)] = (row, self._work(row))  # which keeps the id its own
        return self._known[id(row)][1]


def _tokens_of(row: Json) -> int:
    return estimate_tokens(dumps(row))


def _latest(turns: int) -> Callable[[Sequence[Json]], Sequence[Json]]:
    return lambda rows: rows[-2 * turns :]


def _fitting(tokens: int) -> Callable[[Sequence[Json]], Sequence[Json]]:
    """The latest turns that fit into so many tokens, as `trim_messages` and buffers keep them."""
    weigh = Once(_tokens_of)

    def fit(rows: Sequence[Json]) -> Sequence[Json]:
        room, first = tokens, len(rows)
        while first >= 2:
            room -= sum(map(weigh, rows[first - 2 : first]))
            if room < 0:
                break
            first -= 2
        return rows[first:]

    return fit


def _cleared(keep: int, trigger: int) -> Callable[[Sequence[Json]], Sequence[Json]]:
    """All results but the latest cleared, wherever there are more than `trigger` tokens.

    So does LangChain's `ClearToolUsesEdit`, by default with keep=3 and trigger=100_000.
    """
    weigh, clear = Once(_tokens_of), Once(_without_result)

    def cleared(rows: Sequence[Json]) -> Sequence[Json]:
        if sum(map(weigh, rows)) <= trigger:
            return rows
        old = max(0, len(rows) - 2 * keep)
        return [*map(clear, rows[:old]), *rows[old:]]

    return cleared


def _without_result(row: Json) -> Json:
    if row["role"] == "tool":
        return {**row, "content": "[cleared]"}
    if row["role"] == "user":
        parts: Any = row["content"]
        return {**row, "content": [{**part, "content": "[cleared]"} for part in parts]}
    return row


SLIDING: Final[Mapping[str, Callable[[], Strategy]]] = {
    "last 10 turns": lambda: _Pure(_latest(10)),
    "last 20 turns": lambda: _Pure(_latest(20)),
    "last 20k tokens": lambda: _Pure(_fitting(20_000)),
    "keep 3 over 100k": lambda: _Pure(_cleared(3, 100_000)),
    "keep 3 over 20k": lambda: _Pure(_cleared(3, 20_000)),
}
"""Strategies whose window moves at every turn, once it is full."""
STRATEGIES: Final[Mapping[str, Callable[[], Strategy]]] = {
    "nothing": lambda: _Pure(lambda rows: rows),
    **SLIDING,
    "summary over 40k": _Folding,
    "compaction": Compacting,
    "compaction, 10% recalled": lambda: Compacting(share=0.1),
}
"""All that are compared, by name; each is made anew for each loop."""
