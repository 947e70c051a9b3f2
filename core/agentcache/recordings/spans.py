"""OpenTelemetry spans and log records as they are exported, in one shape."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.recordings.times import seconds

__all__ = ["Event", "Span", "spans_in"]

_FAILED = (2, "2", "ERROR", "STATUS_CODE_ERROR", "StatusCode.ERROR")


@dataclass(frozen=True, slots=True)
class Event:
    """A named event of a span, with its attributes and, for a log record, its body."""

    name: str
    attributes: Json
    body: Any = None
    at_s: float | None = None


@dataclass(slots=True)
class Span:
    """A span, or what log records tell of one."""

    id: str
    parent: str = ""
    attributes: Json = field(default_factory=dict[str, Any])
    events: list[Event] = field(default_factory=list[Event])
    at_s: float | None = None
    ended_s: float | None = None
    failed: bool = False


def spans_in(document: Json) -> Iterator[Span]:
    """The spans in a line of a file: one span, or a whole export; log records as spans."""
    groups = _rows(document, "resourceSpans", "resource_spans")
    for group in (*groups, *_rows(document, "resourceLogs", "resource_logs")):
        yield from spans_in(group)
    for scope in _rows(document, "scopeSpans", "scope_spans"):
        yield from (_span(row) for row in _rows(scope, "spans"))
    for scope in _rows(document, "scopeLogs", "scope_logs"):
        yield from (_log(row) for row in _rows(scope, "logRecords", "log_records"))
    if is_json(document.get("context")) or _get(document, "startTimeUnixNano"):
        yield _span(document)
    elif "body" in document and ("attributes" in document or "event_name" in document):
        yield _log(document)


def _span(row: Json) -> Span:
    held: Any = row.get("context")
    context = held if is_json(held) else row
    status: Any = row.get("status")
    code = _get(status, "code", "status_code") if is_json(status) else None
    return Span(
        _id(_get(context, "span_id", "spanId")),
        _id(_get(row, "parent_id", "parentSpanId", "parent_span_id")),
        _attributes(row.get("attributes")),
        [_event(event) for event in _rows(row, "events")],
        seconds(_get(row, "start_time", "startTimeUnixNano", "start_time_unix_nano")),
        seconds(_get(row, "end_time", "endTimeUnixNano", "end_time_unix_nano")),
        failed=code in _FAILED,
    )


def _event(row: Json) -> Event:
    return Event(str(row.get("name", "")), _attributes(row.get("attributes")))


def _log(row: Json) -> Span:
    """A log record, as the one event of its span."""
    attributes = _attributes(row.get("attributes"))
    name = _get(row, "event_name", "eventName") or attributes.get("event.name", "")
    times = ("timestamp", "timeUnixNano", "observed_timestamp", "observedTimeUnixNano")
    at_s = next((t for key in times if (t := seconds(row.get(key))) is not None), None)
    body = row.get("body")
    value = _value(body) if is_json(body) and _is_wrapped(body) else body
    return Span(
        _id(_get(row, "span_id", "spanId")), events=[Event(str(name), attributes, value, at_s)]
    )


def _attributes(held: Any) -> Json:
    """Attributes as an object; OTLP writes them as a list of keys and typed values."""
    if is_json(held):
        return held
    rows: list[Any] = held if is_list(held) else []
    return {str(row.get("key")): _value(row.get("value")) for row in rows if is_json(row)}


def _is_wrapped(value: Json) -> bool:
    return len(value) <= 1 and all(key.endswith(("Value", "_value")) for key in value)


def _value(held: Any) -> Any:
    """A typed value of OTLP as a plain one."""
    if not is_json(held) or not held:
        return None
    key, value = next(iter(held.items()))
    kind = key.removesuffix("Value").removesuffix("_value").lower()
    if kind == "array":
        return [_value(one) for one in _rows(value, "values", any_kind=True)]
    if kind == "kvlist":
        return _attributes(value.get("values") if is_json(value) else None)
    if kind == "int" and isinstance(value, str):
        return int(value) if value.lstrip("-").isdigit() else None
    return value


def _rows(held: Any, *keys: str, any_kind: bool = False) -> list[Any]:
    found: Any = _get(held, *keys) if is_json(held) else None
    rows: Iterable[Any] = found if is_list(found) else ()
    return [row for row in rows if any_kind or is_json(row)]


def _get(held: Json, *keys: str) -> Any:
    return next((held[key] for key in keys if held.get(key) is not None), None)


def _id(value: Any) -> str:
    return str(value or "").removeprefix("0x")
