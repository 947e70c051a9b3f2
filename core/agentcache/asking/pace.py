"""What a provider that is busy or limits the rate is given: time."""

import random
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

__all__ = ["Pace", "retry_after_s"]

_TRIES: Final = 6
_BASE_S: Final = 0.5
_MOST_S: Final = 8.0
_LONGEST_S: Final = 120.0
_AGAIN: Final = (408, 409, 429)
_BUSY: Final = (429, 503, 529)
"""A provider that answers so has no room for others either."""
_LOST: Final = ("APIConnectionError", "APITimeoutError")


class Pace:
    """How long all callers of one provider wait: what one is told holds for all."""

    def __init__(self, tries: int = _TRIES) -> None:
        """Wait for nothing yet; a call is tried so many times."""
        self._tries = tries
        self._lock = threading.Lock()
        self._free_s = float("-inf")

    def left_s(self) -> float:
        """Seconds until the next call may go."""
        with self._lock:
            return max(0.0, self._free_s - time.monotonic())

    def wait_s(self, error: Exception, tried: int) -> float | None:
        """Seconds until a call that has failed so often is tried again; None if it is not."""
        status = _status(error)
        lost = status is None and type(error).__name__ in _LOST
        if not lost and not (status in _AGAIN or (status or 0) >= 500):
            return None
        asked = retry_after_s(_headers(error))
        if tried >= self._tries or (asked or 0) > _LONGEST_S:
            return None
        backoff = min(_MOST_S, _BASE_S * 2 ** (tried - 1)) * (1 - 0.25 * random.random())  # noqa: S311
        wait = backoff if asked is None else asked
        if asked is not None and status in _BUSY:
            with self._lock:
                self._free_s = max(self._free_s, time.monotonic() + wait)
        return wait


def _status(error: Exception) -> int | None:
    status: Any = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _headers(error: Exception) -> Mapping[str, str]:
    return getattr(getattr(error, "response", None), "headers", None) or {}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `Retry-After` ask for (RFC 9110, 10.2.3), if they do."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if not value:
            continue
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            pass
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            continue
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
    return None
