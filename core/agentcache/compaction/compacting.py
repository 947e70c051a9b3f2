"""compact: a request in, and out the same with placeholders for what is no longer needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.blocks import Block, estimate_tokens
from agentcache.compaction.decisions import Decision, DecisionLog, Reason
from agentcache.compaction.extracts import OPENING, placeholder
from agentcache.compaction.results import Result, replaced, results_of
from agentcache.dialects import Dialect, Json, dialect_of
from agentcache.dialects.base import is_json, is_list
from agentcache.errors import OptionError
from agentcache.rules import Rule, rule_for

__all__ = ["Compacted", "Compaction", "compact"]

_BIG: Final = 0.25
"""Of the high water: a step that removes less is not worth moving the prefix for."""
_WORTH: Final = 0.75
"""A placeholder is at most this share of what it stands for."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """When results are compacted; all figures are tokens.

    A result of `large` tokens or more is compacted before it is ever sent. Once a request reaches
    `high`, results behind the latest `keep` ones are compacted in one step, down to `low` if that
    can be had, but only if the step pays; at `limit` it is taken in any case. Results under `small`
    stay, and those of the tools in `never`.
    """

    large: int | None = 1_000
    high: int | None = 60_000
    low: int = 30_000
    limit: int | None = None
    keep: int = 3
    small: int = 200
    never: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise OptionError for figures that contradict each other."""
        if self.high is not None and self.low >= self.high:
            raise OptionError(f"low={self.low:,} must be below high={self.high:,}.")
        if self.limit is not None and self.high is not None and self.limit < self.high:
            raise OptionError(f"limit={self.limit:,} must not be below high={self.high:,}.")
        if min(self.keep, self.small) < 0:
            raise OptionError("keep= and small= are not negative.")


@dataclass(frozen=True, slots=True)
class Compacted:
    """What `compact` made: the `request` to send, the `log` to go on with, and what is `new`.

    `originals` are the contents that placeholders came to stand for, by their content ids: whoever
    sends the request stores them first. `tokens` are those of the request before and after,
    estimated. `moved` says that the prefix moves with this request; `why` says what was weighed.
    """

    request: Json
    log: DecisionLog
    new: tuple[Decision, ...]
    originals: Mapping[str, str]
    tokens: tuple[int, int]
    moved: bool = False
    why: str = ""


def compact(
    request: Mapping[str, Any],
    log: DecisionLog | None = None,
    *,
    compaction: Compaction | None = None,
    provider: str | None = None,
    calls_left: int | None = None,
    cold: bool = False,
) -> Compacted:
    """Put deterministic placeholders in the place of tool results that are large, or stale.

    Pure: the same request, log and compaction give the same bytes on any machine. What was decided
    before is applied first, and never revised. `calls_left` are the calls expected to come, this
    one included; without it, as many as there were. `cold` says that no provider holds the prefix
    any more, so that moving it costs nothing.

    Raises:
        OptionError: a request of no known shape, or a `provider` that no row names.

    """
    wire = dialect_of(request)
    rule = rule_for(str(request.get("model") or request.get("modelId") or ""), provider=provider)
    return compacted(
        wire, rule, request, log or DecisionLog(), compaction or Compaction(), calls_left, cold
    )


def compacted(
    wire: Dialect,
    rule: Rule,
    request: Mapping[str, Any],
    log: DecisionLog,
    compaction: Compaction,
    calls_left: int | None = None,
    cold: bool = False,
) -> Compacted:
    """`compact` where dialect and rule are known."""
    every = results_of(wire, request)
    results = [r for r in every if _may(r, compaction)]
    known = {r: d.text for r in results if (d := log.of(r.name)) is not None}
    fresh = [r for r in results if r not in known]
    early = _early(fresh, compaction)
    new = [_decision(r, "unsent", 0) for r in early]
    texts = {**known, **{r: d.text for r, d in zip(early, new, strict=True)}}
    now = replaced(wire, request, texts)
    weights = _weights(wire, now)
    total = sum(weights.values())
    step = _Step(compaction, rule, calls_left or max(1, _turns(wire, now)), cold)
    behind = {r.place for r in every[: max(0, len(every) - compaction.keep)]}
    stale = [r for r in fresh if r.sent and r.place in behind]
    taken, reason, why = step.choose(stale, weights, total)
    decided = [_decision(r, reason, log.steps + 1) for r in taken]
    texts |= {r: d.text for r, d in zip(taken, decided, strict=True)}
    made = replaced(wire, request, texts) if taken else now
    changed = [*new, *decided]
    return Compacted(
        made,
        log.with_(changed),
        tuple(changed),
        {r.content_id: r.exact for r in (*early, *taken)},
        (sum(_weights(wire, request).values()), sum(_weights(wire, made).values())),
        bool(taken),
        why,
    )


