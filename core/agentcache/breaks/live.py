"""Breaks as they happen: every call compared with the one of its kin that it shares most with."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from agentcache.blocks import Block
from agentcache.breaks.finder import compare, own_text
from agentcache.breaks.kept import Kept, common, keep
from agentcache.breaks.losses import money_of
from agentcache.breaks.seen import Seen, Shelf
from agentcache.breaks.spellings import as_written, spelled_out
from agentcache.breaks.summaries import is_summary
from agentcache.breaks.talk import is_another
from agentcache.breaks.values import CacheBreak

__all__ = ["Lookout", "Seen"]

_log = logging.getLogger("agentcache")
_RATES: Final = 256
_MINUTE_S: Final = 60.0
_UNTIMED_S: Final = 60.0
"""Taken to lie between calls whose times are unknown: neither together nor expired."""
_STANDING: Final = ("below_minimum", "usage_unreported", "mark_missing")
"""What holds for every call of an agent, or every conversation, and is told once of a place."""
_OTHER_WORDS: Final = (
    *("text_edit", "message_edited", "message_inserted", "message_dropped", "compaction"),
    "window_slid",
)
_SEVERAL: Final = 2
_PHRASE: Final = 160
"""Characters: one message that is shorter may come again by chance."""
_LAST: Final = 1
"""Blocks at the end of a request that were for that call alone, such as a summary's prompt."""


class Lookout:
    """Keeps the latest requests of every agent in memory (see `Shelf`), and says what broke.

    A call is compared with the latest of its own agent that begins most like it; one that goes on
    in a way of its own, with what it goes on from. An agent's first call is compared with any
    other's: then only misses that usage shows are told.
    """

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._shelf = Shelf()
        self._starts: dict[tuple[str, str], list[float]] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._lock = threading.RLock()  # a collector may end a stream in here

    def judged(self, seen: Seen) -> tuple[CacheBreak | None, Seen | None]:
        """What broke with this call, and the call that it was compared with, as it is kept.

        Never raises: what goes wrong is logged.
        """
        try:
            return self._look(seen)
        except Exception:  # noqa: BLE001 - looking never breaks the host
            _log.exception("agentcache could not compare a call of %r", seen.agent)
            return None, None

    def _look(self, seen: Seen) -> tuple[CacheBreak | None, Seen | None]:
        now = self._own(seen)
        with self._lock:
            rate = self._rate(now)
            own = [s for s in self._shelf.of(seen.agent) if _may_share(s, now)]
            mine = [s for s in own if s.forked == seen.forked] or _swapped(own, now)
            others = [] if mine else self._others(now)
            self._shelf.put(now)
        kin, found = _found(mine or others, now)
        if found is None or kin is None:
            return None, kin
        if not mine and (not now.forked or found.source == "bytes"):
            return None, kin  # two agents, who share what they share
        if _is_healthy(kin, now, found) or self._was_told(now, found):
            return None, kin
        if kin.forked != now.forked:
            found = _as_said(found, kin, now)
        if found.kind == "evicted" and rate:
            found = found.model_copy(update={"kind": "rate_overflow", "note": rate})
        found = found.model_copy(update={"path": as_written(found.path, seen.request)})
        return found if mine else found.model_copy(update={"relation": "sibling"}), kin

    def nearest(self, asked: Seen) -> Seen | None:
        """The call that one about to be sent will be compared with."""
        request = spelled_out(asked.wire, asked.request)
        blocks = asked.wire.hashed(request)
        keys = tuple([b.identity for b in blocks if b.section != "params"])
        with self._lock:
            own = [s for s in self._shelf.of(asked.agent) if _may_share(s, asked)]
            mine = [s for s in own if s.forked == asked.forked]
            others = [] if mine else self._others(asked)
        return _nearest(mine or others, keys)

    def extends(self, agent: str, number: int, kin: Seen | None) -> bool:
        """Whether a call that was looked at goes on from all of another."""
        with self._lock:
            now = next((s for s in self._shelf.of(agent) if s.number == number), None)
        if now is None or kin is None:
            return False
        return common(kin.keys, now.keys) == len(kin.keys)

    def _others(self, now: Seen) -> list[Seen]:
        """The latest call of each agent that this one may share a cache with."""
        latest = reversed(self._shelf.latest())
        return [s for s in latest if _may_share(s, now) and s.rule.id == now.rule.id]

    def _own(self, seen: Seen) -> Seen:
        """The call with our own copy of its request, which takes over what was kept before."""
        with self._lock:
            likes = [*reversed(self._shelf.of(seen.agent))] or self._shelf.latest()
        kept = [s.request for s in likes if isinstance(s.request, Kept)]
        made = keep(seen.wire, seen.request, seen.headers, kept)
        keys = tuple([b.identity for b in made.blocks if b.section != "params"])
        return replace(seen, request=made, keys=keys, size=made.size)

    def _was_told(self, now: Seen, found: CacheBreak) -> bool:
        """Whether this holds for every call of an agent, and was said of an earlier one."""
        if found.kind not in _STANDING:
            return False
        with self._lock:
            told = (now.agent, found.kind, found.path) in self._told
            self._told.add((now.agent, found.kind, found.path))
        return told

    def _rate(self, now: Seen) -> str:
        """Say that too many calls of the last minute had one affinity key; empty if not."""
        chosen = now.rule.affinity_for(now.wire.name)
        limit = chosen.per_minute if chosen is not None else None
        key = chosen.value_in(now.request, now.headers) if chosen is not None and limit else ""
        if limit is None or not key or now.ended_s < now.started_s:
            return ""
        while len(self._starts) > _RATES:
            del self._starts[next(iter(self._starts))]
        since = now.started_s - _MINUTE_S
        recent = [t for t in self._starts.pop((now.rule.id, key), []) if t > since]
        self._starts[now.rule.id, key] = recent = [*recent, now.started_s]
        if len(recent) <= limit:
            return ""
        return f"{len(recent)} calls in a minute; {now.rule.name} keeps about {limit} together."


