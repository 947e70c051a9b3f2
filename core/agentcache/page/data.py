"""What the page draws from, as JSON: trees, calls and breaks, in columns."""

import json
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Final

from agentcache.ledger import Call, Ledger
from agentcache.page.lines import Line, lines_of
from agentcache.page.outcomes import KINDS, Stretch, edges_of, outcomes_of
from agentcache.page.pins import pin_of, told
from agentcache.page.tree import Node, Tree, trees_of
from agentcache.readings import Reading
from agentcache.rules import rule_by_id

__all__ = ["data_of", "embedded"]

_FINEST: Final = 1_000
"""Parts of the width that are told apart."""
_TEXTS: Final = 20
"""Breaks of one agent and kind that are told in full."""
_NAMED: Final = 12
"""Agents that are named where several share."""


class _Table:
    """Values that are named by number, each kept once."""

    def __init__(self) -> None:
        self._number: dict[Hashable, int] = {}

    def __call__(self, value: Hashable) -> int:
        return self._number.setdefault(value, len(self._number))

    @property
    def values(self) -> list[Hashable]:
        return list(self._number)


class _Page:
    """One ledger's calls in the order they were started, with what is known of them."""

    def __init__(self, ledger: Ledger, readings: Sequence[Reading]) -> None:
        self.content = ledger.content
        self.calls = sorted(ledger.calls, key=lambda c: (c.started_s, c.index))
        self.readings = readings
        self.trees = trees_of(self.readings)
        self.agents, self.labels, self.who = _Table(), _Table(), _Table()
        for call in self.calls:
            self.agents(call.agent)
        self.reading_of = {id(r.call): at for at, r in enumerate(self.readings)}
        self.tree_of = {at: n for n, tree in enumerate(self.trees) for at in tree.leaf}
        ends = [r.input_tokens for r in self.readings]
        ends += [node.end for tree in self.trees for node in tree.nodes]
        self.width = max(ends, default=0) or 1

    def tree(self, tree: Tree) -> dict[str, Any]:
        """One tree; nodes are named by number, and so are their lines."""
        made = {at: self.agents(self.readings[at].call.agent) for at in tree.leaf}
        broken = {at: b.kind for at in tree.leaf if (b := self.readings[at].call.broke)}
        drawn = lines_of(tree, made, broken)
        step = max(1, self.width // _FINEST)
        outcomes = outcomes_of(tree, self.readings, step)
        shown = {number for line in drawn.lines for number in line.nodes}
        return {
            "model": tree.model,
            "session": tree.session,
            "rule": rule_by_id(tree.rule_id).title,
            "calls": len(tree.leaf),
            "parent": [node.parent for node in tree.nodes],
            "end": [node.end for node in tree.nodes],
            "label": [self.labels(_label(node)) for node in tree.nodes],
            "line": drawn.line_of,
            "passes": [sum(stretches[-1][1]) for stretches in outcomes],
            "parts": {n: _flat(outcomes[n]) for n in sorted(shown)},
            "sections": {
                n: tree.nodes[n].sections for n in sorted(shown) if len(tree.nodes[n].sections) > 1
            },
            "lines": [self.line(line) for line in drawn.lines],
            "left_out": drawn.left_out,
        }

    def line(self, line: Line) -> list[Any]:
        """A line as parent, where it leaves, calls, agents, how many alike, like which, nodes."""
        named = sorted(line.agents)
        who = self.who((len(named), *named[:_NAMED]))
        return [line.parent, line.at, line.calls, who, line.alike, line.like, line.nodes]

    def columns(self) -> dict[str, list[Any]]:
        """The calls, a column for each thing that is known of them."""
        begun = min((call.started_s for call in self.calls), default=0.0)
        rows = [self._row(call, begun) for call in self.calls]
        return {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}

    def _row(self, call: Call, begun: float) -> dict[str, Any]:
        at = self.reading_of.get(id(call))
        reading = None if at is None else self.readings[at]
        first = call.time_to_first_token_s
        tree = -1 if at is None else self.tree_of[at]
        return {
            "index": call.index,
            "agent": self.agents(call.agent),
            "model": self.labels(call.model),
            "tree": tree,
            "node": -1 if at is None else self.trees[tree].leaf[at],
            "start": _ms(call.started_s - begun),
            "took": _ms(call.ended_s - call.started_s),
            "first": -1 if first is None else _ms(first),
            "waited": _ms(call.waited_s),
            "input": _said(call.usage.input_tokens),
            "output": _said(call.usage.output_tokens),
            "edges": 0 if reading is None else edges_of(reading) or 0,
            "write": _said(call.usage.cache_write_tokens),
            "ceiling": -1 if reading is None else reading.ceiling,
            "kin": -1 if call.kin is None else call.kin,
            "place": self.labels(call.place),
            "plain": 0 if call.forked else self.labels(call.reason or "not forked"),
            "error": self.labels(call.error) if call.error else 0,
        }

    def breaks(self) -> list[dict[str, Any]]:
        """What broke, with the row of its call; what is alike is told in full a few times only."""
        by_index = {call.index: call for call in self.calls}
        told_so_far: Counter[tuple[str, str]] = Counter()
        out: list[dict[str, Any]] = []
        for row, call in enumerate(self.calls):
            broke = call.broke
            if broke is None:
                continue
            at = self.reading_of.get(id(call))
            tree = None if at is None else self.trees[self.tree_of[at]]
            kin = None if call.kin is None else by_index.get(call.kin)
            told_so_far[call.agent, broke.kind] += 1
            full = told_so_far[call.agent, broke.kind] <= _TEXTS
            said, cure = told(broke, content=self.content)
            out.append(
                {
                    "call": row,
                    "at": -1 if tree is None else pin_of(broke, call, kin, tree),
                    "kind": self.labels(broke.kind.replace("_", " ")),
                    "path": self.labels(broke.path or broke.section),
                    "lost": _said(broke.tokens_lost),
                    "said": self.labels(said) if full else 0,
                    "cure": self.labels(cure),
                }
            )
        return out


def data_of(ledger: Ledger, readings: Sequence[Reading]) -> dict[str, Any]:
    """Everything that is drawn; excerpts of a break only where the ledger keeps content.

    Texts stand in `labels` (0 is none), agents in `agents`; both are named by number. Positions
    are in tokens, times in milliseconds from the first call on, -1 is what nobody said.
    """
    page = _Page(ledger, readings)
    page.labels("")
    drawn = {
        "width": page.width,
        "kinds": KINDS,
        "trees": [page.tree(tree) for tree in page.trees],
        "calls": page.columns(),
        "breaks": page.breaks(),
    }
    tables = {"agents": page.agents, "labels": page.labels, "who": page.who}
    return drawn | {name: table.values for name, table in tables.items()}


def embedded(data: object) -> str:
    """JSON that may stand inside a script element, whatever its texts hold; ASCII only."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _label(node: Node) -> str:
    return node.first if node.first == node.last else f"{node.first} … {node.last}"


def _flat(stretches: Sequence[Stretch]) -> list[int]:
    """Stretches as one list: the end, then the calls of each kind."""
    return [number for end, counts in stretches for number in (end, *counts)]


def _said(count: int | None) -> int:
    return -1 if count is None else count


def _ms(seconds: float) -> int:
    return round(seconds * 1000) if math.isfinite(seconds) else 0
