"""Mark placement: where the provider is told to write, per family, within its limits."""

from collections.abc import Sequence
from typing import Any

from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_list, role_of
from agentcache.rules import Rule, Ttl

__all__ = ["as_parts", "far_back", "mark_ends", "mark_part", "mark_value", "roll"]

_LOOKBACK_MARGIN = 5
_LOOKBACK = 20
"""Message endings at which a request looks without marks of its own (OpenAI guide, 2026-09)."""


def mark_value(dialect: Dialect, ttl: Ttl, *, default: bool) -> Json:
    """The mark itself; the lifetime is named only where it is not the provider's default."""
    return dialect.mark("" if default else ttl.name)


def mark_part(dialect: Dialect, part: Json, value: Json) -> Json:
    """Return the part with a mark on it."""
    return {**part, dialect.mark_key: value}


def as_parts(dialect: Dialect, message: Json) -> Json:
    """Return the message with its text as a list of parts, the only form that can carry a mark."""
    key = dialect.content_key(message)
    content: Any = message.get(key)
    if not isinstance(content, str) or not content:
        return message
    return {**message, key: [{"type": dialect.text_type, "text": content}]}


def far_back(rule: Rule, messages: Sequence[Json]) -> bool:
    """Whether what stands before these messages is too far back to be found from their end."""
    return sum(map(_positions, messages)) > (rule.lookback or _LOOKBACK) - _LOOKBACK_MARGIN


def mark_ends(
    dialect: Dialect, messages: Sequence[Json], ends: Sequence[int], value: Json
) -> tuple[list[Json], int]:
    """Mark where these beginnings of a history end: (the messages, marks spent).

    A mark stands on the last message of each that can carry one. What others said becomes parts,
    marked or not, so that it looks the same to every reader.
    """
    out = [m if role_of(m) == "assistant" else as_parts(dialect, m) for m in messages]
    done: set[int] = set()
    for end in ends:
        for n in range(end - 1, -1, -1):
            marked = out[n] if n in done else _mark_last(dialect, out[n], value)
            if n in done or marked is not out[n]:
                out[n] = marked
                done.add(n)
                break
    return out, len(done)


def roll(
    dialect: Dialect, rule: Rule, messages: Sequence[Json], value: Json, spent: int
) -> list[Json]:
    """Mark the end of a looping worker's history, so that its next turn reads this one.

    Only where marks are the sole way to write (Anthropic): elsewhere the provider marks the latest
    message itself. After a long turn a second mark stands where the turn before ended, because a
    read looks only so far back from a mark (Anthropic: 20 positions).
    """
    if rule.automatic or not rule.marks:
        return list(messages)
    # All of the user's texts become parts, marked or not, so that they look the same next turn.
    out = [as_parts(dialect, m) if role_of(m) == "user" else m for m in messages]
    ends = [n for n, m in enumerate(out) if role_of(m) in ("user", "system")]
    turn = out[ends[-2] + 1 :] if len(ends) > 1 else out
    wanted = ends[-2:] if far_back(rule, turn) else ends[-1:]
    free = max(0, rule.marks_max - spent)
    for n in wanted[-free:] if free else []:
        out[n] = _mark_last(dialect, out[n], value)
    return out


def _positions(message: Json) -> int:
    content: Any = message.get("content")
    return len(content) if is_list(content) else 1


def _mark_last(dialect: Dialect, message: Json, value: Json) -> Json:
    key = dialect.content_key(message)
    content: Any = message.get(key)
    parts: list[Json] = list(content) if is_list(content) else []
    for n in range(len(parts) - 1, -1, -1):
        if dialect.markable(message, parts[n]):
            parts[n] = mark_part(dialect, parts[n], value)
            return {**message, key: parts}
    return message
