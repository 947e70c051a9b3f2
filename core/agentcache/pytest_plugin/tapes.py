"""A tape: the calls of a program that nobody wrapped, compared as if it had been."""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from agentcache.blocks import prints
from agentcache.breaks import Lookout, Seen
from agentcache.dialects import dialect_of
from agentcache.ledger import Call, Ledger
from agentcache.pytest_plugin.speakers import speakers
from agentcache.rules import rule_for
from agentcache.usage import Usage

if TYPE_CHECKING:
    from agentcache.loopback import Logged

__all__ = ["Tape", "tape_of"]

_CHAINED = ("previous_response_id", "conversation")


class Tape:
    """Writes calls into a ledger of its own, with their requests; nothing goes to a file."""

    def __init__(self, provider: str | None = None) -> None:
        """Have seen nothing; `provider` names the rules where the model's name does not."""
        self.ledger = Ledger(content=True)
        self._provider = provider
        self._lookout = Lookout()

    def add(
        self,
        request: Mapping[str, Any],
        *,
        agent: str,
        usage: Mapping[str, Any] | Usage | None = None,
        headers: Mapping[str, str] | None = None,
        times_s: tuple[float, float] | None = None,
    ) -> None:
        """Add a call and compare it with what its agent sent before.

        Raises OptionError for what is no request to a model.
        """
        wire = dialect_of(request)
        model = str(request.get("model") or request.get("modelId") or "")
        rule = rule_for(model, provider=self._provider)
        used = usage if isinstance(usage, Usage) else Usage.from_payload(usage)
        started_s, ended_s = times_s or (time.monotonic(),) * 2
        kept = deepcopy(dict(request))
        number = self.ledger.claim()
        seen = Seen(wire, rule, agent, kept, headers or {}, used, started_s, ended_s, number)
        broke, kin = self._lookout.look(seen)
        blocks = wire.hashed(kept)
        sent = prints(b for b in blocks if b.section != "params" or b.path not in rule.varies)
        self.ledger.record(
            Call(
                agent=agent,
                model=model,
                rule_id=rule.id,
                session="",
                forked=False,
                reason="not wrapped",
                place="ungated",
                usage=used,
                sent=sent,
                original=sent,
                started_s=started_s,
                first_event_s=None,
                ended_s=ended_s,
                index=number,
                kin=kin,
                broke=broke,
                request=kept,
            )
        )


def tape_of(
    log: "Sequence[Logged]",
    named: "str | Callable[[Logged], str] | None" = None,
    provider: str | None = None,
) -> Tape:
    """A tape of what a loopback provider received and answered.

    Requests that go on from a response the server holds are left out: they do not show what they
    stand on.
    """
    tape = Tape(provider)
    heard = [r for r in log if r.api != "other" and r.status == _OK and not _chained(r)]
    for logged, agent in zip(heard, _agents(heard, named), strict=True):
        usage = Usage(
            logged.input_tokens,
            logged.cached_tokens,
            logged.cache_write_tokens,
            logged.output_tokens,
        )
        ended_s = logged.started_s if logged.ended_s is None else logged.ended_s
        tape.add(
            logged.body,
            agent=agent,
            usage=usage,
            headers=logged.headers,
            times_s=(logged.started_s, ended_s),
        )
    return tape


_OK = 200


def _chained(logged: "Logged") -> bool:
    return any(logged.body.get(key) for key in _CHAINED)


def _agents(
    heard: "Sequence[Logged]", named: "str | Callable[[Logged], str] | None"
) -> Sequence[str]:
    guessed = speakers([(dialect_of(r.body), r.body) for r in heard])
    if named is None:
        return guessed
    if isinstance(named, str):
        key = named.lower()
        told = [logged.headers.get(key, "") for logged in heard]
    else:
        told = [named(logged) for logged in heard]
    return [name or guess for name, guess in zip(told, guessed, strict=True)]
