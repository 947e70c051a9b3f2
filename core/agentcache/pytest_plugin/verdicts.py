"""The verdict on a test: whether its agents' prefix broke or was shared too little, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agentcache.breaks import CacheBreak
from agentcache.breaks.values import in_dollars
from agentcache.ledger import Call
from agentcache.pytest_plugin.shares import Share

__all__ = ["Broken", "Verdict"]

_MEANT: Final = """\
If this is meant: @pytest.mark.moves_cache_prefix(reason="...")
to ignore this kind of break: @pytest.mark.prefix_cache(ignore=("{kind}",))"""


@dataclass(frozen=True, slots=True)
class Broken:
    """A break, the call it came with, and the call that one was compared with."""

    broke: CacheBreak
    call: Call
    kin: Call | None
    calls: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the fixture saw of a test.

    `little` are the agents that share less than `least` tokens, `unlocked` says in what locks
    differ, `locks` holds those to be written.
    """

    watched: bool
    calls: int
    broken: tuple[Broken, ...] = ()
    little: tuple[Share, ...] = ()
    shares: tuple[Share, ...] = ()
    least: int = 0
    unlocked: tuple[str, ...] = ()
    locks: list[str] = field(default_factory=list[str])

    def state(self, reason: str = "") -> str:
        """The verdict in one word, for counting."""
        if not self.watched:
            return "unwatched"
        if self.unlocked:
            return "unlocked"
        moved = "broke" if self.broken else "little" if self.little else ""
        if reason:
            return "moved" if moved else "unused"
        return moved or "fine"

    def failure(self, reason: str = "") -> str:
        """Why the test fails; empty if it does not. `reason` is why its prefix may move."""
        state = self.state(reason)
        if state == "unwatched":
            return _UNWATCHED
        if state == "unused":
            return (
                f"unused marker: nothing broke in {_count(self.calls, 'call')}, though "
                f"@pytest.mark.moves_cache_prefix says {reason!r}. Drop the marker."
            )
        if state == "moved":
            return ""
        return self.told()

    def told(self) -> str:
        """All that is wrong, as text; its first line says the most important."""
        parts = [*self.unlocked]
        if self.broken:
            parts.append(self._breaks())
        if self.little:
            parts.append(self._little())
        return "\n\n".join(parts)

    def _breaks(self) -> str:
        first = self.broken[0].broke
        head = f"prefix broke: {_place(first)}"
        if len(self.broken) > 1:
            head += f", and {_count(len(self.broken) - 1, 'more break')}"
        cases = [
            f"{f'{n}. ' if len(self.broken) > 1 else ''}{_case(broken)}"
            for n, broken in enumerate(self.broken, 1)
        ]
        meant = _MEANT.format(kind=first.kind)
        return "\n\n".join([head, *cases, meant])

    def _little(self) -> str:
        worst = min(self.little, key=lambda share: share.tokens)
        tokens = f"about {worst.tokens:,}" if worst.tokens else "no"
        head = (
            f"shared too little: agent {worst.agent!r} shares {tokens} tokens {_partner(worst)}; "
            f"min_shared_tokens={self.least:,}"
        )
        rows = [("agent", "calls", "tokens", "shared with", "parts at")]
        rows += [
            (s.agent, str(s.calls), f"{s.tokens:,}", s.partner or "nobody", s.parts_at or "-")
            for s in self.shares
        ]
        return "\n\n".join([head, _table(rows), _ONE_PREFIX])


_ONE_PREFIX: Final = """\
Give all agents one prefix (agentcache.wrap), and what is their own behind it; or ask for less.
An agent that need not share: @pytest.mark.prefix_cache(apart=("name",))"""
_UNWATCHED: Final = """\
prefix_cache watched no call: the test would pass whatever its agents send.
Give it what they run on: prefix_cache.wrap(crew), .observe(client), .watch(ledger),
.provider(loopback), .recording(path) or .request(body); or drop the fixture."""


def _place(broke: CacheBreak) -> str:
    lost = f", about {broke.tokens_lost:,} tokens" if broke.tokens_lost else ""
    who = f"agent {broke.agent!r}, " if broke.agent else ""
    return f"{who}{_kind(broke)} in {broke.path or broke.section}{lost}"


def _kind(broke: CacheBreak) -> str:
    return broke.kind.replace("_", " ")


def _case(broken: Broken) -> str:
    """One break: who, where, both sides, what it cost, and what to do."""
    broke, call, kin = broken.broke, broken.call, broken.kin
    against = "an earlier call" if kin is None else f"call {kin.index + 1} of {_who(kin, call)}"
    head = f"agent {broke.agent!r}: {_kind(broke)}"
    rows = [
        (
            "calls",
            f"call {call.index + 1} of {broken.calls} against {against}, {_model(call, kin)}",
        ),
        ("where", f"{broke.path or broke.section}{_offset(broke)}"),
    ]
    if broke.before or broke.after:
        one, other = repr(broke.before), repr(broke.after)
        rows += [("before", one), ("after", other), ("", _pointer(one, other))]
    if broke.tokens_lost:
        money = f" ({in_dollars(broke.money_lost)})" if broke.money_lost else ""
        rows.append(("lost", f"about {broke.tokens_lost:,} tokens{money} are sent again, unread"))
    rows += [("note", text) for text in (broke.note, broke.vendor) if text]
    rows.append(("cure", broke.cure))
    return "\n".join([head, *(f"   {name:<7} {text}".rstrip() for name, text in rows if text)])


def _who(kin: Call, call: Call) -> str:
    return "the same agent" if kin.agent == call.agent else f"agent {kin.agent!r}"


def _model(call: Call, kin: Call | None) -> str:
    if kin is None or kin.model == call.model:
        return call.model
    return f"{call.model} after {kin.model}"


def _offset(broke: CacheBreak) -> str:
    return "" if broke.offset is None else f", character {broke.offset:,}"


def _pointer(one: str, other: str) -> str:
    """A caret under the first difference of two quoted texts."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return "" if same is None else f"{' ' * same}^"


def _partner(share: Share) -> str:
    if not share.partner:
        return f"with anybody: it made one call, and nobody else calls {share.model!r}"
    if share.partner == share.agent:
        return "between its own calls"
    return f"with {share.partner!r}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"   {line}".rstrip() for line in lines)
