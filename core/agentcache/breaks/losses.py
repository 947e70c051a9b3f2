"""What a break costs: what could have been read, and what was read all the same."""

from collections.abc import Sequence
from typing import Final

from agentcache.blocks import Block
from agentcache.breaks.found import Found
from agentcache.breaks.texts import first_difference, last_difference
from agentcache.breaks.timing import tokens_of
from agentcache.pricing import price_of
from agentcache.rules import Rule
from agentcache.usage import Usage

__all__ = ["at_most", "in_common", "lost_with", "money_of", "rendered", "shared_of", "was_read"]

_IN_PLACE: Final = (
    *("whitespace", "invisible", "timestamp", "random_id", "counter", "order", "key_order"),
    "tool_call_id",
)
"""Changes that leave a text what it was: all of it behind the change would have been read."""
_UNMET: Final = (
    *("mark_missing", "mark_moved_back", "lookback_exceeded", "ttl_tier", "affinity"),
    "beta_headers",
)
_NEARLY: Final = 0.95
"""Of what is shared, read: what is not is a provider's rounding, and our guess at lengths."""


def rendered(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in blocks if block.section != "params"]


def shared_of(one: Sequence[Block], other: Sequence[Block]) -> list[Block]:
    """The blocks that both begin with."""
    out: list[Block] = []
    for a, b in zip(rendered(one), rendered(other), strict=False):
        if a.identity != b.identity:
            break
        out.append(b)
    return out


def lost_with(
    found: Found,
    rule: Rule,
    one: Sequence[Block],
    other: Sequence[Block],
    usage: Usage | None,
    total: int,
) -> int | None:
    """Tokens that the earlier request had sent and the later one sends again, unread."""
    if found.kind in ("usage_unreported", "too_many_marks"):
        return None
    blocks = rendered(other)
    shared = len(shared_of(one, other))
    if found.section in ("params", "headers", "marks", "usage", "time"):
        head = sum(b.section != "messages" for b in blocks) if found.level == "messages" else 0
        read = usage.cached_tokens if usage is not None else None
        keep = blocks[: min(shared, max(head, found.kept))]
        read = tokens_of(keep, total, usage) if read is None else read
        return max(0, tokens_of(blocks[:shared], total, usage) - read)
    known = {b.identity for b in one}
    lost = [b for b in blocks[shared:] if b.identity in known]
    if found.kind == "tool_call_id":  # all that follows has other ids, and says the same
        lost = max(lost, blocks[shared : len(rendered(one))], key=_length)
    if found.offset is None or found.kind == "tool_call_id":
        return tokens_of(lost, total, usage)
    changed = [b for made in (rendered(one), blocks) for b in made[shared : shared + 1]]
    part = _part(found, rule, *changed) if len(changed) == len((one, other)) else []
    return tokens_of([*part, *lost], total, usage)


def _part(found: Found, rule: Rule, old: Block, new: Block) -> list[Block]:
    """What would have been read of a block in which a text changed; marks are read whole."""
    start = first_difference(old.json, new.json)
    end = last_difference(old.json[start:], new.json[start:])
    in_place = len(new.json) - start if found.kind in _IN_PLACE else end
    text = new.json[len(new.json) - in_place :] if in_place else ""
    text = new.json[:start] + text if rule.matching == "breakpoint" else text
    return [Block(new.section, new.path, text)]


def in_common(
    shared: Sequence[Block],
    one: Sequence[Block],
    total: int,
    usages: tuple[Usage | None, Usage | None],
) -> int:
    """Tokens that both begin with; all of the earlier request has been counted by its provider."""
    counted = usages[0].input_tokens if usages[0] is not None else None
    if counted and len(shared) == len(rendered(one)):
        return counted
    return tokens_of(shared, total, usages[1])


def was_read(found: Found | None, rule: Rule, tokens: int, usage: Usage | None) -> bool:
    """Whether marks that do not meet cost nothing: too little to be kept, or read all the same."""
    read = usage.cached_tokens if usage is not None else None
    if found is None or found.kind not in _UNMET or read is None:
        return False
    return tokens < rule.min_tokens or read >= _NEARLY * tokens


def at_most(lost: int | None, usage: Usage | None) -> int | None:
    """No more than the provider says that it did not read."""
    if lost is None or usage is None or usage.input_tokens is None:
        return lost
    return min(lost, max(0, usage.input_tokens - (usage.cached_tokens or 0)))


def _length(blocks: Sequence[Block]) -> int:
    return sum(len(b.json) for b in blocks)


def money_of(rule: Rule, model: str, tokens: int | None) -> float | None:
    """What tokens cost more as input than they would have cost as read, in dollars."""
    price = price_of(model, rule.provider) if tokens else None
    if price is None or tokens is None:
        return None
    return tokens * price.input_usd * (1 - rule.read_multiplier)
