"""What broke in a recording: each call compared with what its agent sent before."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agentcache.breaks import CacheBreak, Lookout, Seen
from agentcache.breaks.vendors import merged, unasked
from agentcache.dialects import Dialect, dialect_of
from agentcache.errors import OptionError
from agentcache.ledger import Call
from agentcache.prints import Printer, Prints
from agentcache.recordings.values import Recorded
from agentcache.rules import Rule, rule_for
from agentcache.usage import Usage

__all__ = ["NOT_WRAPPED", "Judge", "stands_alone"]

NOT_WRAPPED: Final = "recorded: the program was not wrapped"
_CHAINED: Final = ("previous_response_id", "conversation")
_MISSES: Final = ("concurrent_cold", "evicted")


def stands_alone(request: Mapping[str, Any]) -> bool:
    """Whether a request shows all it stands on; one that goes on from a response does not."""
    return not any(request.get(key) for key in _CHAINED)


@dataclass(slots=True)
class Judge:
    """Compares recorded calls, one after the other, as they were made.

    With `exact` the requests are those that were sent. Elsewhere marks count only with `marked`,
    where a recorder is known to keep them, and a count that is missing may be the recorder's fault:
    neither is held against a program. `provider` names the rules where model and host do not.
    """

    exact: bool
    marked: bool
    provider: str | None = None
    _lookout: Lookout = field(default_factory=Lookout)
    _printer: Printer = field(default_factory=Printer)

    def call(self, recorded: Recorded, number: int) -> Call:
        """A recorded call as a line of a ledger, with what broke.

        A ledger's own line stays as it was judged, unless a provider is named and content is there.
        Raises OptionError for a provider that no row names.
        """
        own = recorded.call
        rule = rule_for(recorded.model, recorded.base_url, self.provider)
        if own is not None and (self.provider is None or not recorded.request):
            return own
        made = _plain(recorded, number, rule) if own is None else replace(own, rule_id=rule.id)
        wire = _wire(recorded)
        if wire is None:
            return made
        if own is None:
            sent = self._prints(wire, rule, recorded.request)
            made = replace(made, sent=sent, original=sent)
        broke, kin = self._look(wire, rule, recorded, made)
        told = own.broke if own is not None else None
        if broke is not None and broke.kind == "evicted" and told and told.source == "vendor":
            broke = told  # the answer is not kept: what was heard in it, is
        return replace(made, broke=broke, kin=kin)

    def _prints(self, wire: Dialect, rule: Rule, request: Mapping[str, Any]) -> Prints:
        blocks = wire.hashed(request)
        varies = [b for b in blocks if b.section == "params" and b.path in rule.varies]
        return self._printer(b for b in blocks if b not in varies)

    def _look(
        self, wire: Dialect, rule: Rule, recorded: Recorded, made: Call
    ) -> tuple[CacheBreak | None, int | None]:
        told = rule if self.marked else rule.model_copy(update={"marks": False})
        timed = recorded.at_s is not None
        now = Seen(
            wire,
            told,
            made.agent,
            recorded.request,
            recorded.headers,
            made.usage,
            made.started_s if timed else 0.0,
            made.ended_s if timed else 0.0,
            made.index,
            made.forked,
            place=recorded.base_url,
            timed=timed,
        )
        found, kin = self._lookout.judged(now)
        if found is not None and kin is not None:
            fair = self._is_fair(found, rule, kin, recorded)
            found = found if fair and not _is_other_talk(found, kin, now) else None
        found = merged(found, unasked(recorded.verdict), agent=made.agent, extends=False)
        return found, None if kin is None else kin.number

    def _is_fair(self, found: CacheBreak, rule: Rule, kin: Seen, recorded: Recorded) -> bool:
        """Whether a finding is the program's, and not what its recorder left out."""
        if found.kind == "usage_unreported":
            return self.exact and recorded.usage is not None
        if found.kind in _MISSES and rule.marks and not self.marked:
            return bool((kin.usage.cached_tokens or 0) + (kin.usage.cache_write_tokens or 0))
        return True


def _is_other_talk(found: CacheBreak, kin: Seen, now: Seen) -> bool:
    """Whether an edit is none: two conversations of one agent that have nothing in common."""
    if found.section != "messages" or found.kind not in ("message_edited", "text_edit"):
        return False
    return not _said(kin) & _said(now)


def _said(seen: Seen) -> set[bytes]:
    """What a program said in a conversation; what a model answers may be the same in any."""
    blocks = seen.wire.hashed({seen.wire.messages_key: seen.wire.split(seen.request).messages})
    return {b.identity for b in blocks if b.role != "assistant" or '"tool' in b.json}


def _wire(recorded: Recorded) -> Dialect | None:
    """The dialect of a call that can be compared; None for one that cannot."""
    if recorded.error or not recorded.request or not stands_alone(recorded.request):
        return None
    try:
        return dialect_of(recorded.request)
    except OptionError:
        return None


def _plain(recorded: Recorded, number: int, rule: Rule) -> Call:
    at_s = recorded.at_s or 0.0
    return Call(
        agent=recorded.agent,
        model=recorded.model,
        rule_id=rule.id,
        session="recorded",
        forked=False,
        reason=NOT_WRAPPED,
        place="ungated",
        usage=recorded.usage or Usage(),
        sent=(),
        original=(),
        started_s=at_s,
        first_event_s=None,
        ended_s=at_s if recorded.ended_s is None else recorded.ended_s,
        error=recorded.error,
        index=number,
        request=recorded.request or None,
    )
