"""agentcache's own ledgers, read back from their JSON lines."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Final

from pydantic import TypeAdapter, ValidationError

from agentcache.dialects.base import Json
from agentcache.errors import OptionError
from agentcache.ledger import Call
from agentcache.prints import Weaver
from agentcache.recordings.hauls import Haul
from agentcache.recordings.times import seconds
from agentcache.recordings.values import MOST, Recorded, is_usage
from agentcache.rules import rule_by_id

__all__ = ["from_ledger"]

_LINE: Final = TypeAdapter(Call)
_APART_S: Final = 60.0
"""Clocks of one run differ by less; those of two, on a machine that was started anew, by more."""


def from_ledger(documents: Iterable[Json], haul: Haul) -> None:
    """Read the lines of a ledger; the runs in one file are set one behind the other."""
    runs, weave = _Runs(), Weaver()
    for line in documents:
        call = _call(line)
        if call is None:
            haul.unread += 1
        else:
            woven = replace(call, sent=weave(call.sent), original=weave(call.original))
            haul.calls.append(_recorded(line, woven, runs))


def _call(line: Json) -> Call | None:
    """The call that a line holds; None for one that is broken, or follows a row of later rules."""
    try:
        call = _LINE.validate_python(line)
        rule_by_id(call.rule_id)
    except (OptionError, ValidationError):
        return None
    times = (call.started_s, call.first_event_s or 0.0, call.ended_s, call.waited_s)
    weighed = all(0 <= block.weight < MOST for block in (*call.sent, *call.original))
    return call if weighed and is_usage(call.usage) and all(map(isfinite, times)) else None


@dataclass(slots=True)
class _Runs:
    """Where the run that is being read begins: the first number free for it, and its clock."""

    offset: int = 0
    numbers: set[int] = field(default_factory=set[int])
    clock_s: float | None = None

    def placed(self, call: Call, written_s: float | None) -> Call:
        """A call with a number and times that no other run in the file has."""
        if call.index in self.numbers:
            self.offset += max(self.numbers) + 1
            self.numbers = set()
        self.numbers.add(call.index)
        kin = None if call.kin is None else call.kin + self.offset
        call = replace(call, index=call.index + self.offset, kin=kin)
        if written_s is None:
            return call
        clock_s = written_s - call.ended_s
        self.clock_s = clock_s if self.clock_s is None else self.clock_s
        apart = clock_s - self.clock_s
        return call if abs(apart) < _APART_S else _later(call, apart)


def _later(call: Call, by_s: float) -> Call:
    first_s = call.first_event_s
    return replace(
        call,
        started_s=call.started_s + by_s,
        first_event_s=None if first_s is None else first_s + by_s,
        ended_s=call.ended_s + by_s,
    )


def _recorded(line: Json, call: Call, runs: _Runs) -> Recorded:
    written_s = seconds(line.get("at"))
    took_s = call.ended_s - call.started_s
    return Recorded(
        call.request or {},
        usage=call.usage,
        agent=call.agent,
        at_s=None if written_s is None else written_s - took_s,
        ended_s=written_s,
        model=call.model,
        error=call.error,
        fingerprint="fp_emulated" if line.get("source") == "emulated" else "",
        call=runs.placed(call, written_s),
    )
