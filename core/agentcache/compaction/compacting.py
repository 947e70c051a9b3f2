"""compact: a request in, and out the same with placeholders for what is no longer needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from agentcache.blocks import estimate_tokens
from agentcache.compaction.decisions import Decision, DecisionLog, Reason
from agentcache.compaction.pieces import KINDS, Kind, Piece
from agentcache.compaction.tracks import Track
from agentcache.dialects import Dialect, Json, dialect_of
from agentcache.dialects.base import is_list
from agentcache.errors import OptionError
from agentcache.rules import Rule, Ttl, rule_for

__all__ = ["RECALL", "Compacted", "Compaction", "Economy", "compact", "front_of", "settled"]

RECALL: Final = "recall_result"
"""The tool by which a model asks for what a placeholder stands for."""
_DOWN: Final = 0.45
_BIG: Final = 0.25
"""Of the high water: a step that removes less is not worth moving the prefix for."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """When tool results are compacted; all figures are tokens.

    A result of `large` tokens or more is compacted before it is ever sent. Once a request reaches
    `high`, results behind the latest `keep` ones are compacted in one step, down to `low` if that
    can be had (45 % of `high` by default), but only if the step pays; at `limit` it is taken in any
    case. Results under `small` stay, and those of the tools in `never`. `also` names what else is
    compacted: the `input` of tool calls, which a model may then imitate; an `image` once it was
    seen; `reasoning` that is sent back as text.
    """

    large: int | None = 500
    high: int | None = 20_000
    low: int | None = None
    limit: int | None = None
    keep: int = 3
    small: int = 60
    never: tuple[str, ...] = ()
    also: tuple[Kind, ...] = ()

    def __post_init__(self) -> None:
        """Raise OptionError for figures that are none, or contradict each other."""
        for name in ("large", "high", "low", "limit", "keep", "small"):
            held: Any = getattr(self, name)
            optional = name not in ("keep", "small")
            if not (optional and held is None) and (not isinstance(held, int) or held < 0):
                told = "a number of 0 or more" + ", or None" * optional
                raise OptionError(f"{name}={held!r} must be {told}.")
        if self.high is not None and self.bottom >= self.high:
            raise OptionError(f"low={self.bottom:,} must be below high={self.high:,}.")
        for name in ("never", "also"):
            names: Any = getattr(self, name)
            if isinstance(names, str):
                told = f"is a string; pass a tuple: {name}=({names!r},)."
                raise OptionError(f"{name}={names!r} {told}")
        odd = [kind for kind in self.also if kind not in KINDS]
        if odd:
            raise OptionError(f"also={odd[0]!r} does not exist. Choose {', '.join(KINDS[1:])}.")

    @property
    def bottom(self) -> int:
        """The low water: `low`, or a part of the high one."""
        return int(_DOWN * (self.high or 0)) if self.low is None else self.low

    @property
    def least(self) -> int:
        """Tokens below which nothing is ever decided about a piece."""
        return min(self.small, self.large or self.small)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All that may be compacted."""
        return tuple(dict.fromkeys(("result", *self.also)))


