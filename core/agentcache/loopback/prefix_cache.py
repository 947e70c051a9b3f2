"""The older rule: the longest common prefix with anything that was sent before."""

from dataclasses import dataclass, field
from functools import partial

from agentcache.loopback.prompt import Block, Prompt
from agentcache.loopback.reading import Reading

__all__ = ["PrefixCache"]


@dataclass(slots=True)
class _Node:
    block: Block | None = None
    expires: float = float("-inf")
    children: dict[tuple[str, str], "_Node"] = field(default_factory=dict[tuple[str, str], "_Node"])


class PrefixCache:
    """Emulate OpenAI before gpt-5.6 (steps of 128, no write fee) and engines (steps of 1).

    `recompute` tokens at the end of a prompt are never served from the cache: engines
    need the last one to compute the first answer token.
    """

    def __init__(self, *, step: int = 128, recompute: int = 0) -> None:
        """Start empty."""
        self._step = step
        self._recompute = recompute
        self._roots: dict[str, _Node] = {}

    def look_up(self, domain: str, prompt: Prompt, now: float) -> Reading:
        """Read the longest common prefix with the readable requests of this domain."""
        total = prompt.total
        common = min(self._common(domain, prompt, now), total - self._recompute)
        read = common // self._step * self._step if common >= prompt.min_tokens else 0
        return Reading(total, max(read, 0), None, partial(self._admit, domain, prompt))

    def _common(self, domain: str, prompt: Prompt, now: float) -> int:
        node = self._roots.get(domain, _Node())
        common = 0
        for block in prompt.blocks:
            child = node.children.get((block.section, block.text))
            if child is None or child.expires <= now:
                live = (other for other in node.children.values() if other.expires > now)
                return common + max((_shared(block, other.block) for other in live), default=0)
            common += len(block.tokens)
            node = child
        return common

    def _admit(self, domain: str, prompt: Prompt, now: float) -> None:
        node = self._roots.setdefault(domain, _Node())
        for block in prompt.blocks:
            node = node.children.setdefault((block.section, block.text), _Node(block))
            node.expires = max(node.expires, now + prompt.ttl_s)


def _shared(block: Block, other: Block | None) -> int:
    if other is None or other.section != block.section:
        return 0
    pairs = enumerate(zip(block.tokens, other.tokens, strict=False))
    end = min(len(block.tokens), len(other.tokens))
    return next((index for index, (ours, theirs) in pairs if ours != theirs), end)
