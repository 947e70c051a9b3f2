"""A recording: calls from one file, with what broke among them, and the report on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agentcache.breaks import CacheBreak
from agentcache.dialects import dialect_of
from agentcache.errors import OptionError
from agentcache.ledger import Ledger
from agentcache.recordings.judging import Judge, stands_alone
from agentcache.recordings.values import Form, Recorded

__all__ = ["Recording"]

_AS_SENT = ("agentcache", "har", "vcr")


@dataclass(frozen=True)
class Recording:
    """The calls in a file, in the order they were made, each with its agent.

    `form` is what the file is. `others` counts what it holds besides (other requests, spans that
    are no call to a model), `unread` the lines and entries that could not be read; `cause` says why
    the first of those could not.
    """

    path: Path
    form: Form
    calls: tuple[Recorded, ...]
    others: int = 0
    unread: int = 0
    cause: str = ""

    def __iter__(self) -> Iterator[Recorded]:
        """Go through the calls."""
        return iter(self.calls)

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self.calls)

    @property
    def exact(self) -> bool:
        """Whether the requests are those that were sent; other recorders rebuild them."""
        return self.form in _AS_SENT

    @cached_property
    def _marked(self) -> bool:
        """Whether marks are known: in what was sent, or where a recorder kept one."""
        return self.exact or any(map(_has_mark, self.calls))

    def breaks(self, provider: str | None = None) -> tuple[CacheBreak, ...]:
        """What broke, in the order of the calls. See `ledger`."""
        return self.ledger(provider).breaks

    def ledger(self, provider: str | None = None) -> Ledger:
        """The calls as a ledger, each compared with the latest of its agent.

        `provider` names the rules where model and host do not. Lines of agentcache's own ledgers
        keep what was found as they were written, unless a provider is named and they hold content.

        Raises:
            OptionError: a `provider` that no row names.

        """
        judge = Judge(self.exact, self._marked, provider)
        ledger = Ledger(content=any(call.request for call in self.calls))
        for number, recorded in enumerate(self.calls):
            ledger.answered(recorded.answer_id, recorded.fingerprint)
            ledger.record(judge.call(recorded, number))
        ledger.note(*self.remarks())
        return ledger

    def remarks(self) -> tuple[str, ...]:
        """What a reader should know beside the calls."""
        empty = sum(not c.request and c.call is None for c in self.calls)
        chained = sum(bool(c.request) and not stands_alone(c.request) for c in self.calls)
        lost = f"{self.unread} line(s) or entries could not be read. The first: {self.cause}."
        said = (
            (self.unread, lost),
            (empty, f"{empty} call(s) were recorded without their content: {_EMPTY}"),
            (chained, f"{chained} call(s) go on from what a server holds: they are not compared."),
        )
        return tuple(text for count, text in said if count)


_EMPTY = "they are not compared. Switch the recorder's content on, on a machine that may hold it."


def _has_mark(call: Recorded) -> bool:
    try:
        blocks = dialect_of(call.request).hashed(call.request)
    except OptionError:
        return False
    return any(block.mark for block in blocks)
