"""Anthropic's rule: one entry per mark, found again within 20 positions of a mark."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from agentcache.loopback.prompt import Block, Prompt, marked
from agentcache.loopback.reading import Reading, billed
from agentcache.loopback.store import Store

__all__ = ["LOOK_BACK", "MarkCache", "positions_before"]

LOOK_BACK = 20
"""Positions that one mark looks back over, itself counted."""


def positions_before(blocks: tuple[Block, ...], mark: int) -> Iterator[int]:
    """Yield the block indices that a mark looks at, nearest first."""
    seen = 1
    for index in range(mark, -1, -1):
        if seen > LOOK_BACK:
            return
        if blocks[index].section == "params":
            continue  # a setting, not a block of the request
        yield index
        seen += not blocks[index].joined


class MarkCache:
    """Emulate the Claude API."""

    def __init__(self) -> None:
        """Start empty."""
        self._store = Store()

    def look_up(self, domain: str, prompt: Prompt, now: float) -> Reading:
        """Read the longest entry that any mark finds; `now` is the start of the request."""
        keys, through = prompt.keys(domain), prompt.through()
        marks = marked(prompt.blocks)
        hits = [hit for mark in marks for hit in self._nearest(prompt, keys, mark, now)]
        for hit in hits:
            self._store.renew(keys[hit], now)
        read = max((through[hit] for hit in hits), default=0)
        writes = [mark for mark in marks if through[mark] >= prompt.min_tokens]
        lifetimes = [(keys[mark], prompt.ttl_at(mark)) for mark in writes]
        written = billed(prompt, through, writes, read)
        # Lifetimes run from the start of the request, not from when it can be read.
        return Reading(prompt.total, read, written, partial(self._store.admit, lifetimes, now))

    def _nearest(self, prompt: Prompt, keys: list[bytes], mark: int, now: float) -> list[int]:
        at = positions_before(prompt.blocks, mark)
        live = (index for index in at if self._store.live(keys[index], now))
        return list(islice(live, 1))
