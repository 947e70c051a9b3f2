"""Runs within runs: which of them is the call to the model itself, and which agent it is under."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from agentcache.recordings.values import Recorded
from agentcache.usage import Usage

__all__ = ["Node", "calls_in"]


@dataclass(frozen=True, slots=True)
class Node:
    """A span, run or observation: its own id and its parent's, the agent it names, its call."""

    id: str
    parent: str = ""
    agent: str = ""
    call: Recorded | None = None


class _Tree:
    """Nodes by number, each with those above it, the nearest first."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self._at = {node.id: n for n, node in enumerate(nodes) if node.id}
        self.calls = {n: node.call for n, node in enumerate(nodes) if node.call is not None}
        self.above = {n: self._above(n) for n in self.calls}

    def _above(self, n: int) -> tuple[int, ...]:
        out: list[int] = []
        parent = self._at.get(self.nodes[n].parent)
        while parent is not None and parent != n and parent not in out:
            out.append(parent)
            parent = self._at.get(self.nodes[parent].parent)
        return tuple(out)

    def inner(self, some: Sequence[int]) -> list[int]:
        """Those of some calls that have none of them below, each answer once."""
        outer = {up for n in some for up in self.above[n]}
        kept: dict[Any, int] = {}
        for n in some:
            if n not in outer:
                kept.setdefault(self.calls[n].answer_id or n, n)
        return list(kept.values())

    def named(self, n: int) -> Recorded:
        """A call with the agent it is under."""
        call = self.calls[n]
        bearer = next((up for up in (n, *self.above[n]) if self.nodes[up].agent), None)
        if bearer is None:
            return call
        node = self.nodes[bearer]
        return replace(call, agent=node.agent, under="" if bearer == n else node.id)


def calls_in(nodes: Sequence[Node]) -> list[Recorded]:
    """The calls, each once, with the name of the agent they are under.

    A framework and an SDK may both have written a call down: the innermost with a request is kept,
    and what only the others know of its usage is added.
    """
    tree = _Tree(nodes)
    kept = tree.inner([n for n, call in tree.calls.items() if call.request])
    homes = {n: _home(tree, n, kept) for n in tree.calls if n not in kept}
    alone = tree.inner([n for n, home in homes.items() if home is None])
    found = {n: tree.named(n) for n in (*kept, *alone)}
    for n, home in homes.items():
        if home is not None:
            found[home] = _fuller(found[home], tree.calls[n])
    return [found[n] for n in sorted(found)]


def _home(tree: _Tree, n: int, kept: Sequence[int]) -> int | None:
    """The kept call that another record of it belongs to."""
    over = next((up for up in tree.above[n] if up in kept), None)
    if over is not None:
        return over
    answer = tree.calls[n].answer_id
    same = (k for k in kept if n in tree.above[k] or (answer and tree.calls[k].answer_id == answer))
    return next(same, None)


def _fuller(call: Recorded, other: Recorded) -> Recorded:
    """A call with what another record of it knows beside it."""
    usage = call.usage or other.usage
    if call.usage is not None and other.usage is not None:
        mine = {f.name: getattr(call.usage, f.name) for f in fields(Usage)}
        new = {k: getattr(other.usage, k) for k, v in mine.items() if v in (None, ())}
        usage = replace(call.usage, **new)
    return replace(
        call,
        usage=usage,
        answer_id=call.answer_id or other.answer_id,
        base_url=call.base_url or other.base_url,
        fingerprint=call.fingerprint or other.fingerprint,
        error=call.error if call.answer_id else call.error or other.error,
    )
