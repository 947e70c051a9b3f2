"""What core keeps beside a wrapped object, and what it hands to an adapter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agentcache.gate import Gate
from agentcache.ledger import Ledger
from agentcache.parent import Parent
from agentcache.sessions import Session
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

    def open(self, parent: Parent, samples: Sequence[Sample]) -> Session:
        """Open the session of one cache domain, as the layout asks; say so if it is left alone."""
        layout = self.options.layout
        session = Session(parent, leave=_AS_IS if layout == "as_is" else "")
        if layout == "auto":
            dearer = would_cost_more(session, samples)
            if dearer:
                session.leave(dearer)
        self.sessions.append(session)
        return session


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
