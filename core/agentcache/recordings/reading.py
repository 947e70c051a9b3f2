"""Reading a recording: what it is, and the calls in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, Final

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.errors import OptionError
from agentcache.recordings.cassettes import from_cassette
from agentcache.recordings.documents import Documents
from agentcache.recordings.har import from_har
from agentcache.recordings.hauls import Haul
from agentcache.recordings.langfuse import TYPES, from_observations
from agentcache.recordings.langsmith import from_runs
from agentcache.recordings.ledgers import from_ledger
from agentcache.recordings.otel import from_spans
from agentcache.recordings.recording import Recording
from agentcache.recordings.speakers import Heard, heard, speakers
from agentcache.recordings.values import FORMS, NO_COUNT, Form, Recorded, is_usage

__all__ = ["read"]

_READERS: Final[dict[Form, Callable[[Iterable[Json], Haul], None]]] = {
    "agentcache": from_ledger,
    "har": from_har,
    "langfuse": from_observations,
    "langsmith": from_runs,
    "otel": from_spans,
    "vcr": from_cassette,
}
_SIGNS: Final[tuple[tuple[Form, tuple[str, ...]], ...]] = (
    ("agentcache", ("rule_id", "sent", "usage")),
    ("vcr", ("interactions",)),
    ("otel", ("resourceSpans",)),
    ("otel", ("resource_spans",)),
    ("otel", ("scopeSpans",)),
    ("otel", ("resourceLogs",)),
    ("otel", ("resource_logs",)),
    ("otel", ("context", "attributes")),
    ("otel", ("startTimeUnixNano", "attributes")),
    ("otel", ("body", "attributes", "trace_id")),
    ("langsmith", ("run_type",)),
    ("langsmith", ("runs",)),
    ("vcr", ("request", "response")),
)
"""Keys that tell what an object is part of; the first row that fits decides."""


def read(path: str | PathLike[str], *, form: Form | None = None) -> Recording:
    """Read a recording; its content tells what it is, unless `form` does.

    agentcache's own ledgers, OpenTelemetry spans with GenAI attributes, exports from LangSmith and
    Langfuse, VCR cassettes and HAR files. Secrets in headers are never kept.

    Raises:
        OptionError: a file that cannot be read, is none of these, or holds no call to a model.
        MissingExtraError: a YAML file, and PyYAML is not installed.

    """
    if form is not None and form not in FORMS:
        raise OptionError(f"form={form!r} does not exist. Choose one of {', '.join(FORMS)}.")
    haul = Haul()
    documents = Documents(Path(path), haul)
    rows = iter(documents)
    if form is None:
        form, rows = _guessed(documents, rows, haul)
    _READERS[form](rows, haul)
    if not haul.calls:
        raise OptionError(_empty(documents, form, haul))
    calls = tuple(_named(haul))
    return Recording(documents.path, form, calls, haul.others, haul.unread, haul.cause)


def _guessed(documents: Documents, rows: Iterator[Json], haul: Haul) -> tuple[Form, Iterator[Json]]:
    """What a file is, by the first object that tells, and the objects from that one on."""
    for row in rows:
        form = _form_of(row)
        if form is not None:
            return form, chain([row], rows)
        haul.miss("it is of no form that is known")
    known = "; ".join(f"{words} ({name})" for name, words in FORMS.items())
    raise OptionError(
        f"{str(documents.path)!r} is no recording that agentcache reads. Found: "
        f"{documents.begins}. Expected one of: {known}."
    )


def _form_of(row: Json) -> Form | None:
    log: Any = row.get("log")
    if is_json(log) and "entries" in log:
        return "har"
    for form, keys in _SIGNS:
        if all(key in row for key in keys):
            return form
    if str(row.get("type", "")).upper() in TYPES and ("traceId" in row or "trace_id" in row):
        return "langfuse"
    for key in ("observations", "data"):
        held: Any = row.get(key)
        if is_list(held) and held and is_json(held[0]):
            return _form_of(held[0])
    return None


def _empty(documents: Documents, form: Form, haul: Haul) -> str:
    found = f"{haul.others} other entries" if haul.others else documents.begins
    readable = ""
    if haul.unread:
        readable = " that can be read"
        found += f"; {haul.unread} could not be read. The first: {haul.cause}"
    return (
        f"{str(documents.path)!r}, read as {FORMS[form]}, holds no call to a chat model{readable}. "
        f"Found: {found}."
    )


def _named(haul: Haul) -> Iterator[Recorded]:
    """The calls in their order, each with its agent; a request that cannot be read is left out."""
    told: list[Heard] = []
    calls: list[Recorded] = []
    for call in _in_order(haul.calls):
        found = heard(call)
        counted = call.usage is None or is_usage(call.usage)
        if found is None or not counted:
            haul.miss("a request has no shape that is known" if counted else NO_COUNT)
        told.append(found or Heard(call.agent, call.under))
        read = call if found is not None else replace(call, request={})
        calls.append(read if counted else replace(read, usage=None))
    for call, agent in zip(calls, speakers(told), strict=True):
        yield call if call.call is not None else replace(call, agent=agent)


def _in_order(calls: list[Recorded]) -> list[Recorded]:
    """By the time they were made, where all have one: exports may have the latest first."""
    if any(call.call is not None or call.at_s is None for call in calls):
        return calls
    return sorted(calls, key=lambda call: call.at_s or 0.0)
