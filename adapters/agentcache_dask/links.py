"""What a worker says to the desk, and what it hears from there."""

import asyncio
import json
import pickle
import threading
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from distributed import Worker

from agentcache.blocks import dumps
from agentcache.dialects import Json
from agentcache.graphs.budgets import Purse, cost_usd
from agentcache.graphs.doing import Till
from agentcache.graphs.store import Journal
from agentcache.ledger import Call, Ledger
from agentcache.rules import Rule
from agentcache.usage import Usage
from agentcache_dask.desk import OP, Entry

__all__ = ["HomeLedger", "Link", "till_of"]

_TRIES: Final = 3
_AGAIN_S: Final = 0.2
_FLUSH_S: Final = 0.005


class Link:
    """One run's line from this worker process to its desk; safe to use from any thread."""

    def __init__(self, worker: Worker, run: str) -> None:
        """Say nothing yet."""
        self.run = run
        self.address = str(worker.address)
        self._worker = worker
        self._lock = threading.Lock()
        self._said: list[Entry] = []
        self._due = False

    def ask(self, do: str, **what: Any) -> Any:
        """Ask the desk, and wait for what it answers; a line that breaks is tried again."""
        return asyncio.run_coroutine_threadsafe(self.aask(do, **what), self._loop).result()

    async def aask(self, do: str, **what: Any) -> Any:
        """Ask from the worker's own loop."""
        tried = 0
        while True:
            try:
                return await getattr(self._worker.scheduler, OP)(do=do, **what)
            except OSError:
                tried += 1
                if tried >= _TRIES:
                    raise
            await asyncio.sleep(_AGAIN_S * tried)

    def soon(self, do: str, **what: Any) -> None:
        """Say something to the desk that nobody waits for."""
        made: Coroutine[Any, Any, Any] = self.aask(do, **what)
        asyncio.run_coroutine_threadsafe(made, self._loop)

    def note(self, *entry: Any) -> None:
        """Say something with the next words, whenever they go."""
        with self._lock:
            self._said.append(entry)

    def say(self, *entry: Any) -> None:
        """Say something soon, together with what else is said by then."""
        with self._lock:
            self._said.append(entry)
            due, self._due = self._due, True
        if not due:
            self._loop.call_soon_threadsafe(self._loop.call_later, _FLUSH_S, self._flush)

    def take(self) -> list[Entry]:
        """What is to be said, to go with something else."""
        with self._lock:
            said, self._said = self._said, []
        return said

    def _flush(self) -> None:
        with self._lock:
            self._due = False
        said = self.take()
        if said:
            self._worker.batched_send({"op": OP, "run": self.run, "entries": said})

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        untyped: Any = self._worker.loop
        loop: asyncio.AbstractEventLoop = untyped.asyncio_loop
        return loop


class HomeLedger(Ledger):
    """A ledger whose calls go home: they are recorded where the graph was started."""

    def __init__(self, link: Link, session: int, *, content: bool) -> None:
        """Hold nothing; `session` is the number of the session in the plan."""
        super().__init__(content=content)
        self._link, self._session = link, session
        self._origin = f"{link.address} {uuid.uuid4().hex[:8]}"
        self._here = count()

    def claim(self) -> int:
        """The index of a call, among those of this process."""
        return next(self._here)

    def record(self, call: Call) -> None:
        """Send a call home; its clock goes along."""
        kept = call if self.content else replace(call, request=None)
        shift_s = time.time() - time.monotonic()
        made = pickle.dumps(kept)
        self._link.note("call", self._session, self._origin, shift_s, self.source, made)

    def note(self, *lines: str) -> None:
        """Send notes home."""
        for line in lines:
            self._link.note("noted", self._session, line)


@dataclass(slots=True)
class _Answers:
    """A task's answers, at the desk."""

    link: Link
    task: str
    why: str = ""

    def answer(self, key: str, attempt: int, n: int, request: str) -> Json | None:
        """The answer that was paid for before."""
        place = (key, attempt, n, request)
        found, self.why = self.link.ask(
            "answer", run=self.link.run, task=self.task, place=place, entries=self.link.take()
        )
        return None if found is None else _json(found)

    def keep(self, key: str, attempt: int, n: int, request: str, answer: Json) -> None:
        """Keep an answer, with all that was said of its call."""
        self.link.ask(
            "keep",
            run=self.link.run,
            place=(key, attempt, n, request),
            answer=dumps(answer),
            entries=self.link.take(),
        )


class _FarPurse(Purse):
    """The purse of a run, which the desk holds."""

    def __init__(self, answers: _Answers) -> None:
        """Ask nobody yet."""
        super().__init__(None)
        self._answers = answers

    def why_not(self) -> str:
        """Why nothing more may be sent, as the desk said last."""
        return self._answers.why

    def pay(self, usage: Usage, rule: Rule, model: str) -> None:
        """Count a call."""
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self._answers.link.note("paid", cost_usd(usage, rule, model), tokens)


@dataclass(slots=True)
class _FarTill(Till):
    """A till whose payments go with the answers they were for, so that none is lost without it."""

    def after(self, request: Json, answer: Json, usage: Usage) -> None:
        """Pay, and keep an answer."""
        self.usages.append(usage)
        if self.session is not None:
            parent = self.session.parent
            self.purse.pay(usage, parent.rule, parent.domain.model)
        if self.journal is not None:
            self.journal.keep(self._places.pop(id(request)), answer)


def till_of(link: Link, task: str, key: str, attempt: int) -> Till:
    """The till of one try of a task."""
    answers = _Answers(link, task)
    return _FarTill(_FarPurse(answers), Journal(answers, key, attempt))


def _json(text: str) -> Json:
    made: Json = json.loads(text)
    return made
