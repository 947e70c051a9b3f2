"""Mark placement: where the provider is told to write, per family, within its limits."""

from collections.abc import Sequence

from agentcache.dialects import Dialect, Json
from agentcache.rules import Rule, Ttl

__all__ = ["as_parts", "mark_part", "mark_value", "roll"]

_LOOKBACK_MARGIN = 5


def mark_value(dialect: Dialect, ttl: Ttl, *, default: bool) -> Json:
    """The mark itself; the lifetime is named only where it is not the provider's default."""
    if dialect.mark_key == "cache_control":
        return {"type": "ephemeral"} if default else {"type": "ephemeral", "ttl": ttl.name}
    return {"mode": "explicit"} if default else {"mode": "explicit", "ttl": ttl.name}


def mark_part(dialect: Dialect, part: Json, value: Json) -> Json:
    """Return the part with a mark on it."""
    return {**part, dialect.mark_key: value}


def as_parts(dialect: Dialect, message: Json) -> Json:
    """Return the message with its text as a list of parts, the only form that can carry a mark."""
    content = message.get("content")
    if not isinstance(content, str) or not content:
        return message
    return {**message, "content": [{"type": dialect.text_type, "text": content}]}


def roll(
    dialect: Dialect, rule: Rule, messages: Sequence[Json], value: Json, spent: int
) -> tuple[Json, ...]:
    """Mark the end of a looping worker's history, so that its next turn reads this one.

    Only where marks are the sole way to write (Anthropic): elsewhere the provider marks the latest
    message itself. With a long history a second mark stands where the last turn ended, inside the
    look-back window (Anthropic: at most 20 positions back from each mark).
    """
    if rule.automatic or not rule.marks:
        return tuple(messages)
    out = [as_parts(dialect, m) for m in messages]
    ends = [n for n, m in enumerate(out) if m.get("role") == "user"]
    far = len(out) > (rule.lookback or 0) - _LOOKBACK_MARGIN
    wanted = ends[-2:] if far else ends[-1:]
    for n in wanted[-(rule.marks_max - spent) :]:
        out[n] = _mark_last(dialect, out[n], value)
    return tuple(out)


def _mark_last(dialect: Dialect, message: Json, value: Json) -> Json:
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    for n in range(len(parts) - 1, -1, -1):  # pyright: ignore[reportUnknownArgumentType]
        part: Json = parts[n]
        if dialect.markable(message, part):
            return {
                **message,
                "content": [*parts[:n], mark_part(dialect, part, value), *parts[n + 1 :]],
            }
    return message
