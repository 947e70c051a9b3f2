"""Times as recorders write them, in seconds since 1970."""

from datetime import datetime, timezone
from typing import Any, Final

__all__ = ["seconds"]

_NANO: Final = 1e17
_MILLI: Final = 1e11


def seconds(value: Any) -> float | None:
    """A time as ISO text, or as seconds, milliseconds or nanoseconds; None if it is none.

    A time without a zone is UTC, as exporters write it.
    """
    if isinstance(value, str) and not value.isdigit():
        return _iso(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not 0 < number < float("inf") or isinstance(value, bool):
        return None
    if number > _NANO:
        return number / 1e9
    return number / 1e3 if number > _MILLI else number


def _iso(text: str) -> float | None:
    plain = text.strip()
    if plain.endswith(("Z", "z")):
        plain = f"{plain[:-1]}+00:00"
    head, point, tail = plain.partition(".")
    if point:  # Python 3.10 reads three or six digits only
        digits = next((n for n, c in enumerate(tail) if not c.isdigit()), len(tail))
        plain = f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}"
    try:
        found = datetime.fromisoformat(plain)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
