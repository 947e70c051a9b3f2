"""Replays: what compaction would have made of a recorded run. Nothing is sent, or rewritten."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentcache.bills import Bill, Charge
from agentcache.compaction import Compacted, Compaction, Decision, DecisionLog, compact
from agentcache.compaction.extracts import OPENING
from agentcache.dialects import Dialect, dialect_of
from agentcache.errors import OptionError
from agentcache.pricing import price_of
from agentcache.recordings import Recorded, Recording
from agentcache.recordings.judging import stands_alone
from agentcache.rules import Rule, rule_by_id, rule_for

__all__ = ["Replaced", "Replay", "Side", "Weighed", "replay"]

_CURES: Final = {
    "agentcache": "Record with Ledger(path, content=True), given as ledger= to agentcache.wrap or "
    "agentcache.observe",
}
_CURE: Final = "Switch the recorder's content on"


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a placeholder would have stood for: first in `call`, of `agent`.

    `step` counts the times at which a prefix moved; None for what was never sent in full.
    """

    call: int
    agent: str
    decision: Decision
    step: int | None


@dataclass(frozen=True, slots=True)
class Weighed:
    """A step that was weighed before a call: taken as number `step`, or refused, and `why`."""

    call: int
    agent: str
    step: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Side:
    """The input of all calls, with compaction or without; everything is estimated, in tokens.

    `cost` is in input-token equivalents, `usd` in dollars; None where prices are not known.
    """

    sent: int = 0
    largest: int = 0
    read: int = 0
    cost: float | None = 0.0
    usd: float | None = 0.0

    def with_(self, charge: Charge, usd: float | None) -> "Side":
        """Add a call; `usd` is what an input token costs."""
        cost, money = charge.cost, None
        if cost is not None and usd is not None:
            money = cost * usd
        return Side(
            self.sent + charge.tokens,
            max(self.largest, charge.tokens),
            self.read + charge.read,
            None if self.cost is None or cost is None else self.cost + cost,
            None if self.usd is None or money is None else self.usd + money,
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """A recorded run as it was, and as it would have been. `rules` are the titles of its rules."""

    calls: int
    agents: int
    replaced: tuple[Replaced, ...]
    weighed: tuple[Weighed, ...]
    before: Side
    after: Side
    rules: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        """How often a prefix moved."""
        return sum(one.step is not None for one in self.weighed)


@dataclass(frozen=True, slots=True)
class _Call:
    """A recorded call, as far as it matters here. Times are its start and its end, or None."""

    number: int
    session: str
    agent: str
    model: str
    rule: Rule
    wire: Dialect
    request: Mapping[str, Any] = field(repr=False)
    counted: int | None
    times_s: tuple[float, float] | None

    @property
    def whose(self) -> tuple[str, str]:
        """Whose conversation it belongs to."""
        return self.session, self.agent

    @property
    def domain(self) -> str:
        """Among what calls it finds what was written."""
        return f"{self.session} {self.rule.id} {self.model}"


def replay(
    recording: Recording, compaction: Compaction | None = None, provider: str | None = None
) -> Replay:
    """Compact every request of a recording as a running program would have, and bill both runs.

    All agents of a session share what was decided. Unlike a running program, a step knows how many
    calls of its agent really follow. `provider` names the rules where model and host do not.

    Raises:
        OptionError: a recording without content, or of which no call can be replayed, or a
            `provider` that no row names.

    """
    calls = _in_order(_calls(recording, provider))
    if not calls:
        raise OptionError(_unusable(recording))
    run = _Run(compaction or Compaction(), Counter(call.whose for call in calls))
    for call in calls:
        run.add(call)
    return Replay(
        len(calls),
        len(run.left),
        tuple(run.replaced),
        tuple(run.weighed),
        run.before,
        run.after,
        tuple(dict.fromkeys(call.rule.title for call in calls)),
        tuple(_notes(recording, calls)),
    )


@dataclass(slots=True)
class _Run:
    """Both runs, call after call; `left` are the calls to come, by whose they are."""

    compaction: Compaction
    left: Counter[tuple[str, str]]
    logs: dict[str, DecisionLog] = field(default_factory=dict[str, DecisionLog])
    warm_s: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    bills: tuple[Bill, Bill] = field(default_factory=lambda: (Bill(), Bill()))
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)
    replaced: list[Replaced] = field(default_factory=list[Replaced])
    weighed: list[Weighed] = field(default_factory=list[Weighed])
    steps: int = 0

    def add(self, call: _Call) -> None:
        """Compact the next request, and charge it as it was and as it became."""
        warm_s = self.warm_s.get(call.whose, math.inf)
        made = compact(
            call.request,
            self.logs.get(call.session),
            compaction=self.compaction,
            provider=call.rule.id,
            calls_left=self.left[call.whose],
            cold=call.times_s is not None and call.times_s[0] > warm_s,
        )
        self.logs[call.session] = made.log
        self.left[call.whose] -= 1
        self._keep(call, made)
        price = price_of(call.model, call.rule.provider)
        usd = None if price is None else price.input_usd
        as_was, as_made = (
            bill.charge(call.domain, call.wire, call.rule, request, call.times_s)
            for bill, request in zip(self.bills, (call.request, made.request), strict=True)
        )
        self.warm_s[call.whose] = as_was.warm_until_s
        self.before, self.after = self.before.with_(as_was, usd), self.after.with_(as_made, usd)

    def _keep(self, call: _Call, made: Compacted) -> None:
        self.steps += made.moved
        step = self.steps if made.moved else None
        self.replaced += [
            Replaced(call.number, call.agent, d, step if d.step else None) for d in made.new
        ]
        if made.why:
            self.weighed.append(Weighed(call.number, call.agent, step, made.why))


