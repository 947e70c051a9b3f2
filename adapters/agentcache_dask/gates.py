"""The gate of a worker: one cold call per prefix, among all workers of a cluster."""

import uuid
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from typing import Final

from agentcache.gate import Gate, Pass, Terms
from agentcache_dask.links import Link

__all__ = ["SharedGate"]

_POLL_S: Final = 5.0
"""How long the desk keeps a question before it says to ask again."""


class SharedGate(Gate):
    """Single-flight in this process by its own state, and among processes by the desk's.

    Whoever leads here asks the desk whether to lead among all. A worker that is lost gives its lead
    back, and no lead is longer than `patience_s`.
    """

    def __init__(self, link: Link) -> None:
        """Ask over this line."""
        super().__init__()
        self._link = link
        self._tokens: dict[Pass, str] = {}

    @contextmanager
    def _waited(self, key: Hashable, terms: Terms) -> Generator[Pass]:
        with super()._waited(key, terms) as held:
            alone = terms.placement == "in_turn"
            if held.role != "leader" and not (alone and held.role == "follower"):
                yield held
                return
            token = uuid.uuid4().hex
            self._turn(held, token, alone=alone)
            done = False
            try:
                yield held
                done = True
            finally:
                if self._tokens.pop(held, ""):
                    warm_s = self._warm_s(held) if done and held.writes else None
                    self._tell(held, token, warm_s)

    def _turn(self, held: Pass, token: str, *, alone: bool) -> None:
        """Wait until the desk lets this call lead, or follow one that has led elsewhere."""
        role, left_s = "wait", 0.0
        while role == "wait":
            role, left_s = self._link.ask(
                "enter",
                key=repr(held.key),
                token=token,
                worker=self._link.address,
                patience_s=self.patience_s,
                wait_s=_POLL_S,
                alone=alone,
            )
        held.started_s = self._clock()
        if role == "leader" or alone:
            self._tokens[held] = token
        if role == "follower":
            self.known_warm(held, left_s)

    def readable(self, held: Pass) -> None:
        """The entry that `held` writes can be read from now on, also elsewhere."""
        super().readable(held)
        token = self._tokens.get(held)
        if token is not None and held.terms.placement != "in_turn":
            del self._tokens[held]
            self._tell(held, token, self._warm_s(held))

    def _warm_s(self, held: Pass) -> float:
        from_s = held.started_s if held.terms.ttl_from == "request_start" else self._clock()
        return from_s + held.terms.ttl_s - self._clock()

    def _tell(self, held: Pass, token: str, warm_s: float | None) -> None:
        self._link.soon("left", key=repr(held.key), token=token, warm_s=warm_s)
