"""The prefix tree: what calls have in common, at positions in tokens.

A position is the provider's own count where usage tells it (the end of a request, the last mark it
wrote to); what stands between two of those is shared out by estimated weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentcache.ledger import Call
from agentcache.prints import Print
from agentcache.readings import Reading, learn_positions
from agentcache.rules import rule_by_id

__all__ = ["Node", "Tree", "trees_of"]

_NEAR: Final = 0.1


@dataclass(slots=True)
class Node:
    """A run of blocks that the same calls went through, from `start` to `end` in tokens.

    `parent` is the number of the node before it, -1 at the beginning of the prompt. `sections` are
    (name, end) of the parts of a request that it covers, `calls` the readings that end with it.
    """

    parent: int
    start: int
    end: int
    first: str
    last: str
    sections: list[tuple[str, int]]
    calls: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class Tree:
    """The tree of one cache domain. A node comes after its parent.

    `leaf` maps a reading to its last node, `ends` a block's chain to where the block ends.
    """

    session: str
    rule_id: str
    model: str
    nodes: list[Node] = field(default_factory=list[Node])
    leaf: dict[int, int] = field(default_factory=dict[int, int])
    ends: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class _Blocks:
    """Every block that was sent, once: the block before it, where it ends, and what it is."""

    number: dict[str, int] = field(default_factory=dict[str, int])
    before: list[int] = field(default_factory=list[int])
    end: list[int] = field(default_factory=list[int])
    print: list[Print] = field(default_factory=list[Print])
    last: dict[int, int] = field(default_factory=dict[int, int])

    def plant(self, at: int, reading: Reading, exact: Mapping[str, int]) -> None:
        """Add what this reading's call sent and no call before it had."""
        sent = reading.call.sent
        known = len(sent)
        while known and sent[known - 1].chain not in self.number:
            known -= 1
        here = self.number[sent[known - 1].chain] if known else -1
        start = self.end[here] if known else 0
        new = sent[known:]
        for block, end in zip(new, _positions(new, start, exact), strict=True):
            self.before.append(here)
            self.end.append(end)
            self.print.append(block)
            here = self.number[block.chain] = len(self.end) - 1
        self.last[at] = here


def trees_of(readings: Sequence[Reading]) -> list[Tree]:
    """A tree for every cache domain, in the order in which they were first used."""
    domains: dict[tuple[str, str, str], list[int]] = {}
    for at, reading in enumerate(readings):
        call = reading.call
        domains.setdefault((call.session, call.rule_id, call.model), []).append(at)
    return [_tree(key, readings, members) for key, members in domains.items()]


def _tree(key: tuple[str, str, str], readings: Sequence[Reading], members: list[int]) -> Tree:
    exact: dict[str, int] = {}
    for at in members:
        learn_positions(readings[at].call, exact)
    if rule_by_id(key[1]).matching == "breakpoint":
        _learn_forks([readings[at].call for at in members], exact)
    blocks = _Blocks()
    for at in members:
        blocks.plant(at, readings[at], exact)
    return _compressed(blocks, Tree(*key))


def _learn_forks(calls: Sequence[Call], exact: dict[str, int]) -> None:
    """Where only breakpoints are read: what a fork's first call read tells where the fork leaves.

    Taken only where the estimate says about the same: an earlier mark may have been read.
    """
    known: set[str] = set()
    for call in calls:
        read, total = call.usage.cached_tokens, call.usage.input_tokens
        shared = [block for block in call.sent if block.chain in known]
        known.update(block.chain for block in call.sent)
        marked = [n for n, block in enumerate(shared) if block.marked]
        if not read or not total or not marked:
            continue
        if any(block.chain in exact for block in shared[marked[-1] :]):
            continue  # it may have read up to the end of an earlier request
        block = shared[marked[-1]]
        weight = sum(b.weight for b in call.sent) or 1
        guess = sum(b.weight for b in call.sent[: marked[-1] + 1]) * total / weight
        if abs(read - guess) <= _NEAR * read:
            exact[block.chain] = read


def _positions(blocks: Sequence[Print], start: int, exact: Mapping[str, int]) -> list[int]:
    """Where each block ends, if the first one begins at `start`."""
    ends: list[int] = []
    weights: list[int] = []
    for block in blocks:
        weights.append(block.weight)
        pin = exact.get(block.chain)
        if pin is not None:
            low = ends[-1] if ends else start
            ends += _spread(weights, low, max(low, pin))
            weights = []
    low = ends[-1] if ends else start
    return [*ends, *_spread(weights, low, low + sum(weights))]


def _spread(weights: Sequence[int], low: int, high: int) -> list[int]:
    """Share the tokens between two positions out by weight."""
    whole, so_far = sum(weights), 0
    ends: list[int] = []
    for weight in weights:
        so_far += weight
        ends.append(low + round((high - low) * so_far / whole) if whole else low)
    return [*ends[:-1], high] if ends else []


def _compressed(blocks: _Blocks, tree: Tree) -> Tree:
    """Join blocks that the same calls went through; what renders no tokens has no node."""
    stops = set(blocks.last.values())
    followers = [0] * len(blocks.end)
    for before in blocks.before:
        if before >= 0:
            followers[before] += 1
    node_of: list[int] = []
    for number, (before, end) in enumerate(zip(blocks.before, blocks.end, strict=True)):
        above = node_of[before] if before >= 0 else -1
        block = blocks.print[number]
        if end == 0:
            node_of.append(-1)
        elif above >= 0 and followers[before] == 1 and before not in stops:
            _extend(tree.nodes[above], block, end)
            node_of.append(above)
        else:
            start = tree.nodes[above].end if above >= 0 else 0
            section: list[tuple[str, int]] = [(block.section, end)]
            tree.nodes.append(Node(above, start, end, block.path, block.path, section))
            node_of.append(len(tree.nodes) - 1)
    tree.ends = {chain: blocks.end[number] for chain, number in blocks.number.items()}
    for at, block_number in blocks.last.items():
        leaf = tree.leaf[at] = node_of[block_number] if block_number >= 0 else -1
        if leaf >= 0:
            tree.nodes[leaf].calls.append(at)
    return tree


def _extend(node: Node, block: Print, end: int) -> None:
    node.end, node.last = end, block.path
    if node.sections[-1][0] == block.section:
        node.sections.pop()
    node.sections.append((block.section, end))