def _calls(recording: Recording, provider: str | None) -> Iterator[_Call]:
    """The calls that can be replayed: those that did not fail, and show all they were sent with."""
    for number, recorded in enumerate(recording):
        if recorded.error or not recorded.request or not stands_alone(recorded.request):
            continue
        try:
            wire = dialect_of(recorded.request)
        except OptionError:
            continue
        yield _call(recorded, wire, number, provider)


def _call(recorded: Recorded, wire: Dialect, number: int, provider: str | None) -> _Call:
    own, usage = recorded.call, recorded.usage
    times_s = None
    if own is not None:
        times_s = own.started_s, own.ended_s
    elif recorded.at_s is not None:
        times_s = recorded.at_s, recorded.ended_s or recorded.at_s
    if own is None or provider is not None:
        rule = rule_for(recorded.model, recorded.base_url, provider)
    else:
        rule = rule_by_id(own.rule_id)
    return _Call(
        number if own is None else own.index,
        "recorded" if own is None else own.session,
        recorded.agent,
        recorded.model,
        rule,
        wire,
        recorded.request,
        None if usage is None else usage.input_tokens,
        times_s,
    )


def _in_order(calls: Iterator[_Call]) -> list[_Call]:
    """As they were started, where that is known of all."""
    found = list(calls)
    if any(call.times_s is None for call in found):
        return found
    return sorted(found, key=lambda call: (call.times_s or (0.0, 0.0))[0])


def _unusable(recording: Recording) -> str:
    name = repr(str(recording.path))
    if not any(call.request for call in recording):
        cure = _CURES.get(recording.form, _CURE)
        return (
            f"{name} holds figures and no requests: what compaction would replace cannot be seen. "
            f"{cure}, on a machine that may hold what your prompts hold."
        )
    why = " ".join(_left_out(recording)) or "Their requests have no shape that is known."
    return f"{name} holds no call that can be replayed. {why}"


def _left_out(recording: Recording) -> Iterator[str]:
    """What stands in a recording, and is not replayed."""
    failed = sum(bool(call.error) for call in recording)
    bare = sum(not c.request and c.call is not None and not c.error for c in recording)
    if failed:
        yield f"{failed} call(s) failed: they are left out."
    if bare:
        yield f"{bare} call(s) were recorded without their content: they are left out."
    yield from recording.remarks()


def _notes(recording: Recording, calls: Sequence[_Call]) -> Iterator[str]:
    counts = [call.counted for call in calls if call.counted is not None]
    if len(counts) == len(calls):
        yield f"The provider counted {sum(counts):,} input tokens in these calls."
    if not recording.exact:
        yield "The requests are rebuilt from what the recorder kept of them."
    if all(call.rule.marks and not call.rule.automatic for call in calls) and not any(
        map(_is_marked, calls)
    ):
        yield (
            "No request marks what is to be cached, so nothing is read, before or after: "
            "agentcache.wrap marks it, and a recorder may have left marks out."
        )
    if any(map(_was_compacted, calls)):
        yield "Results were compacted already when these requests were sent: they stay so."
    yield from _left_out(recording)


def _is_marked(call: _Call) -> bool:
    blocks = call.wire.hashed(call.request)
    return call.wire.mark_key in call.request or any(block.mark for block in blocks)


def _was_compacted(call: _Call) -> bool:
    return any(f'"{OPENING}' in block.json for block in call.wire.hashed(call.request))
