"""A break as an OpenTelemetry event, for programs that are traced already."""

import sys
from typing import Any, Final

from agentcache.breaks.values import CacheBreak

__all__ = ["emit"]

_NAME: Final = "agentcache.cache_break"
_FIELDS: Final = (
    *("kind", "relation", "section", "path", "offset", "level", "source"),
    *("tokens_lost", "money_lost", "cure"),
)


def emit(found: CacheBreak) -> None:
    """Add an event to the span that is under way; without one, a span of its own says it.

    Nothing is imported: a program that has not loaded OpenTelemetry is not traced. No content.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return
    told = {f"agentcache.break.{name}": getattr(found, name) for name in _FIELDS}
    told |= {"gen_ai.agent.name": found.agent or None}
    attributes = {name: value for name, value in told.items() if value is not None}
    span = trace.get_current_span()
    if span.is_recording():
        span.add_event(_NAME, attributes)
    else:
        trace.get_tracer("agentcache").start_span(_NAME, attributes=attributes).end()
