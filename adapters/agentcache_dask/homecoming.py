"""What comes home from workers: calls for ledgers, answers for the store, payments, events."""

import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from agentcache.graphs.plans import Board
from agentcache.ledger import Call
from agentcache_dask.desk import Entry
from agentcache_dask.values import unpacked

__all__ = ["Home"]

_log = logging.getLogger("agentcache")


@dataclass(slots=True)
class Home:
    """The board's own ledgers, store and purse, as workers fill them."""

    board: Board
    began: dict[str, str] = field(default_factory=dict[str, str])
    _indexes: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def hear(self, entry: Entry) -> None:
        """Take down what happened, unless it is a task's end."""
        kind, what = entry[0], entry[1:]
        if kind == "call":
            self._record(*what)
        elif kind == "answer":
            self._keep(*what)
        elif kind == "paid":
            self.board.plan.purse.count(*what)
        elif kind == "noted":
            self._note(*what)
        elif kind == "retry":
            self.board.tell("retry", *what)
        elif kind == "started":
            self._started(*what)

    def _note(self, number: int, line: str) -> None:
        self.board.plan.sessions[number].ledger.note(line)

    def _started(self, name: str, where: str) -> None:
        if name in self.board.outcomes:
            return
        if name in self.began:
            told = f"{name!r} was begun again on {where}: {self.began[name]} was lost"
            self.board.tell("note", name, told)
        else:
            self.board.tell("started", name)
        self.began[name] = where

    def _keep(self, key: str, attempt: int, n: int, request: str, answer: str) -> None:
        store = self.board.plan.store
        if store is not None:
            store.keep(key, attempt, n, request, json.loads(answer))

    def _record(self, number: int, origin: str, shift_s: float, source: Any, made: bytes) -> None:
        """Record a call: by this machine's clock, and by this ledger's numbers."""
        call: Call = unpacked(made)
        session = self.board.plan.sessions[number]
        ledger = session.ledger
        if source == "emulated":
            ledger.source = source
        index = self._indexes[origin, call.index] = ledger.claim()
        kin = None if call.kin is None else self._indexes.get((origin, call.kin))
        session.parent.use()
        ledger.record(replace(_shifted(call, shift_s, self.board.began_s), index=index, kin=kin))
        if call.broke is not None:
            try:
                session.attachment.tell(call.broke)
            except Exception:  # noqa: BLE001 - a warning made an error, and no caller to raise into
                _log.exception("a break was told of, and raised")

    def times(self, began_at: float, ended_at: float) -> tuple[float, float]:
        """Seconds since 1970 on a worker as seconds since the run began, as far as clocks agree."""
        now_s = self.board.now_s()
        ended_s = min(now_s, ended_at - time.time() + now_s)
        return min(ended_s, max(0.0, ended_s - (ended_at - began_at))), ended_s


def _shifted(call: Call, shift_s: float, began_s: float) -> Call:
    """A call by this machine's clock: it began in this run, and has ended by now."""
    now = time.monotonic()
    delta = max(shift_s - (time.time() - now), began_s - call.started_s)
    delta = min(delta, now - call.ended_s)
    first = None if call.first_event_s is None else call.first_event_s + delta
    return replace(
        call,
        started_s=call.started_s + delta,
        first_event_s=first,
        ended_s=call.ended_s + delta,
    )
