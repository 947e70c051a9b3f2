"""What core keeps beside a wrapped object, and what it hands to an adapter."""

import logging
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

from agentcache.blocks import dumps
from agentcache.breaks import CacheBreak, Lookout, Seen
from agentcache.breaks.telemetry import emit
from agentcache.breaks.vendors import Verdict, asking, merged
from agentcache.compaction import Compaction, ContentStore, MemoryStore
from agentcache.dialects import Json
from agentcache.errors import AgentcacheWarning, CacheBreakWarning
from agentcache.gate import Gate
from agentcache.ledger import Call, Ledger
from agentcache.parent import Parent
from agentcache.readings import Reader
from agentcache.rewrites import Rewrite
from agentcache.sessions import Session
from agentcache.talks import opening
from agentcache.usage import Usage
from agentcache.worth import Agent, Sample, talk_would_cost_more, would_cost_more

__all__ = ["CHAT_LAYOUTS", "CHAT_OPTIONS", "Adapter", "Attachment", "Layout", "Options"]

Layout = Literal["auto", "fork", "tail", "roster", "as_is"]
CHAT_LAYOUTS: Final = ("tail", "roster")
CHAT_OPTIONS: Final = ("history", "private_traces", "private_prompts")
"""Wishes about group chats; an adapter that has them says so by `CHATS = True`."""

_log = logging.getLogger("agentcache")
_ENOUGH = 6
"""Forks after which the bill says more than what was expected of it."""
_DEARER = 1.1
_AS_IS = "as_is: layout='as_is' leaves every request as the program made it"


@dataclass(frozen=True, slots=True)
class Options:
    """The wishes given to `wrap`, checked; adapters read them and decide nothing about caching."""

    system: str
    context: tuple[str, ...] = ()
    session: Session | None = None
    layout: Layout = "auto"
    strict: bool = False
    guard: bool = True
    provider: str | None = None
    ttl: str | None = None
    hoist: bool = True
    preflight: Literal["ask", "local"] = "ask"
    tools: Literal["auto", "union"] = "auto"
    history: Literal["own", "group"] = "own"
    private_traces: Literal["tail", "drop"] = "tail"
    private_prompts: bool = False
    gate: Gate = field(default_factory=Gate)
    ledger: Ledger = field(default_factory=Ledger)
    on_break: Callable[[CacheBreak], object] | Literal["warn"] | None = None
    diagnostics: bool = False
    compact: Compaction | None = None
    store: ContentStore = field(default_factory=MemoryStore)

    @property
    def kept_in(self) -> ContentStore:
        """Where originals are kept: a session that is joined may have another store."""
        compactor = None if self.session is None else self.session.compactor
        return self.store if compactor is None else compactor.store


class Watch:
    """Keeps the bill of what is forked beside what the program alone would have paid."""

    def __init__(self) -> None:
        """Nothing is forked yet."""
        self._reader = Reader()
        self._lock = threading.RLock()  # a collector may end a stream in here
        self._calls = 0
        self._paid = self._plain = 0.0

    def dearer(self, call: Call) -> str:
        """Say that forking costs more, once enough calls have shown it; empty if not."""
        with self._lock:
            reading = self._reader.read(call)
            if reading is None or reading.cost is None:
                return ""
            self._calls += call.forked
            self._paid += reading.cost
            self._plain += reading.unshared_cost
            if self._calls < _ENOUGH or self._paid <= _DEARER * self._plain:
                return ""
            return (
                f"dearer: after {self._calls} forks the input had cost about {self._paid:,.0f} "
                f"token equivalents, the program alone about {self._plain:,.0f} (estimated). "
                "Conversations that begin now are left alone; layout='fork' forks all the same."
            )


