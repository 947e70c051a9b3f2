"""The rule of gpt-5.6 and later: exact matches at written breakpoints, nothing between."""

from agentcache.loopback.prompt import Prompt, marked
from agentcache.loopback.reading import Reading, billed
from agentcache.loopback.store import Store

__all__ = ["BreakpointCache", "boundaries_read", "boundaries_written"]

_EARLIER_ENDINGS = 20
_FIRST_EXPLICIT, _LATEST_EXPLICIT = 2, 50


def _endings(prompt: Prompt) -> list[int]:
    return [index for index, block in enumerate(prompt.blocks) if block.boundary]


def boundaries_written(prompt: Prompt) -> list[int]:
    """Return where a request writes: the implicit ending plus 3 marks, or the last 4 marks."""
    explicit = marked(prompt.blocks)
    if not prompt.implicit:
        return explicit[-4:]
    return sorted({*_endings(prompt)[-1:], *explicit[-3:]})


def boundaries_read(prompt: Prompt) -> list[int]:
    """Return where a request looks: first 2 and latest 50 marks; implicit mode adds endings."""
    explicit = marked(prompt.blocks)
    found = {*explicit[:_FIRST_EXPLICIT], *explicit[-_LATEST_EXPLICIT:]}
    if prompt.implicit:
        endings = _endings(prompt)
        initial = (index for index in endings if prompt.blocks[index].boundary == "initial")
        found.update(endings[-1 - _EARLIER_ENDINGS :], initial)
    return sorted(found)


class BreakpointCache:
    """Emulate OpenAI gpt-5.6 and later."""

    def __init__(self) -> None:
        """Start empty."""
        self._store = Store()

    def look_up(self, domain: str, prompt: Prompt, now: float) -> Reading:
        """Read the longest written boundary; bill what lies between it and the last write."""
        keys, through = prompt.keys(domain), prompt.through()
        hits = [at for at in boundaries_read(prompt) if self._store.live(keys[at], now)]
        for hit in hits[-1:]:
            self._store.renew(keys[hit], now)
        read = through[hits[-1]] if hits else 0
        writes = [at for at in boundaries_written(prompt) if through[at] >= prompt.min_tokens]
        lifetimes = [(keys[at], prompt.ttl_at(at)) for at in writes]

        def publish(readable: float) -> None:
            self._store.admit(lifetimes, readable, readable)

        return Reading(prompt.total, read, billed(prompt, through, writes, read), publish)
