"""Bills: what requests cost by the rules alone, as if they were all that was ever sent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from agentcache.blocks import Block, Cuts
from agentcache.breaks.timing import lifetimes
from agentcache.dialects import Dialect
from agentcache.prints import Printer
from agentcache.rules import Rule

__all__ = ["Bill", "Charge"]

_EXACT: Final = ("breakpoint", "units")
"""Kinds of matching that read only up to where something was written."""
_Place = tuple[int, str]
"""Where a block ends, in tokens, and the fingerprint of all up to there."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request costs, estimated: its `tokens`, and those of them that are `read`.

    `cost` is in input-token equivalents (a fresh one costs 1); None where no price per token is
    known. `warm_until_s` is when the last of what it wrote expires.
    """

    tokens: int
    read: int
    cost: float | None
    warm_until_s: float


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a provider holds: until when, and for how long from each use on."""

    until_s: float
    lives_s: float


class Bill:
    """Charges requests, one after the other as they were started.

    Each reads the longest prefix that an earlier one wrote, of any agent, while that lives. Tokens
    are estimated: what was never sent, no provider has counted.
    """

    def __init__(self) -> None:
        """Nothing has been sent yet."""
        self._cuts: dict[str, Cuts] = {}
        self._printer = Printer()
        self._held: dict[str, dict[str, _Entry]] = {}

    def charge(
        self,
        domain: str,
        wire: Dialect,
        rule: Rule,
        request: Mapping[str, Any],
        times_s: tuple[float, float] | None = None,
    ) -> Charge:
        """Charge the next request of a cache domain; `times_s` are its start and its end.

        Where they are not known nothing expires.
        """
        every = wire.hashed(request, self._cuts.setdefault(wire.name, Cuts()))
        blocks = [b for b in every if b.section != "params" or b.path not in rule.varies]
        sent = self._printer(blocks)
        ends = accumulate(p.weight for p in sent)
        places = [(end, p.chain) for end, p in zip(ends, sent, strict=True)]
        lives = lifetimes(wire, rule, request, blocks, len(blocks))
        started_s, ended_s = times_s or (0.0, math.inf)
        used_s = started_s if times_s and rule.ttl_from == "request_start" else ended_s
        held = self._held.setdefault(domain, {})
        found = _reach(rule, places, held, started_s)
        if found is not None:
            lives_s = held[found[1]].lives_s
            held[found[1]] = _Entry(used_s + lives_s, lives_s)
        written = _written(rule, places, _ends(wire, rule, request, blocks, places), lives)
        held.update((chain, _Entry(used_s + life, life)) for (_, chain), life in written)
        tokens = places[-1][0] if places else 0
        read = 0 if found is None else found[0] - found[0] % rule.granularity
        cost = _cost(rule, tokens, read, written) if rule.billed else None
        return Charge(tokens, read, cost, used_s + max(lives))


def _reach(
    rule: Rule, places: Sequence[_Place], held: Mapping[str, _Entry], now_s: float
) -> _Place | None:
    """Up to where a request reads; None if it reads nothing."""
    found: _Place | None = None
    for place in places:
        entry = held.get(place[1])
        if entry is not None and entry.until_s >= now_s:
            found = place
        elif rule.matching not in _EXACT:
            break
    return found if found is not None and found[0] >= rule.min_tokens else None


def _ends(
    wire: Dialect,
    rule: Rule,
    request: Mapping[str, Any],
    blocks: Sequence[Block],
    places: Sequence[_Place],
) -> list[_Place]:
    """Up to where a request asks to be written: to its marks, and to its end."""
    marked = [place for place, block in zip(places, blocks, strict=True) if block.mark]
    whole = rule.automatic or wire.mark_key in request
    return [*marked, *places[-1:]] if whole else marked


def _written(
    rule: Rule, places: Sequence[_Place], ends: Sequence[_Place], lives: Sequence[float]
) -> list[tuple[_Place, float]]:
    """What can be read from now on, and the seconds that it lives."""
    if rule.matching == "none" or not ends:
        return []
    if rule.matching not in _EXACT and rule.automatic:
        return [(place, lives[-1]) for place in places]
    each = zip(ends, lives, strict=True)
    return [(place, lives_s) for place, lives_s in each if place[0] >= rule.min_tokens]


def _cost(rule: Rule, tokens: int, read: int, written: Sequence[tuple[_Place, float]]) -> float:
    prices = {ttl.seconds: ttl.write_multiplier for ttl in rule.ttls}
    cost = tokens - read * (1 - rule.read_multiplier)
    reached = read
    for (end, _), lives_s in written if tokens >= rule.min_tokens else ():
        cost += max(0, end - reached) * (prices.get(lives_s, rule.ttl.write_multiplier) - 1)
        reached = max(reached, end)
    return cost
