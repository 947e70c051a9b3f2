"""OpenTelemetry: calls from spans with GenAI attributes, and from the events beside them."""

from collections.abc import Iterable
from typing import Any, Final

from agentcache.dialects.base import Json
from agentcache.recordings.genai import request_of, usage_of
from agentcache.recordings.hauls import Haul
from agentcache.recordings.spans import Event, Span, spans_in
from agentcache.recordings.trees import Node, calls_in
from agentcache.recordings.values import Recorded

__all__ = ["from_spans"]

_DETAILS: Final = "gen_ai.client.inference.operation.details"
_CHATS: Final = ("chat", "completion", "generate_content", "text_completion")
_AGENTS: Final = ("gen_ai.agent.name", "agent.name", "agent_name")
_EMULATED: Final = (
    "openai.response.system_fingerprint",
    "gen_ai.openai.response.system_fingerprint",
)


def from_spans(documents: Iterable[Json], haul: Haul) -> None:
    """Read the calls of spans and log records; spans that are no call name agents."""
    spans: dict[str, Span] = {}
    for number, document in enumerate(documents):
        for span in spans_in(document):
            key = span.id or f"#{number}"
            known = spans.get(key)
            spans[key] = span if known is None else _merged(known, span)
    nodes = [_node(span) for span in spans.values()]
    haul.calls += calls_in(nodes)
    haul.others += sum(node.call is None for node in nodes)


def _merged(one: Span, other: Span) -> Span:
    """A span and what was logged of it, whichever came first."""
    first, more = (one, other) if one.attributes else (other, one)
    events = [*one.events, *other.events]
    return Span(
        first.id,
        first.parent,
        {**more.attributes, **first.attributes},
        events,
        first.at_s,
        first.ended_s,
        first.failed,
    )


def _node(span: Span) -> Node:
    for event in span.events:
        if event.name == _DETAILS:
            span.attributes = {**event.attributes, **span.attributes}
    held = span.attributes
    agent = next((str(held[key]) for key in _AGENTS if held.get(key)), "")
    if not agent and held.get("traceloop.span.kind") == "agent":
        agent = str(held.get("traceloop.entity.name", ""))
    call = _call(span) if _is_call(held, span.events) else None
    return Node(span.id, span.parent, agent, call)


def _is_call(held: Json, events: list[Event]) -> bool:
    if "openinference.span.kind" in held:
        return bool(held["openinference.span.kind"] == "LLM")
    operation = held.get("gen_ai.operation.name")
    if operation is not None:
        return operation in _CHATS
    logged = any(event.name == "gen_ai.user.message" for event in events)
    asked = any(key in held for key in ("gen_ai.request.model", "llm.request.type"))
    return logged or (asked and held.get("llm.request.type", "chat") in _CHATS)


def _call(span: Span) -> Recorded:
    held = span.attributes
    logged = [e.at_s for e in span.events if e.at_s is not None]
    model = held.get("gen_ai.request.model", held.get("llm.model_name"))
    server, port = held.get("server.address"), held.get("server.port")
    said = (held.get(key) for key in _EMULATED)
    return Recorded(
        request_of(held, span.events),
        usage=usage_of(held),
        at_s=span.at_s if span.at_s is not None else min(logged, default=None),
        ended_s=span.ended_s if span.ended_s is not None else max(logged, default=None),
        answer_id=str(held.get("gen_ai.response.id") or ""),
        model=str(model or held.get("gen_ai.response.model") or ""),
        error=_error(held.get("error.type")) if span.failed or "error.type" in held else "",
        base_url=f"http://{server}{f':{port}' if port else ''}" if server else "",
        fingerprint=str(next(filter(None, said), "")),
    )


def _error(kind: Any) -> str:
    return str(kind or "error")
