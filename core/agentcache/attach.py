"""What core keeps beside a wrapped object, and what it hands to an adapter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agentcache.gate import Gate
from agentcache.ledger import Ledger
from agentcache.sessions import Session

__all__ = ["Adapter", "Attachment", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The wishes given to `wrap`, checked; adapters read them and decide nothing about caching."""

    system: str
    context: tuple[str, ...] = ()
    session: Session | None = None
    layout: Literal["fork", "as_is"] = "fork"
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
