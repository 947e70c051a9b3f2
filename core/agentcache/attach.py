"""What core keeps beside a wrapped object, and what it hands to an adapter."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agentcache.errors import AgentcacheWarning
from agentcache.gate import Gate
from agentcache.ledger import Ledger
from agentcache.parent import Parent
from agentcache.sessions import Session
from agentcache.talks import opening
from agentcache.worth import Sample, would_cost_more

__all__ = ["Adapter", "Attachment", "Options"]

_AS_IS = "as_is: layout='as_is' leaves every request as the program made it"


@dataclass(frozen=True, slots=True)
class Options:
    """The wishes given to `wrap`, checked; adapters read them and decide nothing about caching."""

    system: str
    context: tuple[str, ...] = ()
    session: Session | None = None
    layout: Literal["auto", "fork", "as_is"] = "auto"
    strict: bool = False
    guard: bool = True
    provider: str | None = None
    ttl: str | None = None
    hoist: bool = True
    preflight: Literal["ask", "local"] = "ask"
    gate: Gate = field(default_factory=Gate)
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(slots=True)
class Attachment:
    """What wrapping one object made: a session per cache domain, one ledger, one gate."""

    options: Options
    sessions: list[Session] = field(default_factory=list[Session])

    @property
    def ledger(self) -> Ledger:
        """Where the calls are recorded."""
        return self.options.ledger

    def open(self, parent: Parent, samples: Sequence[Sample], *, judge: bool = True) -> Session:
        """Open the session of one cache domain, as the layout asks.

        `samples` are the conversations it will hold. Without `judge` it is not asked whether
        forking these alone would cost more: others are to join.
        """
        options = self.options
        session = Session(
            parent,
            leave=_AS_IS if options.layout == "as_is" else "",
            hoist=options.hoist,
            announce=None if options.strict else self.announce,
        )
        self.sessions.append(session)
        self.foresee(session, samples, judge=judge)
        return session

    def join(self, session: Session, samples: Sequence[Sample]) -> None:
        """Let more conversations stand on a session."""
        if session not in self.sessions:
            self.sessions.append(session)
        self.foresee(session, samples, judge=False)

    def foresee(self, session: Session, samples: Sequence[Sample], *, judge: bool) -> None:
        """Look at conversations to come: share what they carry, and judge whether that pays.

        A session once found too dear is forked again when what it will hold turns out otherwise.
        """
        if self.options.hoist and self.options.layout != "as_is":
            split = session.parent.dialect.split
            for tokens, uses in session.learn([opening(split(s.request)) for s in samples]):
                self.ledger.note(
                    f"Found: about {tokens:,} tokens that {uses} conversations carry word for "
                    "word are sent once, in front (hoist=False turns this off)."
                )
        if judge and self.options.layout == "auto":
            session.leave(would_cost_more(session, samples))

    def expect(self, session: Session, text: str, readers: Sequence[Sequence[str]]) -> None:
        """Say that conversations to come will carry this text, such as an answer handed on.

        `readers` are the texts that each of them says besides.
        """
        if self.options.hoist and session.expect(text, readers):
            self.ledger.note(
                f"Found: an answer of {len(text):,} characters is handed to {len(readers)} "
                "conversations; those that stand together read it from one place in front."
            )

    def announce(self, text: str) -> None:
        """Say something that changes the bill, now and in the report."""
        self.ledger.note(text)
        warnings.warn(text, AgentcacheWarning, stacklevel=2)


class Adapter(Protocol):
    """What an adapter module offers, as module-level functions."""

    def wrap(self, x: object, options: Options) -> object:
        """Fork every model in `x`; return the object to use from now on."""
        ...

    def unwrap(self, x: object) -> object:
        """Restore `x` exactly."""
        ...

    def attachments(self, x: object) -> Sequence[Attachment]:
        """What `wrap` attached to `x`; empty if it is not wrapped."""
        ...
