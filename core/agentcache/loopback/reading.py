"""What one request read from the cache and wrote to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentcache.loopback.prompt import Prompt

__all__ = ["Reading", "Written", "billed"]


@dataclass(frozen=True, slots=True)
class Written:
    """Tokens written with one lifetime."""

    ttl_s: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Token counts of one request; `written` is None where writes are not billed.

    `publish(now)` makes what the request wrote readable by others. It is called when the
    family's rule says so, and never for a request that failed.
    """

    total: int
    read: int
    written: tuple[Written, ...] | None
    publish: Callable[[float], None]

    @property
    def write(self) -> int:
        """Return the tokens written, 0 where writes are not billed."""
        return sum(part.tokens for part in self.written or ())

    @property
    def fresh(self) -> int:
        """Return the tokens neither read nor written at a fee."""
        return self.total - self.read - self.write


def billed(
    prompt: Prompt, through: Sequence[int], at: Sequence[int], read: int
) -> tuple[Written, ...]:
    """Split the tokens beyond `read` by the lifetime of the mark that ends each stretch."""
    parts: dict[float, int] = {}
    done = read
    for index in sorted(at):
        if through[index] > done:
            ttl_s = prompt.ttl_at(index)
            parts[ttl_s] = parts.get(ttl_s, 0) + through[index] - done
            done = through[index]
    return tuple(Written(ttl_s, tokens) for ttl_s, tokens in parts.items())
