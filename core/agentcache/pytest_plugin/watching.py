"""The fixture `prefix_cache`: what it watches, and what it finds at the end of the test."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import pytest

import agentcache
from agentcache.breaks import CacheBreak
from agentcache.breaks.values import Kind
from agentcache.errors import NothingToForkError, OptionError
from agentcache.ledger import Call, Ledger
from agentcache.locks import LockFile, Program, attached, fingerprint
from agentcache.pytest_plugin.shares import shares_of
from agentcache.pytest_plugin.tapes import Tape, tape_of
from agentcache.pytest_plugin.verdicts import Broken, Verdict
from agentcache.recordings import Form, read
from agentcache.rules import rule_for
from agentcache.usage import Usage

if TYPE_CHECKING:
    from agentcache.loopback import Logged, Loopback

__all__ = ["PrefixCache", "configured"]

T = TypeVar("T")
_KINDS: Final = get_args(Kind)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What is watched, the ledger that its calls are in by now, and how many do not count."""

    subject: object
    ledger: Callable[[], Ledger]
    since: int = 0


class PrefixCache:
    """Watches the calls of a test; the test fails if its agents' prefix broke.

    Watch programs that agentcache knows by `wrap` or `observe`, ledgers by `watch`, anything that
    calls the loopback provider by `provider`, what was recorded by `recording`, and single requests
    by `request`. Counted are breaks that the bytes show, not misses that may be the provider's.
    """

    def __init__(self, test: str, lock_path: Path) -> None:
        """Made by the fixture, for one test."""
        self._test = test
        self._lock_path = lock_path
        self._watched: list[_Watched] = []
        self._put_back: list[object] = []
        self._by_hand: Tape | None = None
        self._locks: list[Program] = []
        self._least = 0
        self._ignore: tuple[str, ...] = ()
        self._apart: tuple[str, ...] = ()
        self._provider: str | None = None

    def configure(
        self,
        *,
        min_shared_tokens: int | None = None,
        ignore: Iterable[str] | None = None,
        apart: Iterable[str] | None = None,
        provider: str | None = None,
    ) -> None:
        """Set options, as `@pytest.mark.prefix_cache` does; what is None stays as it is.

        Args:
            min_shared_tokens: Every agent must share that many tokens with another one; an agent
                that is all alone, between its own calls.
            ignore: Kinds of breaks that do not count, such as `timestamp`.
            apart: Names of agents that need not share.
            provider: Row id or provider name in the rules, where the model's name does not tell.

        Raises:
            OptionError: an option that cannot be had.

        """
        if min_shared_tokens is not None:
            whole = isinstance(min_shared_tokens, int) and min_shared_tokens >= 0  # pyright: ignore[reportUnnecessaryIsInstance]
            if not whole:
                raise OptionError(f"min_shared_tokens={min_shared_tokens!r} is no count of tokens.")
            self._least = min_shared_tokens
        if ignore is not None:
            self._ignore = _names(ignore)
            unknown = [kind for kind in self._ignore if kind not in _KINDS]
            if unknown:
                raise OptionError(
                    f"ignore={unknown[0]!r} is no kind of break. Kinds: {', '.join(_KINDS)}."
                )
        if apart is not None:
            self._apart = _names(apart)
        if provider is not None:
            rule_for("", provider=provider)  # raises for one that is unknown
            self._provider = provider

    def wrap(self, x: T, **options: Any) -> T:
        """`agentcache.wrap`, watched; restored at the end of the test.

        What was wrapped before is watched from here on, and stays wrapped.
        """
        return self._attach(agentcache.wrap, x, options)

    def observe(self, x: T, **options: Any) -> T:
        """`agentcache.observe`, watched: a program or an SDK client, of which nothing changes."""
        return self._attach(agentcache.observe, x, options)

    def watch(self, x: T, *, earlier: bool = True) -> T:
        """Watch a ledger, or an object that is wrapped or observed; returns it.

        With `earlier=False` calls that are in the ledger already do not count.

        Raises NothingToForkError or UnknownObjectError for what has no ledger.
        """
        ledgers = [x] if isinstance(x, Ledger) else [a.ledger for a in attached(x)]
        for ledger in {id(book): book for book in ledgers}.values():
            self._add(x, ledger, 0 if earlier else len(ledger.calls))
        return x

    def provider(
        self, running: "Loopback", *, agent: "str | Callable[[Logged], str] | None" = None
    ) -> None:
        """Watch all that a loopback provider receives: for programs that nothing wraps.

        `agent` tells the agents apart: the name of a header, or a function of a logged request.
        Otherwise their system texts do. Read at the end of the test: do not reset it before.
        """

        def heard() -> Ledger:
            return tape_of(running.log, agent, self._provider).ledger

        self._watched.append(_Watched(heard, heard))

    def recording(self, path: str | PathLike[str], *, form: Form | None = None) -> None:
        """Watch what was recorded in a file: a ledger, a cassette, spans; see `recordings.read`.

        Raises OptionError for a file that is no recording, MissingExtraError for YAML without
        PyYAML.
        """
        ledger = read(path, form=form).ledger(self._provider)
        self._add(ledger, ledger)

    def request(
        self,
        body: Mapping[str, Any],
        *,
        agent: str = "agent",
        usage: Mapping[str, Any] | Usage | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Add a request as it would be sent, in the order of sending; `body` is copied.

        Raises OptionError for what is no request to a model.
        """
        if self._by_hand is None:
            self._by_hand = Tape(self._provider)
            self._add(self._by_hand.ledger, self._by_hand.ledger)
        self._by_hand.add(body, agent=agent, usage=usage, headers=headers)

    def lock(self, name: str, x: object = None, *, with_text: bool = False) -> None:
        """Compare what agents share with what is locked under this name; fail if it changed.

        `x` is a wrapped object, a ledger or a session; without it, what is watched, if that is one
        thing. Looked at now: call it before the program runs, so that what is found while it runs
        is left out. `pytest --update-prefix-lock` writes it; `with_text` writes first words, too.
        """
        if x is None and len(self._watched) != 1:
            raise OptionError(
                f"prefix_cache.lock({name!r}) watches {len(self._watched)} things, not one. Say "
                f"which: prefix_cache.lock({name!r}, crew)."
            )
        subject: Any = self._watched[0].subject if x is None else x
        found = fingerprint(subject() if callable(subject) else subject)
        self._locks.append(Program(name, f"pytest:{self._test}", found, with_text))

    @property
    def breaks(self) -> tuple[CacheBreak, ...]:
        """The breaks so far that count."""
        return tuple(found.broke for found in self.verdict().broken)

    def verdict(self, *, update: bool = False) -> Verdict:
        """What there is to say by now; with `update` locks are given to be written."""
        books = [(watched.ledger(), watched.since) for watched in self._watched]
        calls = [call for book, since in books for call in book.calls[since:] if not call.error]
        broken = [found for book, since in books for found in _broken(book.calls, since)]
        shares = shares_of(calls)
        few = (s for s in shares if s.tokens < self._least and s.agent not in self._apart)
        return Verdict(
            watched=bool(calls or self._locks),
            calls=len(calls),
            broken=tuple(found for found in broken if found.broke.kind not in self._ignore),
            little=tuple(few),
            shares=shares,
            least=self._least,
            unlocked=() if update else tuple(self._unlocked()),
            locks=[str(program) for program in self._locks] if update else [],
        )

    def close(self) -> None:
        """Restore what was wrapped here."""
        while self._put_back:
            agentcache.unwrap(self._put_back.pop())

    def _attach(self, make: Callable[..., T], x: T, options: Mapping[str, Any]) -> T:
        wishes = {"provider": self._provider, **options} if self._provider else dict(options)
        if _is_attached(x):
            return self.watch(make(x, **wishes), earlier=False)
        given = wishes.get("ledger")
        # A ledger of our own stays in memory: with its requests, it can be locked block by block.
        book = given if isinstance(given, Ledger) else Ledger(given, content=given is None)
        forked = make(x, **{**wishes, "ledger": book})
        self._put_back.append(forked)
        self._add(forked, book, len(book.calls))
        return forked

    def _add(self, subject: object, ledger: Ledger, since: int = 0) -> None:
        self._watched.append(_Watched(subject, lambda: ledger, since))

    def _unlocked(self) -> Iterator[str]:
        if not self._locks:
            return
        lock = LockFile.read(self._lock_path)
        for program in self._locks:
            told = lock.differences(program)
            if told:
                yield _told(lock, program, told)


def configured(watch: PrefixCache, mark: pytest.Mark) -> None:
    """Set options as a mark asks for them, which nothing has looked at yet.

    Raises OptionError for one that does not exist or cannot be had.
    """
    known = list(signature(watch.configure).parameters)
    every = f"Options: {', '.join(known)}."
    if mark.args:
        raise OptionError(f"{mark.args[0]!r} is given without the name of its option. {every}")
    for name in mark.kwargs:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise OptionError(f"there is no option {name}. {meant}{every}")
    watch.configure(**mark.kwargs)


def _told(lock: LockFile, program: Program, differences: Iterable[str]) -> str:
    locked = lock.programs.get(program.name)
    other = "" if locked is None or locked.source == program.source else locked.source
    return "\n".join(
        [
            f"not as locked: {program.name!r} differs from {lock.path.name}",
            *(f"   {line}" for line in differences),
            *([f"It was locked by {other}: two programs need two names."] if other else []),
            f"If this is meant: pytest --update-prefix-lock {program.source.partition(':')[2]!r}",
        ]
    )


def _is_attached(x: object) -> bool:
    try:
        return bool(attached(x))
    except NothingToForkError:
        return False


def _broken(calls: Sequence[Call], since: int) -> Iterator[Broken]:
    """What broke, as the bytes show; a miss alone may be the provider's."""
    known = {call.index: call for call in calls}
    for call in calls[since:]:
        if call.broke is not None and call.broke.source == "bytes":
            kin = None if call.kin is None else known.get(call.kin)
            yield Broken(call.broke, call, kin, len(calls))


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
