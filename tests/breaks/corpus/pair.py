"""One pair of requests, and what a break finder has to say about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": (
        "text_edit",
        "whitespace",
        "invisible",
        "timestamp",
        "random_id",
        "counter",
        "order",
        "key_order",
    ),
    "tools": ("tool_added", "tool_removed", "tool_renamed", "tool_description", "tool_schema"),
    "messages": (
        "message_inserted",
        "message_dropped",
        "message_edited",
        "window_slid",
        "tool_result_replaced",
        "tool_call_id",
        "image_added",
        "image_changed",
        "compaction",
    ),
    "params": ("model", "param"),
    "marks": (
        "mark_missing",
        "mark_moved_back",
        "lookback_exceeded",
        "too_many_marks",
        "ttl_tier",
    ),
    "headers": ("affinity", "beta_headers"),
    "time": ("ttl_expired", "concurrent_cold"),
    "usage": ("below_minimum", "rate_overflow", "usage_unreported", "evicted"),
}
"""Every kind, by section; text kinds occur in system, messages and tools."""

SECTIONS: Final = ("params", "tools", "system", "messages", "marks", "headers", "usage", "time")
RELATIONS: Final = ("follows", "sibling", "replaces")
LEVELS: Final = ("all", "messages")


@dataclass(frozen=True)
class Expect:
    """The break that is there. What is None is not part of the ground truth."""

    kind: str
    section: str
    path: str | None = None
    param: str | None = None
    offset: int | None = None
    relation: str | None = None
    level: str | None = None


@dataclass(frozen=True)
class Pair:
    """Two requests and what they should give; `options` are keyword arguments of `find_break`."""

    name: str
    dialect: str
    before: dict[str, Any]
    after: dict[str, Any]
    expect: Expect | None
    options: dict[str, Any] = field(default_factory=dict)
