"""Word an answer as the OpenAI Responses API does."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from agentcache.loopback.reply import Reply, chunks, event
from agentcache.loopback.wire import dumps

__all__ = ["responses_body", "responses_events"]

_LONG_TTL_S = 43200.0
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "temperature",
    "top_p",
    "user",
)
_Event = tuple[str, dict[str, Any]]


def responses_body(reply: Reply) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    body = _envelope(reply, "completed")
    body["output"] = _output(reply)
    if reply.diagnosis is not None:
        body["prompt_cache_diagnostics"] = reply.diagnosis
    body["usage"] = _usage(reply) if reply.with_usage else None
    return body


def responses_events(reply: Reply) -> Iterator[bytes]:
    """Yield the events of a streamed answer."""
    numbers = count()
    for kind, fields in _events(reply):
        yield event({"type": kind, "sequence_number": next(numbers), **fields}, kind)


def _events(reply: Reply) -> Iterator[_Event]:
    pending = _envelope(reply, "in_progress")
    yield "response.created", {"response": pending}
    yield "response.in_progress", {"response": pending}
    for index, item in enumerate(_output(reply)):
        where = {"output_index": index, "item_id": item["id"]}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        opening = {**item, **empty, "status": "in_progress"}
        yield "response.output_item.added", {"output_index": index, "item": opening}
        yield from _text(item, where) if item["type"] == "message" else _arguments(item, where)
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield "response.completed", {"response": responses_body(reply)}


def _text(item: dict[str, Any], where: dict[str, Any]) -> Iterator[_Event]:
    part = item["content"][0]
    where = {**where, "content_index": 0}
    yield "response.content_part.added", {**where, "part": {**part, "text": ""}}
    for piece in chunks(part["text"]):
        yield "response.output_text.delta", {**where, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**where, "text": part["text"], "logprobs": []}
    yield "response.content_part.done", {**where, "part": part}


def _arguments(item: dict[str, Any], where: dict[str, Any]) -> Iterator[_Event]:
    for piece in chunks(item["arguments"]):
        yield "response.function_call_arguments.delta", {**where, "delta": piece}
    done = {**where, "name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", done


def _envelope(reply: Reply, status: str) -> dict[str, Any]:
    body = reply.body
    echoed = {key: body.get(key) for key in _ECHOED}
    return {
        "id": f"resp_emulated_{reply.number:06d}",
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": reply.model,
        **echoed,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
    }


def _message(reply: Reply) -> dict[str, Any]:
    text = reply.answer.text
    part = {
        "type": "output_text",
        "text": text,
        "annotations": list[Any](),
        "logprobs": list[Any](),
    }
    return {
        "id": f"msg_{reply.number:06d}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _output(reply: Reply) -> list[dict[str, Any]]:
    if not reply.generated:
        return []
    items: list[dict[str, Any]] = []
    if reply.answer.text or not reply.answer.tool_calls:
        items.append(_message(reply))
    for index, call in enumerate(reply.answer.tool_calls):
        items.append(
            {
                "id": reply.call_id(index, "fc"),
                "type": "function_call",
                "status": "completed",
                "call_id": reply.call_id(index, "call"),
                "name": call.name,
                "arguments": dumps(dict(call.arguments)),
            }
        )
    return items


def _usage(reply: Reply) -> dict[str, Any]:
    reading = reply.reading
    details: dict[str, Any] = {"cached_tokens": reading.read}
    if reading.written is not None:
        long = sum(part.tokens for part in reading.written if part.ttl_s >= _LONG_TTL_S)
        split = {"ttl_30m_tokens": reading.write - long, "ttl_12h_tokens": long}
        details |= {"cache_write_tokens": reading.write, "cache_write_tokens_details": split}
    return {
        "input_tokens": reading.total,
        "input_tokens_details": details,
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reading.total + reply.output_tokens,
    }
