"""agentcache's own ledgers, read back from their JSON lines."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Final

from pydantic import TypeAdapter, ValidationError

from agentcache.dialects.base import Json
from agentcache.ledger import Call
from agentcache.prints import Weaver
from agentcache.recordings.hauls import Haul
from agentcache.recordings.times import seconds
from agentcache.recordings.values import MOST, NO_COUNT, Recorded, is_usage
from agentcache.rules import all_rules

__all__ = ["from_ledger"]

_LINE: Final = TypeAdapter(Call)
_LATER: Final = "is not known to this version of agentcache: update it"
_APART_S: Final = 60.0
"""Clocks of one run differ by less; those of two, on a machine that was started anew, by more."""


def from_ledger(documents: Iterable[Json], haul: Haul) -> None:
    """Read the lines of a ledger; the runs in one file are set one behind the other."""
    runs, weave = _Runs(), Weaver()
    for line in documents:
        call = _call(line)
        if isinstance(call, str):
            haul.miss(call)
        else:
            woven = replace(call, sent=weave(call.sent), original=weave(call.original))
            haul.calls.append(_recorded(line, woven, runs))


def _call(line: Json) -> Call | str:
    """The call that a line holds, or why it cannot be used: broken, or of a row of later rules."""
    try:
        call = _LINE.validate_python(line)
    except ValidationError as error:
        return _cause(error)
    if all(call.rule_id != rule.id for rule in all_rules()):
        return f"rule {call.rule_id!r:.60} {_LATER}"
    if not is_usage(call.usage):
        return NO_COUNT
    if not all(0 <= block.weight < MOST for block in (*call.sent, *call.original)):
        return "a block has a weight that none has"
    times = (call.started_s, call.first_event_s or 0.0, call.ended_s, call.waited_s)
    return call if all(map(isfinite, times)) else "a time is none"


def _cause(error: ValidationError) -> str:
    """The first of what is wrong: the field and what is expected there, not what it holds."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = repr(".".join(map(str, first["loc"])))
    if first["type"] == "literal_error":
        return f"{where} holds a word that {_LATER}"
    said = first["msg"]
    return f"{where} cannot be used: {said[:1].lower()}{said[1:]}"


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