@dataclass(slots=True)
class Attachment:
    """What wrapping one object made: a session per cache domain, one ledger, one gate.

    `compact` says when to compact, where the program's own limits say more than the options.
    """

    options: Options
    sessions: list[Session] = field(default_factory=list[Session])
    watch: Watch = field(default_factory=Watch)
    lookout: Lookout = field(default_factory=Lookout)
    compact: Compaction | None = None

    @property
    def store(self) -> ContentStore:
        """Where compaction keeps originals: the store of a session that was joined, if any."""
        return self.options.kept_in

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
        self._add(session)
        self.foresee(session, samples, judge=judge)
        return session

    def join(self, session: Session, samples: Sequence[Sample]) -> None:
        """Let more conversations stand on a session."""
        if session not in self.sessions:
            self._add(session)
        self.foresee(session, samples, judge=False)

    def _add(self, session: Session) -> None:
        options = self.options
        self.sessions.append(session)
        wish = self.compact or options.compact
        if wish is not None:
            session.compacts(wish, options.store, self.ledger.note)

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

    def meet(self, session: Session, agents: Sequence[Agent], history: Sequence[Json]) -> None:
        """Before the first call: leave agents alone whom it would cost more to talk as forks.

        `history` is what they all read first.
        """
        named = session.parent.context  # by hand: to leave it out would change the program
        if agents and not named and not session.used and self.options.layout == "auto":
            tokens = sum(session.printer.weigh(dumps(row)) for row in history)
            session.leave(session.left or talk_would_cost_more(session, agents, tokens))

    def expect(self, session: Session, text: str, readers: Sequence[Sequence[str]]) -> None:
        """Say that conversations to come will carry this text, such as an answer handed on.

        `readers` are the texts that each of them says besides.
        """
        if self.options.hoist and session.expect(text, readers):
            self.ledger.note(
                f"Found: an answer of {len(text):,} characters is handed to {len(readers)} "
                "conversations; those that stand together read it from one place in front."
            )

    def judge(self, session: Session, call: Call) -> None:
        """Leave the session's next conversations alone if forking turns out to cost more.

        Never raises into the host, as recording does not.
        """
        if self.options.layout != "auto" or session.left or session.parent.context:
            return  # what is named by hand is not in the program's own requests
        try:
            reason = self.watch.dearer(call)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not read what a call cost; the program goes on")
            return
        if reason:
            session.leave(reason)
            self.ledger.note(reason)

    def asking(self, session: Session, agent: str, rewrite: Rewrite) -> Rewrite:
        """A fork's request with a question to its provider, if `diagnostics` are asked for.

        Compatible hosts refuse it with 400: elsewhere only a `provider` given by name is asked.
        """
        parent = session.parent
        there = self.options.provider or parent.rule.serves(parent.domain.base_url)
        if not self.options.diagnostics or not rewrite.forked or not there:
            return rewrite
        now = time.monotonic()
        kin = self.lookout.nearest(
            Seen(
                parent.dialect,
                parent.rule,
                agent,
                rewrite.request,
                {},
                Usage(),
                now,
                now,
                forked=True,
                place=parent.domain.place,
                moved=bool(rewrite.moved),
            )
        )
        told = "" if kin is None else kin.answer_id
        request = asking(parent.rule, parent.dialect.name, rewrite.request, told)
        return replace(rewrite, request=request, asked=None if kin is None else kin.number)

    def look(
        self, seen: Seen, verdict: Verdict | None = None
    ) -> tuple[CacheBreak | None, int | None]:
        """What broke with a call, and the number of the call that it was compared with.

        `verdict` is the provider's own, on those two.
        """
        found, kin = self.lookout.judged(seen)
        if verdict is not None:
            extends = self.lookout.extends(seen.agent, seen.number, kin)
            found = merged(found, verdict, agent=seen.agent, extends=extends)
        return found, None if kin is None else kin.number

    def tell(self, found: CacheBreak) -> None:
        """Say what broke. A listener's own errors are logged; a warning may be one, if asked."""
        listener = self.options.on_break
        try:
            emit(found)
            if listener is not None and listener != "warn":
                listener(found)
        except Exception:  # noqa: BLE001 - listening never breaks the host
            _log.exception("on_break or a tracer raised; the program goes on")
        if listener == "warn":
            said = found if self.ledger.content else found.bare()
            warnings.warn(str(said), CacheBreakWarning, stacklevel=2)

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