def _may(result: Result, compaction: Compaction) -> bool:
    """Whether a result may be compacted at all: texts alone, and none that stands for another."""
    return (
        result.text is not None
        and not result.text.startswith(OPENING)
        and result.tool not in compaction.never
    )


def _early(results: Sequence[Result], compaction: Compaction) -> list[Result]:
    if compaction.large is None:
        return []
    return [r for r in results if not r.sent and _tokens(r) >= compaction.large and _shrinks(r)]


def _tokens(result: Result) -> int:
    return estimate_tokens(result.text or "")


def _shrinks(result: Result) -> bool:
    return len(_said_of(result)) <= _WORTH * len(result.text or "")


def _said_of(result: Result) -> str:
    return placeholder(result.content_id, result.tool, result.text or "", brief=result.sent)


def _decision(result: Result, reason: Reason, step: int) -> Decision:
    said = _said_of(result)
    tokens = (_tokens(result), estimate_tokens(said))
    return Decision(result.name, result.content_id, result.tool, said, reason, step, tokens)


def _weights(wire: Dialect, request: Mapping[str, Any]) -> dict[str, int]:
    """Tokens of every block that renders, by its path."""
    blocks: Sequence[Block] = wire.hashed(request)
    return {b.path: estimate_tokens(b.json) for b in blocks if b.section != "params"}


def _turns(wire: Dialect, request: Mapping[str, Any]) -> int:
    """Calls that were made before this one, by the answers in it."""
    held: Any = request.get(wire.messages_key)
    rows = [row for row in held if is_json(row)] if is_list(held) else []
    return sum(row.get("role") == "assistant" or row.get("type") == "function_call" for row in rows)


@dataclass(frozen=True, slots=True)
class _Step:
    """Whether, and from where on, a step is taken."""

    compaction: Compaction
    rule: Rule
    calls: int
    cold: bool

    def choose(
        self,
        stale: Sequence[Result],
        weights: Mapping[str, int],
        total: int,
    ) -> tuple[list[Result], Reason, str]:
        """The results to compact now, why, and what was weighed."""
        compaction = self.compaction
        full = compaction.limit is not None and total >= compaction.limit
        if not full and not self.cold and (compaction.high is None or total < compaction.high):
            return [], "pays", ""
        old = [r for r in stale if _tokens(r) >= compaction.small and _shrinks(r)]
        if not old:
            return [], "pays", f"{total:,} tokens, and no result that may be compacted."
        if self.cold and not full:
            return old, "cold", "No provider holds the prefix: moving it costs nothing."
        best, why = self._best(old, weights, total)
        if full and not best:
            return old, "limit", f"{total:,} tokens reach the limit of {self.compaction.limit:,}."
        return best, "pays", why

    def _best(
        self, old: Sequence[Result], weights: Mapping[str, int], total: int
    ) -> tuple[list[Result], str]:
        """The step that saves most, down to the low water if one of them gets there."""
        enough = _BIG * (self.compaction.high or self.compaction.low)
        steps = [list(old[n:]) for n in range(len(old)) if _saved(old[n:]) >= enough]
        if not steps:
            return [], f"A step would remove no more than {_saved(old):,} tokens."
        deep = [s for s in steps if total - _saved(s) <= self.compaction.low] or steps
        best = max(deep, key=lambda taken: self._gain(taken, weights))
        gain = self._gain(best, weights)
        if gain <= 0:
            return [], f"A step would cost {-gain:,.0f} tokens more than it saves."
        return best, f"{len(best)} results over {self.calls} calls save about {gain:,.0f} tokens."

    def _gain(self, taken: Sequence[Result], weights: Mapping[str, int]) -> float:
        """Input tokens that a step saves over the calls to come, less what writing anew costs.

        A call reads T tokens at r; a step removes S of them, and R behind the first are sent anew
        at w. Over n calls that is n*S*r - R*(w - r).
        """
        saved = _saved(taken)
        behind = _behind(taken[0], weights) - saved
        read, write = self.rule.read_multiplier, max(1.0, self.rule.ttl.write_multiplier)
        return self.calls * saved * read - max(0, behind) * (write - read)


def _saved(taken: Sequence[Result]) -> int:
    return sum(before - after for before, after in (_decision(r, "pays", 0).tokens for r in taken))


def _behind(result: Result, weights: Mapping[str, int]) -> int:
    """Tokens from a result's message to the end."""
    place, found, total = result.place[0], False, 0
    for path, weight in weights.items():
        head = path.partition("[")[2].partition("]")[0]
        found = found or (head.isdigit() and path[0] in "mi" and int(head) >= place)
        total += weight if found else 0
    return total
