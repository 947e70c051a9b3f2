"""One call on its way, from the request that was made to the line in the ledger."""

import logging
import time
from collections.abc import Generator, Hashable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, field
from typing import Final, Protocol

from agentcache.attach import Attachment
from agentcache.breaks import CacheBreak, Seen
from agentcache.breaks.vendors import Verdict, unasked
from agentcache.gate import Pass
from agentcache.ledger import Call
from agentcache.rewrites import Rewrite
from agentcache.sessions import Session
from agentcache.usage import Usage

__all__ = ["Flight", "Tally"]

_log = logging.getLogger("agentcache")
_ANSWERS: Final = ("msg_", "resp_")
"""Answers that a provider can be asked about begin so."""


class Tally(Protocol):
    """What an answer said, whole or in pieces: its usage, and the provider's signs on it."""

    @property
    def usage(self) -> Usage:
        """The usage."""
        ...

    @property
    def signs(self) -> Sequence[str]:
        """Ids and fingerprints."""
        ...

    @property
    def verdict(self) -> Verdict | None:
        """What the provider said of the prefix, if it was asked."""
        ...


@dataclass(slots=True)
class Flight:
    """One call on its way: who speaks, what became of its request, and what it took.

    `reason` says why it is no fork, where no rewrite does. Times are `time.monotonic()` seconds.
    """

    attachment: Attachment
    session: Session
    agent: str
    rewrite: Rewrite | None = None
    reason: str = ""
    usage: Usage = field(default_factory=Usage)
    held: Pass | None = None
    answer_id: str = ""
    verdict: Verdict | None = None
    started_s: float = 0.0
    first_event_s: float | None = None

    @property
    def forked(self) -> bool:
        """Whether its request goes out as a fork."""
        return self.rewrite is not None and self.rewrite.forked

    def enter(self, keys: Sequence[Hashable]) -> AbstractContextManager[Pass]:
        """The gate, for a call that shares these prefixes, the shortest first; open for none."""
        if not keys:
            return nullcontext(self.ungated())
        return self.attachment.options.gate.enter(keys[-1], self.session.terms, keys[:-1])

    def aenter(self, keys: Sequence[Hashable]) -> AbstractAsyncContextManager[Pass]:
        """Async twin of `enter`."""
        if not keys:
            return nullcontext(self.ungated())
        return self.attachment.options.gate.aenter(keys[-1], self.session.terms, keys[:-1])

    def event(self) -> None:
        """The response has begun."""
        if self.first_event_s is None:
            self.first_event_s = time.monotonic()
            if self.held is not None:
                self.held.first_event()

    @contextmanager
    def sending(self, held: Pass, tally: Tally) -> Generator[None]:
        """Record the call when it ends, however it ends; `tally` knows by then what it used."""
        self.held, self.started_s = held, time.monotonic()
        error = ""
        try:
            yield
        except GeneratorExit:
            error = "closed"
            raise
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            self._hear(tally)
            self.land(error)

    def _hear(self, tally: Tally) -> None:
        """Take what the answer said."""
        try:
            self.usage = tally.usage
            self.answer_id = next((s for s in tally.signs if s.startswith(_ANSWERS)), "")
            self.verdict = tally.verdict
            self.attachment.ledger.answered(*tally.signs)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not read what a call used; the program goes on")

    def land(self, error: str = "") -> None:
        """Record the call, as it ended. Raises into the host only a warning made an error."""
        broke = None
        try:
            broke = self._record(error)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not record a call of %r", self.agent)
        if broke is not None:
            self.attachment.tell(broke)  # last: a warning may be an error

    def _look(self, number: int, ended_s: float) -> tuple[CacheBreak | None, int | None]:
        """What broke, and the number of the call that this one was compared with."""
        rewrite, parent = self.rewrite, self.session.parent
        if rewrite is None or not rewrite.request:
            return None, None
        try:
            seen = Seen(
                parent.dialect,
                parent.rule,
                self.agent,
                rewrite.request,
                rewrite.headers,
                self.usage,
                self.started_s,
                ended_s,
                number,
                self.forked,
                rewrite.original,
                self.answer_id,
                parent.domain.place,
                moved=bool(rewrite.moved),
            )
            asked = rewrite.asked is not None
            return self.attachment.look(seen, self.verdict if asked else unasked(self.verdict))
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not compare a call; the program goes on")
            return None, None

    def _record(self, error: str) -> CacheBreak | None:
        rewrite, held = self.rewrite, self.held or self.ungated()
        ended_s, ledger = time.monotonic(), self.attachment.ledger
        number = ledger.claim()
        broke, kin = (None, None) if error else self._look(number, ended_s)
        call = Call(
            agent=self.agent,
            model=self.session.domain.model,
            rule_id=self.session.parent.rule.id,
            session=self.session.affinity_id,
            forked=self.forked,
            reason=rewrite.reason if rewrite is not None else self.reason,
            place=held.role,
            usage=self.usage,
            sent=rewrite.sent if rewrite is not None else (),
            original=rewrite.original if rewrite is not None else (),
            started_s=self.started_s,
            first_event_s=self.first_event_s,
            ended_s=ended_s,
            waited_s=held.waited_s,
            error=error,
            index=number,
            kin=kin,
            broke=broke,
            request=rewrite.request if rewrite is not None else None,
            saved=rewrite.saved if rewrite is not None else 0,
            moved=rewrite.moved if rewrite is not None else "",
        )
        ledger.record(call)
        if call.sent and not error and unasked(self.verdict) is None:
            self.session.printer.counted(
                sum(p.weight for p in call.sent), self.usage.input_tokens or 0
            )
        self.attachment.judge(self.session, call)
        return broke

    def ask(self) -> Rewrite | None:
        """What is to be sent, with a question to the provider if one is asked for."""
        if self.rewrite is not None:
            self.rewrite = self.attachment.asking(self.session, self.agent, self.rewrite)
        return self.rewrite

    def ungated(self) -> Pass:
        """A pass for a call that waits for nobody."""
        return Pass("ungated", self.session.key, self.session.terms, time.monotonic())
