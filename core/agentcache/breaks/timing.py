"""What bytes cannot show: lifetimes, minimums and misses, from usage and idle time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from agentcache.blocks import Block, dumps, estimate_tokens
from agentcache.breaks.found import Found
from agentcache.dialects import Dialect
from agentcache.rules import Rule
from agentcache.usage import Usage

__all__ = ["in_time", "lifetimes", "tokens_of", "weight_of"]

_READ: Final = 0.8
"""Share of the expected tokens that counts as a hit; estimates are that far off."""
_SURE: Final = 0.8
_TOGETHER_S: Final = 0.5
_LONG: Final = 60_000
"""Characters of a text that is looked at as a whole."""
_SAMPLES: Final = 5
_SAMPLE: Final = 8_000
_DATA_FROM: Final = 2_000
_DATA: Final = re.compile(r"[A-Za-z0-9+/_-]{1000,}={0,2}")
_DATA_WORDS: Final = ("base64", "encrypted_content", "signature")
_IMAGE: Final = 800
_KNOWN: Final = 65_536
_WEIGHED: Final[dict[bytes, int]] = {}


def in_time(
    rule: Rule,
    tokens: int,
    idle_s: float | None,
    usages: tuple[Usage | None, Usage | None],
    lives: Sequence[float],
) -> Found | None:
    """Why a prefix that did not move was not read; None if it was, or if nothing tells.

    `tokens` are those that both requests begin with, `lives` the seconds that entries live which
    the earlier one wrote there, in order.
    """
    before, after = usages
    expired = idle_s is not None and idle_s > lives[-1]
    level: Literal["all", "messages"] = "messages" if max(lives) > (idle_s or 0) else "all"
    lived = f"{idle_s or 0:,.0f} s since the last call; entries live {lives[-1]:,.0f} s."
    if after is None:
        return Found("ttl_expired", "time", "", level=level, note=lived) if expired else None
    if after.cached_tokens is None:
        return Found("usage_unreported", "usage", "usage")
    if after.cached_tokens >= _READ * _readable(rule, tokens) or tokens == 0:
        return None
    if tokens < _SURE * rule.min_tokens:
        note = f"About {tokens:,} tokens are shared; {rule.name} caches from {rule.min_tokens:,}."
        return Found("below_minimum", "usage", "usage", note=note)
    if expired:
        return Found("ttl_expired", "time", "", level=level, note=lived)
    return _cold(before, after, idle_s) or _near_minimum(rule, tokens)


def _near_minimum(rule: Rule, tokens: int) -> Found:
    if tokens < rule.min_tokens:
        note = f"About {tokens:,} tokens are shared; {rule.name} caches from {rule.min_tokens:,}."
        return Found("below_minimum", "usage", "usage", note=note)
    return Found("evicted", "usage", "usage")


def _cold(before: Usage | None, after: Usage, idle_s: float | None) -> Found | None:
    """Two calls on their way at once: the second could not read what the first was writing."""
    if idle_s is None or idle_s > _TOGETHER_S or before is None:
        return None
    both_miss = not before.cached_tokens and not after.cached_tokens
    return Found("concurrent_cold", "time", "", relation="sibling") if both_miss else None


def _readable(rule: Rule, tokens: int) -> float:
    step = max(1, rule.granularity)
    return tokens - tokens % step


def lifetimes(
    wire: Dialect, rule: Rule, request: Mapping[str, Any], blocks: Sequence[Block], shared: int
) -> list[float]:
    """Seconds that the entries live which a request wrote within its first `shared` blocks."""
    options: Any = request.get("prompt_cache_options")
    usual = _ttl_s(rule, dumps([options, request.get("prompt_cache_retention")]))
    found = [_ttl_s(rule, block.mark, usual) for block in blocks[:shared] if block.mark]
    at_end = dumps(request.get(wire.mark_key)) if wire.mark_key in request else ""
    if (rule.automatic or at_end) and shared >= len(blocks):
        found.append(_ttl_s(rule, at_end, usual))
    return found or [usual]


def _ttl_s(rule: Rule, asked: str, usual: float | None = None) -> float:
    """Lifetime that a mark or an option asks for."""
    found = [t.seconds for t in rule.ttls if f'"{t.name}"' in asked]
    return found[0] if found else rule.ttl.seconds if usual is None else usual


def tokens_of(blocks: Sequence[Block], total: int, usage: Usage | None) -> int:
    """Tokens of blocks, out of what the provider counted for the whole request.

    `total` is what that weighs. Without a count, they are estimated.
    """
    estimated = weight_of(blocks)
    counted = usage.input_tokens if usage is not None else None
    return round(counted * estimated / total) if counted and total else estimated


def weight_of(blocks: Iterable[Block]) -> int:
    """Tokens of the blocks that render, estimated; each text is looked at once."""
    return sum([_weigh(b) for b in blocks if b.section != "params"])


def _weigh(block: Block) -> int:
    found = _WEIGHED.get(block.identity)
    if found is None:
        if len(_WEIGHED) >= _KNOWN:
            _WEIGHED.clear()
        found = _WEIGHED[block.identity] = _estimated(block.json)
    return found


def _estimated(text: str) -> int:
    """Tokens of a text; of a long one, by samples of it. Data that is no text counts as one image.

    Providers bill an image by its size in pixels, which is not told here.
    """
    images = 0
    if len(text) > _DATA_FROM and any(word in text for word in _DATA_WORDS):
        text, images = _DATA.subn("", text)
    return images * _IMAGE + _of_text(text)


def _of_text(text: str) -> int:
    if len(text) <= _LONG:
        return estimate_tokens(text)
    step = (len(text) - _SAMPLE) // (_SAMPLES - 1)
    parts = [text[n * step : n * step + _SAMPLE] for n in range(_SAMPLES)]
    return round(estimate_tokens("".join(parts)) * len(text) / (_SAMPLE * _SAMPLES))
