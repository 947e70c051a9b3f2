"""A tape: the calls of a program that nobody wrapped, compared as a recording's are."""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentcache.dialects import dialect_of
from agentcache.ledger import Ledger
from agentcache.recordings import Recorded
from agentcache.recordings.judging import Judge
from agentcache.recordings.secrets import kept_headers
from agentcache.recordings.speakers import heard, speakers
from agentcache.usage import Usage

if TYPE_CHECKING:
    from agentcache.loopback import Logged

__all__ = ["Tape", "tape_of"]

_OK = 200


class Tape:
    """Writes calls into a ledger of its own, with their requests; nothing goes to a file."""

    def __init__(self, provider: str | None = None) -> None:
        """Have seen nothing; `provider` names the rules where the model's name does not."""
        self.ledger = Ledger(content=True)
        self._judge = Judge(exact=True, marked=True, provider=provider)

    def add(
        self,
        request: Mapping[str, Any],
        *,
        agent: str,
        usage: Mapping[str, Any] | Usage | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Add a call that is made now, and compare it with what its agent sent before.

        Raises OptionError for what is no request to a model.
        """
        dialect_of(request)
        now_s = time.monotonic()
        self.write(
            Recorded(
                deepcopy(dict(request)),
                usage if isinstance(usage, Usage) else Usage.from_payload(usage),
                agent,
                now_s,
                now_s,
                kept_headers((headers or {}).items()),
                model=str(request.get("model") or request.get("modelId") or ""),
            )
        )

    def write(self, recorded: Recorded) -> None:
        """Add a call."""
        self.ledger.record(self._judge.call(recorded, self.ledger.claim()))


def tape_of(
    log: "Sequence[Logged]",
    named: "str | Callable[[Logged], str] | None" = None,
    provider: str | None = None,
) -> Tape:
    """A tape of what a loopback provider received and answered.

    `named` tells whose a request is: a header's name, or a function. Where that says nothing, or is
    None, the system texts tell.
    """
    answered = [logged for logged in log if logged.api != "other" and logged.status == _OK]
    every = [_recorded(logged, _label(logged, named)) for logged in answered]
    told = [(recorded, found) for recorded in every if (found := heard(recorded)) is not None]
    names = speakers([found for _, found in told])
    tape = Tape(provider)
    for (recorded, _), name in zip(told, names, strict=True):
        tape.write(replace(recorded, agent=name))
    return tape


def _label(logged: "Logged", named: "str | Callable[[Logged], str] | None") -> str:
    if isinstance(named, str):
        return logged.headers.get(named.lower(), "")
    return "" if named is None else named(logged)


def _recorded(logged: "Logged", agent: str) -> Recorded:
    return Recorded(
        logged.body,
        Usage(
            logged.input_tokens,
            logged.cached_tokens,
            logged.cache_write_tokens,
            logged.output_tokens,
        ),
        agent,
        logged.started_s,
        logged.ended_s,
        kept_headers(logged.headers.items()),
        model=logged.model,
    )