def _found(seen: Sequence[Seen], now: Seen) -> tuple[Seen | None, CacheBreak | None]:
    """The call that one is compared with, and what broke, be it healthy."""
    kin = _nearest(seen, now.keys)
    found = None if kin is None else _compare(kin, now)
    if kin is None or found is None:
        return kin, None
    if not _begins_anew(kin, now, found):
        return kin, found
    base = _base(seen, now.keys)
    return base or kin, None if base is None else _compare(base, now)


def _nearest(seen: Sequence[Seen], keys: tuple[bytes, ...]) -> Seen | None:
    """The call that one shares most with: in front, then behind that; the latest of those."""
    shared = [common(s.keys, keys) for s in seen]
    most = max(shared, default=0)
    first = [s for s, same in zip(seen, shared, strict=True) if same == most]
    if len(first) < 2:
        return next(iter(first), None)
    behind = set(keys[most:])
    return max(first, key=lambda s: (len(behind.intersection(s.keys[most:])), s.ended_s))


def _may_share(one: Seen, now: Seen) -> bool:
    """Whether a call could read what the other wrote: there, with that key, and begun before."""
    there = one.wire is now.wire and one.place == now.place
    return there and (one.started_s <= now.started_s or not (one.timed and now.timed))


def _swapped(own: Sequence[Seen], now: Seen) -> list[Seen]:
    """Forks of an agent that says the same as then, but to another model: it has left its fork."""
    said = _weights(now)
    return [
        s
        for s in own
        if s.request.get("model") != now.request.get("model")
        if said and _weights(s)[: len(said)] == said[: len(_weights(s))]
    ]


def _as_said(found: CacheBreak, kin: Seen, now: Seen) -> CacheBreak:
    """A break between a fork and a call as its program made it: what both said is lost."""
    said, other = _weights(now), _weights(kin)
    both = sum(weight for _, weight in said[: common(said, other)])
    share = both / max(1, sum(weight for _, weight in said))
    lost = max(0, round(share * (now.usage.input_tokens or both)) - (now.usage.cached_tokens or 0))
    model = str(now.request.get("model") or "")
    return found.model_copy(
        update={"tokens_lost": lost, "money_lost": money_of(now.rule, model, lost)}
    )


