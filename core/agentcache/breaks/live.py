"""Breaks as they happen: every call compared with the one of its kin that it shares most with."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from agentcache.blocks import Block
from agentcache.breaks.finder import compare
from agentcache.breaks.talk import is_another
from agentcache.breaks.values import CacheBreak
from agentcache.dialects import Dialect
from agentcache.rules import Rule
from agentcache.usage import Usage

__all__ = ["Lookout", "Seen"]

_log = logging.getLogger("agentcache")
_AGENTS: Final = 256
_EACH: Final = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """A call as it was seen: whose it is, what it sent, what it used, and when, in seconds.

    `number` is that of the call in its ledger, `headers` went with it. `wire` and `rule` are those
    of its endpoint.
    """

    wire: Dialect
    rule: Rule
    agent: str
    request: Mapping[str, Any]
    headers: Mapping[str, str]
    usage: Usage
    started_s: float
    ended_s: float
    number: int = -1
    forked: bool = False
    keys: tuple[bytes, ...] = ()


class Lookout:
    """Keeps the latest requests of every agent in memory, and says what broke.

    A call is compared with the latest of its own agent that begins most like it, or, at an agent's
    first call, with any other's: then only misses that usage shows are told.
    """

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._seen: dict[str, list[Seen]] = {}
        self._lock = threading.Lock()

    def look(
        self, seen: Seen, on_break: Callable[[CacheBreak], object] | None = None
    ) -> tuple[CacheBreak | None, int | None]:
        """What broke with this call, and the number of the call that it was compared with.

        Never raises: what goes wrong is logged.
        """
        try:
            found, kin = self._look(seen)
        except Exception:  # noqa: BLE001 - looking never breaks the host
            _log.exception("agentcache could not compare a call of %r", seen.agent)
            return None, None
        if found is not None and on_break is not None:
            try:
                on_break(found)
            except Exception:  # noqa: BLE001 - nor does a listener
                _log.exception("on_break raised; the program goes on")
        return found, kin

    def _look(self, seen: Seen) -> tuple[CacheBreak | None, int | None]:
        keys = tuple(_keys(seen.wire.hashed(seen.request)))
        now = replace(seen, keys=keys)
        with self._lock:
            mine = [s for s in self._seen.get(seen.agent, ()) if s.forked == seen.forked]
            every = [s for each in self._seen.values() for s in each[-1:]]
            others = [s for s in every if not mine and s.rule.id == now.rule.id]
            self._keep(now)
        kin = max(mine or others, key=lambda s: _nearness(s, keys), default=None)
        if kin is None:
            return None, None
        found = self._compare(kin, now)
        if found is not None and _is_unrelated(kin, now, found):
            found = None
        if found is not None and now.forked and _read_enough(kin, now, found):
            found = None
        if not mine and found is not None and (not now.forked or found.source == "bytes"):
            found = None
        if found is not None and not mine:
            found = found.model_copy(update={"relation": "sibling"})
        return found, kin.number

    def _compare(self, kin: Seen, now: Seen) -> CacheBreak | None:
        both = tuple({**s.request, "extra_headers": dict(s.headers)} for s in (kin, now))
        return compare(
            now.wire,
            now.rule,
            (both[0], both[1]),
            (kin.usage, now.usage),
            idle_s=0.0 if now.started_s < kin.ended_s else max(1.0, now.started_s - kin.ended_s),
            agent=now.agent,
        )

    def _keep(self, seen: Seen) -> None:
        held = self._seen.pop(seen.agent, [])
        while len(self._seen) >= _AGENTS:
            del self._seen[next(iter(self._seen))]
        self._seen[seen.agent] = [*held[1 - _EACH :], seen]


def _keys(blocks: tuple[Block, ...]) -> list[bytes]:
    return [block.identity for block in blocks if block.section != "params"]


def _is_unrelated(kin: Seen, now: Seen, found: CacheBreak) -> bool:
    """Whether these are two kinds of calls that one agent makes: they never had a prefix in common.

    Told by their system texts, which frameworks change as a whole for calls on the side.
    """
    if found.source != "bytes" or found.section not in ("tools", "system", "messages", "params"):
        return False
    one, other = ("\n\n".join(s.wire.split(s.request).system) for s in (kin, now))
    return one != other and is_another(one, other)


def _read_enough(kin: Seen, now: Seen, found: CacheBreak) -> bool:
    """Whether a fork that differs in its messages still read what its agent had read before.

    Its own text moves behind what was said since, by design.
    """
    if found.source != "bytes" or found.section != "messages":
        return False
    known = (kin.usage.cached_tokens or 0) + (kin.usage.cache_write_tokens or 0)
    return now.usage.cached_tokens is None or now.usage.cached_tokens >= known // 2


def _nearness(seen: Seen, keys: tuple[bytes, ...]) -> tuple[bool, int, float]:
    """What a call goes on from comes first, then what it shares most with, then the latest."""
    common = _common(seen.keys, keys)
    return common == len(seen.keys), common, seen.ended_s


def _common(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
