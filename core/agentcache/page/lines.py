"""The tree laid out in lines, as a person draws it: a line goes on, and others leave it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentcache.page.tree import Tree

__all__ = ["Line", "Lines", "lines_of"]

_ALIKE = 4
"""Lines alike that leave at one place from which on they are shown as one."""
_EACH = 25
"""Lines alike that are kept, to be shown when asked for."""
_LINES = 1_500


@dataclass(slots=True)
class Line:
    """A line of nodes. It leaves `parent` (-1: it begins the prompt) at a position in tokens.

    `calls` went through it, `agents` made them. Of lines alike the first stands for all `alike`;
    the others name it by `like` (-1: none).
    """

    parent: int
    at: int
    nodes: list[int]
    agents: frozenset[int]
    calls: int
    kids: list[int] = field(default_factory=list[int])
    alike: int = 1
    like: int = -1


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines from top to bottom, the line of each node (of one alike, if left out), those left out.

    A line that branches off further to the right stands above one that does so before, so that
    nothing crosses.
    """

    lines: tuple[Line, ...]
    line_of: tuple[int, ...]
    left_out: int


def lines_of(
    tree: Tree, agents: Mapping[int, int], breaks: Mapping[int, str], limit: int = _LINES
) -> Lines:
    """Lay a tree out. `agents` and `breaks` tell of a reading who made it and the kind it broke."""
    who, calls = _passing(tree, agents)
    lines, line_of = _drawn(tree, who, calls)
    _group(tree, lines, breaks)
    return _ordered(lines, line_of, limit)


def _passing(tree: Tree, agents: Mapping[int, int]) -> tuple[list[frozenset[int]], list[int]]:
    """Of each node, the agents and the number of the calls that went through it."""
    who: list[set[int]] = [{agents[at] for at in node.calls} for node in tree.nodes]
    calls = [len(node.calls) for node in tree.nodes]
    for number in range(len(tree.nodes) - 1, -1, -1):
        parent = tree.nodes[number].parent
        if parent >= 0:
            who[parent] |= who[number]
            calls[parent] += calls[number]
    return [frozenset(each) for each in who], calls


def _drawn(
    tree: Tree, who: Sequence[frozenset[int]], calls: Sequence[int]
) -> tuple[list[Line], list[int]]:
    """Let the child that most calls take go on in its parent's line; the others begin their own.

    Where several agents share a line, only what several share goes on in it; and of several
    children that one call each went through none goes on.
    """
    heir: dict[int, int] = {}
    children = Counter(node.parent for node in tree.nodes)
    for number, node in enumerate(tree.nodes):
        above = node.parent
        if above < 0 or (len(who[above]) > 1 and len(who[number]) == 1):
            continue
        if calls[number] == 1 and children[above] > 1:
            continue
        if above not in heir or calls[number] > calls[heir[above]]:
            heir[above] = number
    lines: list[Line] = []
    line_of: list[int] = []
    for number, node in enumerate(tree.nodes):
        if node.parent >= 0 and heir.get(node.parent) == number:
            line_of.append(line_of[node.parent])
            lines[line_of[-1]].nodes.append(number)
            continue
        above = line_of[node.parent] if node.parent >= 0 else -1
        line_of.append(len(lines))
        lines.append(Line(above, node.start, [number], who[number], calls[number]))
        if above >= 0:
            lines[above].kids.append(line_of[-1])
    return lines, line_of


def _group(tree: Tree, lines: Sequence[Line], breaks: Mapping[int, str]) -> None:
    """Let the first of several lines alike stand for all of them.

    Alike are lines that leave at one place, of the same agents, about as long (within a factor of
    two), with the same breaks and with kids alike.
    """
    shapes: dict[object, int] = {}
    shape_of = [0] * len(lines)
    for number in range(len(lines) - 1, -1, -1):  # kids come after the line they leave
        line = lines[number]
        length = tree.nodes[line.nodes[-1]].end - line.at
        broke = {breaks[at] for n in line.nodes for at in tree.nodes[n].calls if at in breaks}
        kids = frozenset(shape_of[kid] for kid in line.kids)
        shape = (line.agents, length.bit_length(), frozenset(broke), kids)
        shape_of[number] = shapes.setdefault(shape, len(shapes))
    found: dict[tuple[int, int, int], list[int]] = {}
    for number, line in enumerate(lines):
        found.setdefault((line.parent, line.at, shape_of[number]), []).append(number)
    for first, *others in found.values():
        if len(others) + 1 >= _ALIKE:
            lines[first].alike += len(others)
            for number in others:
                lines[number].like = first


def _ordered(lines: Sequence[Line], line_of: Sequence[int], limit: int) -> Lines:
    """Bring lines into the order they are drawn in, and leave out what is too much."""
    kept: list[int] = []
    shown: dict[int, int] = {}
    todo = _drawn_order(lines, [n for n, line in enumerate(lines) if line.parent < 0])[::-1]
    while todo and len(kept) < limit:
        number = todo.pop()
        shown[number] = len(kept)
        kept.append(number)
        todo += _drawn_order(lines, lines[number].kids)[::-1]
    stands: list[int] = []
    for number, line in enumerate(lines):
        other = stands[line.like] if line.like >= 0 else -1
        above = stands[line.parent] if line.parent >= 0 else -1
        stands.append(shown.get(number, other if other >= 0 else above))
    out = [lines[number] for number in kept]
    for line in out:
        line.parent = shown[line.parent] if line.parent >= 0 else -1
        line.like = shown[line.like] if line.like >= 0 else -1
    return Lines(tuple(out), tuple(stands[n] for n in line_of), len(lines) - len(kept))


def _drawn_order(lines: Sequence[Line], numbers: Sequence[int]) -> list[int]:
    """Kids from right to left, those alike together, and no more of these than worth keeping."""
    first = {n: n if lines[n].like < 0 else lines[n].like for n in numbers}
    seen: dict[int, int] = {}
    out: list[int] = []
    for number in sorted(numbers, key=lambda n: (-lines[n].at, first[n], n)):
        seen[first[number]] = seen.get(first[number], 0) + 1
        if seen[first[number]] <= _EACH:
            out.append(number)
    return out
