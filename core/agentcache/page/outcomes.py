"""What happened along the tree: how many calls read, wrote or sent anew each stretch of it."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from agentcache.page.tree import Tree
from agentcache.readings import Reading

__all__ = ["KINDS", "Stretch", "edges_of", "outcomes_of"]

KINDS = ("own", "across", "written", "fresh", "unreported")
"""What can happen to a token of a prompt: read from the agent's own loop, or from what only others
had sent; written; sent anew; or the provider did not say."""

Stretch = tuple[int, tuple[int, int, int, int, int]]
"""Where it ends, in tokens, and the number of calls by kind."""


@dataclass(slots=True)
class _Counts:
    """One node's calls: all, the unreported, and how many edges of each kind lie behind it."""

    calls: int = 0
    unreported: int = 0
    behind: list[int] = field(default_factory=lambda: [0, 0, 0])
    inside: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def edges_of(reading: Reading) -> tuple[int, int, int] | None:
    """Where own reads, all reads and writes end in a call's prompt; None where nobody said."""
    own, across = reading.cached_own, reading.cached_across
    if own is None or across is None:
        return None
    return own, own + across, own + across + (reading.written or 0)


def outcomes_of(tree: Tree, readings: Sequence[Reading], step: int) -> list[list[Stretch]]:
    """For each node its stretches; edges are moved to multiples of `step` tokens."""
    counts = [_Counts() for _ in tree.nodes]
    _place_edges(tree, readings, counts, step)
    for number in range(len(counts) - 1, -1, -1):  # children come after their parents
        mine, parent = counts[number], tree.nodes[number].parent
        if parent < 0:
            continue
        above = counts[parent]
        above.calls += mine.calls
        above.unreported += mine.unreported
        for kind in range(3):
            above.behind[kind] += mine.behind[kind]
        for _, kind in mine.inside:
            above.behind[kind] += 1
    return [
        _stretches(node.start, node.end, one) for node, one in zip(tree.nodes, counts, strict=True)
    ]


def _place_edges(tree: Tree, readings: Sequence[Reading], counts: list[_Counts], step: int) -> None:
    """Find the node that each edge of each call lies in, on the way to the call's last one."""
    followers: dict[int, list[int]] = {}
    for number, node in enumerate(tree.nodes):
        followers.setdefault(node.parent, []).append(number)
    ends: list[int] = []
    path: list[int] = []
    todo = [(root, 0) for root in reversed(followers.get(-1, []))]
    while todo:
        number, depth = todo.pop()
        del ends[depth:], path[depth:]
        ends.append(tree.nodes[number].end)
        path.append(number)
        todo += [(kid, depth + 1) for kid in reversed(followers.get(number, []))]
        for at in tree.nodes[number].calls:
            counts[number].calls += 1
            edges = edges_of(readings[at])
            if edges is None:
                counts[number].unreported += 1
                continue
            for kind, edge in enumerate(edges):
                if edge > 0:
                    where = min(bisect_left(ends, edge), depth)
                    node = tree.nodes[path[where]]
                    held = _snapped(edge, node.start, node.end, step)
                    counts[path[where]].inside.append((held, kind))


def _snapped(edge: int, start: int, end: int, step: int) -> int:
    """Move an edge to the node's own ends where it is near them, to the grid elsewhere."""
    if end - edge < step:
        return end
    if edge - start < step:
        return start
    return min(max(round(edge / step) * step, start), end)


def _stretches(start: int, end: int, counts: _Counts) -> list[Stretch]:
    """Cut a node at the edges inside it."""
    left = [b + sum(k == kind for _, k in counts.inside) for kind, b in enumerate(counts.behind)]
    out: list[Stretch] = []
    at = start
    for edge, kind in sorted(counts.inside):
        if edge > at:
            out.append((edge, _by_kind(left, counts)))
            at = edge
        left[kind] -= 1
    return [*out, (end, _by_kind(left, counts))] if at < end or not out else out


def _by_kind(left: Sequence[int], counts: _Counts) -> tuple[int, int, int, int, int]:
    own, read, through = left
    fresh = counts.calls - counts.unreported - through
    return (own, read - own, through - read, fresh, counts.unreported)
