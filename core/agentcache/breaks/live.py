"""Breaks as they happen: every call compared with the one of its kin that it shares most with."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentcache.blocks import Block
from agentcache.breaks.finder import compare
from agentcache.breaks.values import CacheBreak
from agentcache.dialects import Dialect
from agentcache.rules import Rule
from agentcache.usage import Usage

__all__ = ["Lookout", "Seen"]

_log = logging.getLogger("agentcache")
_AGENTS: Final = 256
_EACH: Final = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """A call as it was seen: whose it is, what it sent, what it used, and when, in seconds.

    `number` is that of the call in its ledger, `headers` went with it.
    """

    agent: str
    request: Mapping[str, Any]
    headers: Mapping[str, str]
    usage: Usage
    started_s: float
    ended_s: float
    number: int = -1
    keys: tuple[bytes, ...] = ()


class Lookout:
    """Keeps the latest requests of every agent in memory, and says what broke.

    A call is compared with the latest of its own agent that begins most like it, or, at an agent's
    first call, with any other's: then only misses that usage shows are told.
    """

    def __init__(self, wire: Dialect, rule: Rule) -> None:
        """Have seen nothing yet."""
        self._wire, self._rule = wire, rule
        self._seen: dict[str, list[Seen]] = {}
        self._lock = threading.Lock()

    def look(
        self, seen: Seen, *, forked: bool, on_break: Callable[[CacheBreak], object] | None = None
    ) -> tuple[CacheBreak | None, int | None]:
        """What broke with this call, and the number of the call that it was compared with.

        Never raises: what goes wrong is logged.
        """
        try:
            found, kin = self._look(seen, forked=forked)
        except Exception:  # noqa: BLE001 - looking never breaks the host
            _log.exception("agentcache could not compare a call of %r", seen.agent)
            return None, None
        if found is not None and on_break is not None:
            try:
                on_break(found)
            except Exception:  # noqa: BLE001 - nor does a listener
                _log.exception("on_break raised; the program goes on")
        return found, kin

    def _look(self, seen: Seen, *, forked: bool) -> tuple[CacheBreak | None, int | None]:
        blocks = self._wire.hashed(seen.request)
        keys = tuple(_keys(blocks))
        now = Seen(
            seen.agent,
            seen.request,
            seen.headers,
            seen.usage,
            seen.started_s,
            seen.ended_s,
            seen.number,
            keys,
        )
        with self._lock:
            mine = list(self._seen.get(seen.agent, ()))
            others = [] if mine else [s for each in self._seen.values() for s in each[-1:]]
            self._keep(now)
        kin = max(mine or others, key=lambda s: (_common(s.keys, keys), s.ended_s), default=None)
        if kin is None:
            return None, None
        found = self._compare(kin, now)
        if not mine and found is not None and (not forked or found.source == "bytes"):
            found = None
        if found is not None and not mine:
            found = found.model_copy(update={"relation": "sibling"})
        return found, kin.number

    def _compare(self, kin: Seen, now: Seen) -> CacheBreak | None:
        both = tuple({**s.request, "extra_headers": dict(s.headers)} for s in (kin, now))
        return compare(
            self._wire,
            self._rule,
            (both[0], both[1]),
            (kin.usage, now.usage),
            idle_s=max(0.0, now.started_s - kin.ended_s),
            agent=now.agent,
        )

    def _keep(self, seen: Seen) -> None:
        held = self._seen.pop(seen.agent, [])
        while len(self._seen) >= _AGENTS:
            del self._seen[next(iter(self._seen))]
        self._seen[seen.agent] = [*held[1 - _EACH :], seen]


def _keys(blocks: tuple[Block, ...]) -> list[bytes]:
    return [block.identity for block in blocks if block.section != "params"]


def _common(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
