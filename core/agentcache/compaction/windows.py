"""Windows: what to leave out of a conversation so that it fits, in blocks and not one by one.

A window that slides drops a message at every turn, so that every request begins otherwise than the
one before. Dropped in blocks of half the window, the head moves once in a while and the limit holds
all the same. All of it follows from the messages alone: nothing is remembered between calls.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

__all__ = ["dropped", "gap", "opening"]


def dropped(weights: Sequence[int], limit: int) -> int:
    """How many messages to leave out in front, so that the others weigh `limit` at most.

    `weights` are what each of them weighs: 1 where messages are counted, else its tokens. They fall
    into blocks of half the limit, and the fewest whole blocks are dropped. A message that weighs
    more than that ends its block, so that one of the others is never dropped for it. As messages
    are appended, the count never falls.

    >>> [dropped([1] * n, 10) for n in (10, 11, 15, 16)]
    [0, 5, 5, 10]
    """
    ends = list(accumulate(weights))
    for n in _starts(weights, ends, max(1, limit // 2)):
        if ends[-1] - ends[n] + weights[n] <= limit:
            return n
    return len(weights)


def gap(weights: Sequence[int], limit: int, head: int = 0) -> tuple[int, int]:
    """The messages to leave out behind the first `head` of them, from the first to before the last.

    What is left weighs `limit` at most, those at the head included.

    >>> gap([1] * 12, 10, head=4)
    (4, 7)
    """
    head = min(head, len(weights))
    return head, head + dropped(weights[head:], limit - sum(weights[:head]))


def opening(weights: Sequence[int], room: int) -> int:
    """How many messages, from the first on, weigh `room` at most together."""
    return next((n for n, end in enumerate(accumulate(weights)) if end > room), len(weights))


def _starts(weights: Sequence[int], ends: Sequence[int], block: int) -> Iterator[int]:
    """Where blocks begin: they are numbered by what weighs up to the end of each message."""
    for n, end in enumerate(ends):
        heavy = n > 0 and weights[n - 1] > block
        if n == 0 or heavy or (end - 1) // block != (ends[n - 1] - 1) // block:
            yield n
