"""Langfuse: calls from exported observations, by its API, its page or its storage export."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from agentcache.breaks.vendors import verdict_in
from agentcache.dialects.base import Json, is_json, is_list
from agentcache.recordings.chats import chat_request, count_of
from agentcache.recordings.documents import parsed
from agentcache.recordings.genai import spoken
from agentcache.recordings.hauls import Haul
from agentcache.recordings.langsmith import messages_of
from agentcache.recordings.secrets import kept_request
from agentcache.recordings.times import seconds
from agentcache.recordings.trees import Node, calls_in
from agentcache.recordings.values import Recorded
from agentcache.usage import Usage

__all__ = ["TYPES", "from_observations"]

TYPES: Final = (
    "AGENT",
    "CHAIN",
    "EMBEDDING",
    "EVALUATOR",
    "EVENT",
    "GENERATION",
    "GUARDRAIL",
    "RETRIEVER",
    "SPAN",
    "TOOL",
)
_READ: Final = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens")
_WRITTEN: Final = (
    "input_cache_creation",
    "input_cache_write_tokens",
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
)
_TIMED: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def from_observations(documents: Iterable[Json], haul: Haul) -> None:
    """Read the calls of observations; others among them name agents, or nothing."""
    nodes = [_node(row) for document in documents for row in _rows(document)]
    haul.calls += calls_in(nodes)
    haul.others += sum(node.call is None for node in nodes)


def _rows(document: Json) -> Iterator[Json]:
    for key in ("observations", "data"):
        held: Any = document.get(key)
        if is_list(held):
            for inner in held:
                if is_json(inner):
                    yield from _rows(inner)
            return
    yield {_camel(key): value for key, value in document.items()}


def _camel(key: str) -> str:
    """The storage export writes start_time where the API writes startTime."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), key)


def _node(row: Json) -> Node:
    kind = str(row.get("type", "")).upper()
    agent = str(row.get("name") or "") if kind == "AGENT" else ""
    call = _call(row) if kind == "GENERATION" else None
    parent = str(row.get("parentObservationId") or "")
    return Node(str(row.get("id", "")), parent, agent, call)


def _call(row: Json) -> Recorded:
    model = str(row.get("model") or row.get("providedModelName") or "")
    request, headers = _request(_value(row.get("input")), _params(row), model)
    failed = row.get("level") == "ERROR"
    return Recorded(
        request,
        usage=_usage(_value(row.get("usageDetails") or row.get("usage"))),
        at_s=seconds(row.get("startTime")),
        ended_s=seconds(row.get("endTime")),
        headers=headers,
        verdict=verdict_in(_value(row.get("output"))),
        model=model,
        error="error" if failed else "",
    )


def _params(row: Json) -> Json:
    held: Any = _value(row.get("modelParameters"))
    return dict(held) if is_json(held) else {}


def _request(given: Any, params: Json, model: str) -> tuple[Json, dict[str, str]]:
    """The request, and the headers that were given with it."""
    if isinstance(given, str) and given:
        given = [{"role": "user", "content": given}]
    held = {"messages": given} if is_list(given) else given
    if not is_json(held) or not ("messages" in held or "input" in held):
        return {}, {}
    body, headers = kept_request({"model": model, **params, **held})
    if "messages" not in body:
        return body, headers
    rows = [m for row in messages_of(body["messages"]) for m in spoken(row)]
    shown = [tool for row in rows if (tool := _as_tool(row)) is not None]
    messages = [row for row in rows if _as_tool(row) is None]
    if "system" in held and isinstance(held["system"], str | list):
        system: Json = {"role": "system", "content": held["system"]}
        messages = [system, *messages]
    rest = {k: v for k, v in body.items() if k != "system"}
    return chat_request(model, messages, body.get("tools") or shown, rest), headers


def _as_tool(row: Json) -> Json | None:
    """A tool's definition, which the LangChain callback adds to the messages as one of them."""
    content: Any = row.get("content")
    defined = is_json(content) and bool({"function", "input_schema", "parameters"} & set(content))
    return content if row.get("role") == "tool" and defined else None


def _usage(details: Any) -> Usage | None:
    """The usage. Its counts of input stand apart from each other: together they are the whole."""
    if not is_json(details) or not details:
        return None
    fresh = count_of(details.get("input"))
    if fresh is None:
        return Usage.from_payload(details)
    read, written = (_first(details, keys) for keys in (_READ, _WRITTEN))
    timed = {key: count_of(details.get(f"input_{key}")) for key in _TIMED}
    parts = {key: count_of(value) or 0 for key, value in details.items() if _is_part(key)}
    at_length = max(written or 0, sum(filter(None, timed.values())))
    split = {"cache_read": read, "cache_creation": written, **timed}
    return Usage.from_payload(
        {
            "input_tokens": fresh + (read or 0) + at_length + sum(parts.values()),
            "input_token_details": {key: n for key, n in split.items() if n is not None},
            "output_tokens": count_of(details.get("output")),
        }
    )


def _is_part(key: str) -> bool:
    """Whether a count is a part of the input beside what was read and written."""
    cached = (*_READ, *_WRITTEN, *(f"input_{name}" for name in _TIMED))
    return key.startswith("input_") and key not in cached and "priority" not in key


def _first(details: Json, keys: Iterable[str]) -> int | None:
    return next((n for key in keys if (n := count_of(details.get(key))) is not None), None)


def _value(held: Any) -> Any:
    """A value, also where it was exported as JSON text."""
    found = parsed(held) if isinstance(held, str) else None
    return held if found is None else found
