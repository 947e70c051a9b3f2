"""Breaks on the page: where each is pinned, and what is said of it."""

from typing import Final

from agentcache.breaks import CacheBreak
from agentcache.ledger import Call
from agentcache.page.tree import Tree

__all__ = ["pin_of", "told"]

_RENDERED: Final = ("tools", "system", "messages")


def pin_of(broke: CacheBreak, call: Call, kin: Call | None, tree: Tree) -> int:
    """Position in tokens: where the call parts from the one it was compared with.

    What bytes do not show is pinned where the reading stopped.
    """
    if broke.section == "params":
        return 0
    at = -1
    if broke.section in _RENDERED and kin is not None:
        at = _parting(call, kin)
    if at < 0:
        at = _named(call, broke.path)
    if at < 0:
        return call.usage.cached_tokens or 0
    return tree.ends.get(call.sent[at - 1].chain, 0) if at else 0


def _parting(call: Call, kin: Call) -> int:
    """The number of the first block that the other call did not send; -1 if it sent all of them."""
    known = {block.chain for block in kin.sent}
    return next((n for n, block in enumerate(call.sent) if block.chain not in known), -1)


def _named(call: Call, path: str) -> int:
    """The number of the block at a path, or around it, or in it; -1 if there is none."""
    for number, block in enumerate(call.sent):
        short, long = sorted((block.path, path), key=len)
        if short and long.startswith(short) and long[len(short) :][:1] in ("", ".", "["):
            return number
    return -1


def told(broke: CacheBreak, *, content: bool) -> tuple[str, str]:
    """What is said of a break, and its cure; excerpts only with `content`."""
    if not content:
        broke = broke.bare()
    return str(broke).removesuffix(broke.cure).rstrip(), broke.cure
