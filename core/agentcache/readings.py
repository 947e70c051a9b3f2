"""Readings: per call, what was read from the cache, what an ideal cache would have held, the bill.

Positions inside a prompt are known in blocks; their tokens are the provider's own total, shared
out by estimated weight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from agentcache.ledger import Call
from agentcache.prints import Print
from agentcache.rules import Rule, rule_by_id

__all__ = ["Reader", "Reading", "learn_positions", "read_calls"]

_NEAR = 1.25


@dataclass(frozen=True, slots=True)
class Reading:
    """One call's figures in tokens; costs are in input-token equivalents (a fresh one costs 1).

    `cached_own` was sent before by the same agent (or was warm before this log began),
    `cached_across` only by others. `ceiling` is
    what an ideal cache would read under the provider's rules, `ceiling_across` its part that only
    others had sent. `unshared_cost` is the bill of the program's own request, had all requests gone
    out as the program made them. None: not reported.
    """

    call: Call
    input_tokens: int
    cached_own: int | None
    cached_across: int | None
    written: int | None
    ceiling: int
    ceiling_across: int
    cost: float | None
    unshared_cost: float


@dataclass(slots=True)
class _Seen:
    """What has been sent so far in one cache domain: chains by agent, and marked ones.

    `owner` tells who alone has sent a chain; None where several have.
    `tokens` holds positions that usage has told exactly: ends of requests, and fork points; `plain`
    holds the ends of the program's own requests, worked out from them.
    """

    tokens: dict[str, int] = field(default_factory=dict[str, int])
    plain: dict[str, int] = field(default_factory=dict[str, int])
    sent: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    owner: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    original: set[str] = field(default_factory=set[str])
    ends: set[str] = field(default_factory=set[str])
    marked: set[str] = field(default_factory=set[str])


class Reader:
    """Reads calls one after the other, as they were started."""

    def __init__(self) -> None:
        """Nothing has been sent yet."""
        self._seen: dict[str, _Seen] = {}

    def read(self, call: Call) -> Reading | None:
        """The figures of the next call; None for one that failed."""
        if call.error or not call.sent:
            return None
        key = f"{call.session} {call.rule_id} {call.model}"
        domain = self._seen.setdefault(key, _Seen())
        reading = _read(call, rule_by_id(call.rule_id), domain)
        learn_positions(call, domain.tokens)
        domain.sent.setdefault(call.agent, set()).update(p.chain for p in call.sent)
        for block in call.sent:
            if domain.owner.setdefault(block.chain, call.agent) != call.agent:
                domain.owner[block.chain] = None
        domain.original.update(p.chain for p in call.original)
        domain.ends.update(p.chain for p in call.original[-1:])
        domain.marked.update(p.chain for p in call.original if p.marked)
        return reading


def read_calls(calls: Iterable[Call]) -> tuple[Reading, ...]:
    """Read a ledger's calls, in the order they were started; failed calls are left out."""
    reader = Reader()
    inorder = sorted(calls, key=lambda c: (c.started_s, c.index))
    return tuple(reading for call in inorder if (reading := reader.read(call)) is not None)


def _read(call: Call, rule: Rule, seen: _Seen) -> Reading:
    usage = call.usage
    weight = sum(p.weight for p in call.sent) or 1
    total = usage.input_tokens if usage.input_tokens is not None else weight
    scale = total / weight
    others = {p.chain for p in call.sent if seen.owner.get(p.chain, call.agent) != call.agent}
    # A provider that compacts or clears the context reads less than the request says.
    own = min(total, _reach(call.sent, seen.sent.get(call.agent, set()), rule, scale, seen.tokens))
    ceiling = min(total, max(own, _reach(call.sent, others, rule, scale, seen.tokens)))
    cached = usage.cached_tokens
    if cached is not None and cached > ceiling:  # what was read shows that the estimate was low,
        near = cached <= _NEAR * ceiling  # or, far above it, that the entry is older than this log
        own = cached if own == ceiling or not near else own
        ceiling = cached
    cached_own = cached if cached is None or own >= ceiling else min(cached, own)
    return Reading(
        call,
        total,
        cached_own,
        None if cached is None or cached_own is None else cached - cached_own,
        usage.cache_write_tokens,
        ceiling,
        max(0, ceiling - own),
        _cost(call, rule, total),
        _unshared(call, rule, seen, scale),
    )


def learn_positions(call: Call, tokens: dict[str, int]) -> None:
    """Keep, by chain, what this call's usage tells: its end, and the last mark it wrote to."""
    usage = call.usage
    if usage.input_tokens is None:
        return
    tokens[call.sent[-1].chain] = usage.input_tokens
    through = (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    marked = [p.chain for p in call.sent if p.marked]
    if marked and 0 < through < usage.input_tokens:
        tokens[marked[-1]] = through


def _reach(
    sent: Sequence[Print],
    known: set[str],
    rule: Rule,
    scale: float,
    exact: Mapping[str, int] = MappingProxyType({}),
) -> int:
    """Tokens up to the last block whose whole prefix is known, as the rules would report them."""
    tokens = weight = 0
    for block in sent:
        if block.chain not in known:
            break
        weight += block.weight
        if rule.matching != "breakpoint" or block.markable:
            tokens = exact.get(block.chain, int(weight * scale))
    if rule.matching == "none" or tokens < rule.min_tokens:
        return 0
    return tokens - tokens % rule.granularity


def _cost(call: Call, rule: Rule, total: int) -> float | None:
    usage, cached = call.usage, call.usage.cached_tokens
    if not rule.billed or usage.input_tokens is None or cached is None:
        return None
    written = usage.cache_write_tokens or 0
    split = dict(usage.writes) or {rule.ttl.name: written}
    price = {ttl.name: ttl.write_multiplier for ttl in rule.ttls}
    paid = sum(
        tokens * price.get(name, rule.ttl.write_multiplier) for name, tokens in split.items()
    )
    return total - cached - written + cached * rule.read_multiplier + paid


def _unshared(call: Call, rule: Rule, seen: _Seen, scale: float) -> float:
    """Bill of the program's own request, had only its own earlier ones been cached.

    Its length is that of the request sent, less what forking added: so the estimate errs only in
    what was added, not in the whole conversation.
    """
    sent, own = (sum(p.weight for p in prints) for prints in (call.sent, call.original))
    length = call.usage.input_tokens if call.usage.input_tokens is not None else sent
    total = max(0, length - round((sent - own) * scale))
    if call.original:
        seen.plain[call.original[-1].chain] = total
    scale = total / (own or 1)
    if rule.automatic:
        exact = rule.matching == "breakpoint"  # written where a request ends, and nowhere between
        reach, known = (_marked_reach, seen.ends) if exact else (_reach, seen.original)
        read = min(total, reach(call.original, known, rule, scale, seen.plain))
        through = total
    else:
        read = min(total, _marked_reach(call.original, seen.marked, rule, scale, seen.plain))
        marked = {p.chain for p in call.original if p.marked}
        through = min(total, _marked_reach(call.original, marked, rule, scale, seen.plain))
    written = max(0, through - read) if through >= rule.min_tokens else 0
    fee = rule.ttl.write_multiplier - 1.0
    return total - read + read * rule.read_multiplier + written * fee


def _marked_reach(
    sent: Sequence[Print], known: set[str], rule: Rule, scale: float, exact: Mapping[str, int]
) -> int:
    """Tokens up to the last block that carried a mark in `known`."""
    reach = weight = 0
    for block in sent:
        weight += block.weight
        if block.chain in known:
            reach = exact.get(block.chain, int(weight * scale))
    return reach if reach >= rule.min_tokens else 0