@dataclass(frozen=True, slots=True)
class Compacted:
    """What `compact` made: the `request` to send, the `log` to go on with, and what is `new`.

    `originals` are the contents that placeholders came to stand for, by their content ids: whoever
    sends the request stores them first. `tokens` are those of the request before and after,
    estimated. `moved` says that the prefix moves with this request; `why` says what was weighed.
    `whole` is the request as the program made it.
    """

    request: Json
    log: DecisionLog
    new: tuple[Decision, ...]
    originals: Mapping[str, str]
    tokens: tuple[int, int]
    moved: bool = False
    why: str = ""
    whole: Mapping[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Whether anything in the request is not as the program made it."""
        return self.whole is not None and self.request is not self.whole


@dataclass(frozen=True, slots=True)
class Economy:
    """By what a step is weighed: the rule, the lifetime, the calls to come, a cold prefix.

    `binds` says that thinking which is sent back holds all that stands before it in its place.
    """

    rule: Rule
    ttl: Ttl
    calls: int | None = None
    cold: bool = False
    binds: bool = False


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
    if not isinstance(cast("object", request), Mapping):
        raise OptionError(f"compact() takes a request as a dict, not {type(request).__name__}.")
    wire, wish, log = dialect_of(request), compaction or Compaction(), log or DecisionLog()
    model = str(request.get("model") or request.get("modelId") or "")
    rule = rule_for(model, provider=provider)
    economy = Economy(rule, rule.ttl, calls_left, cold, binds=rule.binds(model, request))
    held: Any = request.get(wire.messages_key)
    track = Track(wish.kinds, front_of(wire, request))
    pieces = track.grow(held if is_list(held) else [])
    track.take({d.name: d for piece in pieces if (d := log.of(piece.name)) is not None})
    new, moved, why = settled(track, wish, economy, log.steps)
    originals = {piece.content_id: piece.exact for piece in new}
    track.take({d.name: d for d in new.values()})
    made = {**request, wire.messages_key: track.out} if is_list(held) else dict(request)
    told = tuple(new.values())
    return Compacted(made, log.with_(told), told, originals, track.tokens, moved, why, request)


def front_of(wire: Dialect, request: Mapping[str, Any]) -> int:
    """Tokens of what stands before the messages: tools, and a system text of its own."""
    front = {k: v for k, v in request.items() if k != wire.messages_key}
    return sum(estimate_tokens(b.json) for b in wire.hashed(front) if b.section != "params")


def settled(
    track: Track, wish: Compaction, economy: Economy, steps: int
) -> tuple[dict[Piece, Decision], bool, str]:
    """What is decided now, whether that moves the prefix, and what was weighed."""
    track.keep_open(wish.least, wish.never)
    early = {p: _decision(p, "unsent", 0) for p in track.unsent() if _is_early(p, wish)}
    saved = sum(d.tokens[0] - d.tokens[1] for d in early.values())
    taken, reason, why = _Step(wish, economy, track, saved).choose(track.tokens[1] - saved)
    late = {p: _decision(p, reason, steps + 1) for p in taken}
    return {**early, **late}, bool(taken), why


def _is_early(piece: Piece, wish: Compaction) -> bool:
    if wish.large is None or piece.kind in ("image", "reasoning"):
        return False
    if piece.tokens < wish.large or piece.tool == RECALL:
        return False
    return piece.shrinks(piece.said(brief=False))


def _decision(piece: Piece, reason: Reason, step: int) -> Decision:
    said = piece.said(brief=reason != "unsent")
    tokens = (piece.tokens, estimate_tokens(said))
    told = (piece.name, piece.content_id, piece.tool, said, reason, step, tokens)
    return Decision(*told, kind=piece.kind)


@dataclass(frozen=True, slots=True)
class _Step:
    """Whether, and from where on, a step is taken; `early` tokens less come at the end of it."""

    wish: Compaction
    economy: Economy
    track: Track
    early: int

    def choose(self, total: int) -> tuple[list[Piece], Reason, str]:
        """The pieces to compact now, why, and what was weighed."""
        wish, cold = self.wish, self.economy.cold
        full = wish.limit is not None and total >= wish.limit
        if not full and not cold and (wish.high is None or total < wish.high):
            return [], "pays", ""
        old = [p for p in self.track.stale(wish.keep) if self._may(p)]
        if not old:
            return [], "pays", f"{total:,} tokens, and nothing that may be compacted."
        free, bound = self._unbound(old), ""
        if len(free) < len(old):
            bound = (
                "What stands before thinking that is sent back may not change with this model, "
                'unless thinking.block_binding.prefix_mismatch_behavior is "drop_block".'
            )
        if not free:
            return [], "pays", bound
        if cold and not full:
            return free, "cold", "No provider holds the prefix: moving it costs nothing."
        best, why = self._best(free, total)
        if full and not best:
            return free, "limit", f"{total:,} tokens reach the limit of {wish.limit:,}."
        return best, "pays", why

    def _may(self, piece: Piece) -> bool:
        if piece.tokens < self.wish.small:
            return False
        return piece.shrinks(piece.said(brief=True))

    def _unbound(self, old: list[Piece]) -> list[Piece]:
        """Those that may change, where a model's thinking is bound to what stands before it."""
        if not self.economy.binds:
            return old
        return [piece for piece in old if not self.track.thinks_behind(piece.row)]

    def _best(self, old: Sequence[Piece], total: int) -> tuple[list[Piece], str]:
        """The step that saves most, down to the low water if one of them gets there."""
        enough = _BIG * (self.wish.high or self.wish.limit or 0)
        each = [before - after for before, after in (_decision(p, "pays", 0).tokens for p in old)]
        behind, calls = self.track.behind(), self.economy.calls or max(1, self.track.turns)
        steps: list[tuple[float, int, int]] = []  # what it gains, where it begins, what it saves
        saved = 0
        for n in range(len(old) - 1, -1, -1):
            saved += each[n]
            if saved >= enough:
                rest = behind[old[n].row] - saved - self.early
                steps.append((self._gain(saved, rest, calls), n, saved))
        if not steps:
            return [], f"A step would remove no more than {saved:,} tokens."
        deep = [step for step in steps if total - step[2] <= self.wish.bottom] or steps
        gain, start, _ = max(deep)
        if gain <= 0:
            return [], f"A step would cost {-gain:,.0f} tokens more than it saves."
        best = list(old[start:])
        return best, f"{len(best)} results over {calls} calls save about {gain:,.0f} tokens."

    def _gain(self, saved: int, behind: int, calls: int) -> float:
        """Input tokens that a step saves over the calls to come, less what writing anew costs.

        A call reads T tokens at r; a step removes S of them, and R behind the first are sent anew
        at w. Over n calls that is n*S*r - R*(w - r).
        """
        read = self.economy.rule.read_multiplier
        write = max(1.0, self.economy.ttl.write_multiplier)
        return calls * saved * read - max(0, behind) * (write - read)