def _weights(seen: Seen) -> list[tuple[str, int]]:
    """What a program said, by what it weighs: fingerprints differ where models do."""
    return [(p.path, p.weight) for p in seen.original if p.section != "params"]


def _compare(kin: Seen, now: Seen) -> CacheBreak | None:
    return compare(
        now.wire,
        now.rule,
        (kin.request, now.request),
        (kin.usage, now.usage),
        idle_s=_idle_s(kin, now),
        agent=now.agent,
    )


def _idle_s(kin: Seen, now: Seen) -> float:
    if not kin.timed or not now.timed:
        return _UNTIMED_S
    return 0.0 if now.started_s < kin.ended_s else max(1.0, now.started_s - kin.ended_s)


def _is_healthy(kin: Seen, now: Seen, found: CacheBreak) -> bool:
    """Whether a change of the bytes is none of the program's doing, or no loss."""
    if found.source != "bytes":
        return False
    if kin.forked != now.forked:
        return found.kind != "model"
    if now.moved and found.section == "messages":
        return True  # announced
    return _is_unrelated(kin, now, found) or (now.forked and _is_by_design(kin, now, found))


def _is_unrelated(kin: Seen, now: Seen, found: CacheBreak) -> bool:
    """Whether these are two kinds of calls that one agent makes: they never had a prefix in common.

    Told by their system texts, which frameworks change as a whole for calls on the side.
    """
    if found.section not in ("tools", "system", "messages", "params"):
        return False
    one, other = ("\n\n".join(s.wire.split(s.request).system) for s in (kin, now))
    return one != other and is_another(one, other)


def _is_by_design(kin: Seen, now: Seen, found: CacheBreak) -> bool:
    """Whether a fork's messages moved though the program only said more: forking moved them.

    An agent's own text and its own traces stand behind what all have said since.
    """
    if found.section != "messages" or is_summary(found):
        return False
    one, other = (
        [p for p in s.original if p.section not in ("params", "tools")] for s in (kin, now)
    )
    if _tools(kin) == _tools(now):
        same = common([p.chain for p in one], [p.chain for p in other])
    else:  # a fingerprint covers all before it: told by place and weight
        same = common([(p.path, p.weight) for p in one], [(p.path, p.weight) for p in other])
    return same >= len(one) - _LAST


def _tools(seen: Seen) -> list[str]:
    return [p.chain for p in seen.original if p.section == "tools"][-1:]


def _behind(seen: Seen, at: int) -> list[Block]:
    return [b for b in seen.wire.hashed(seen.request) if b.section != "params"][at:]


def _base(seen: Sequence[Seen], keys: tuple[bytes, ...]) -> Seen | None:
    """The longest of the calls that a call goes on from."""
    whole = [s for s in seen if common(s.keys, keys) == len(s.keys)]
    return max(whole, key=lambda s: (len(s.keys), s.ended_s), default=None)


def _begins_anew(kin: Seen, now: Seen, found: CacheBreak) -> bool:
    """Whether two calls belong to two conversations, and neither changed what the other said.

    Then nothing that was said behind the change comes again, but for what is asked last; or all of
    it does under other ids, and the later call says no more than the earlier one: a second run.
    """
    if found.section != "messages" or found.kind not in (*_OTHER_WORDS, "tool_call_id"):
        return False
    if is_summary(found):
        return False
    if found.kind == "tool_call_id":
        return len(now.keys) <= len(kin.keys)
    same = common(kin.keys, now.keys)
    later, before = (_behind(s, same) for s in (now, kin))
    known = {block.identity for block in before}
    kept = [b for b in later[:-1] if b.section == "messages" and b.identity in known]
    own = [b for b in kept if not own_text([b])]
    return len(own) < _SEVERAL and sum(len(b.json) for b in own) < _PHRASE
