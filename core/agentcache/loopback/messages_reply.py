"""Word an answer as Anthropic Messages does."""

from collections.abc import Iterator
from typing import Any

from agentcache.loopback.reply import Reply, chunks, event
from agentcache.loopback.wire import dumps

__all__ = ["messages_body", "messages_events"]

_LONG_TTL_S = 3600.0


def messages_body(reply: Reply) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    content: list[dict[str, Any]] = []
    if reply.generated:
        content = [block for block, _ in _blocks(reply)]
    return {**_message(reply), "content": content, "stop_reason": _stop(reply), **_edits(reply)}


def messages_events(reply: Reply) -> Iterator[bytes]:
    """Yield the events of a streamed answer."""
    start = _message(reply)
    if reply.with_usage:
        start["usage"] = {**start["usage"], "output_tokens": 1}
    yield _event("message_start", message={**start, "content": [], "stop_reason": None})
    for index, (block, deltas) in enumerate(_blocks(reply)):
        empty: dict[str, Any] = (
            {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        )
        yield _event("content_block_start", index=index, content_block=empty)
        if index == 0:
            yield _event("ping")
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": _stop(reply), "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage=_usage(reply), **_edits(reply))
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _message(reply: Reply) -> dict[str, Any]:
    return {
        "id": f"msg_emulated_{reply.number:06d}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(reply),
        **({"diagnostics": reply.diagnosis} if "diagnostics" in reply.body else {}),
    }


def _edits(reply: Reply) -> dict[str, Any]:
    asked = "context_management" in reply.body
    return {"context_management": {"applied_edits": list(reply.edits)}} if asked else {}


def _blocks(reply: Reply) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield each content block with the deltas that stream it."""
    text = reply.answer.text
    if text or not reply.answer.tool_calls:
        deltas = [{"type": "text_delta", "text": part} for part in chunks(text)]
        yield {"type": "text", "text": text}, deltas
    for index, call in enumerate(reply.answer.tool_calls):
        arguments = dict(call.arguments)
        parts = ["", *chunks(dumps(arguments))]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        identity = reply.call_id(index, "toolu")
        yield {"type": "tool_use", "id": identity, "name": call.name, "input": arguments}, deltas


def _stop(reply: Reply) -> str:
    if not reply.generated:
        return "max_tokens"
    return "tool_use" if reply.answer.tool_calls else "end_turn"


def _usage(reply: Reply) -> dict[str, Any]:
    if not reply.with_usage:
        # The SDK's stream accumulator needs the keys; null says that nothing is known.
        return {"input_tokens": None, "output_tokens": None}
    reading = reply.reading
    long = sum(part.tokens for part in reading.written or () if part.ttl_s >= _LONG_TTL_S)
    return {
        "input_tokens": reading.fresh,
        "cache_creation_input_tokens": reading.write,
        "cache_read_input_tokens": reading.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": reading.write - long,
            "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": reply.output_tokens,
        "service_tier": "standard",
    }
