"""Entries that can be read from the moment they are admitted until they expire."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Store"]


@dataclass(frozen=True, slots=True)
class _Entry:
    ttl_s: float
    expires: float


class Store:
    """Hold one entry per key. Reading or writing it again renews it for its own lifetime."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[bytes, _Entry] = {}

    def live(self, key: bytes, now: float) -> bool:
        """Return whether the entry is there and has not expired."""
        entry = self._entries.get(key)
        return entry is not None and entry.expires > now

    def renew(self, key: bytes, start: float) -> None:
        """Let the entry live for its own lifetime from `start`."""
        entry = self._entries[key]
        self._entries[key] = _Entry(entry.ttl_s, max(entry.expires, start + entry.ttl_s))

    def admit(self, lifetimes: Iterable[tuple[bytes, float]], start: float, now: float) -> None:
        """Add entries that live from `start`; one that is live at `now` is only renewed."""
        for key, ttl_s in lifetimes:
            if self.live(key, now):
                self.renew(key, start)
            else:
                self._entries[key] = _Entry(ttl_s, start + ttl_s)
