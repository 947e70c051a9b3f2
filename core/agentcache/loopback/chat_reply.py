"""Word an answer as Chat Completions does."""

from collections.abc import Iterator
from typing import Any

from agentcache.loopback.reply import Reply, chunks, event
from agentcache.loopback.wire import dumps, mapping

__all__ = ["chat_body", "chat_events"]


def chat_body(reply: Reply) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": reply.answer.text or None,
        "refusal": None,
        "annotations": [],
    }
    calls = _calls(reply)
    if calls:
        message["tool_calls"] = calls
    choice = {"message": message, "logprobs": None, "finish_reason": _finish(reply)}
    number = int(reply.body.get("n") or 1)
    body = _envelope(reply, "chat.completion")
    body["choices"] = [{"index": index, **choice} for index in range(number)]
    if reply.with_usage:
        body["usage"] = _usage(reply)
    return body


def chat_events(reply: Reply) -> Iterator[bytes]:
    """Yield the events of a streamed answer."""
    include_usage = bool(mapping(reply.body.get("stream_options")).get("include_usage"))
    envelope = _envelope(reply, "chat.completion.chunk")
    if include_usage:
        envelope["usage"] = None
    for delta in _deltas(reply):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield event({**envelope, "choices": [choice]})
    last = {
        "index": 0,
        "delta": dict[str, Any](),
        "logprobs": None,
        "finish_reason": _finish(reply),
    }
    yield event({**envelope, "choices": [last]})
    if include_usage and reply.with_usage:
        yield event({**envelope, "choices": [], "usage": _usage(reply)})
    yield event("[DONE]")


def _deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    calls = _calls(reply)
    yield {
        "role": "assistant",
        "content": None if calls and not reply.answer.text else "",
        "refusal": None,
    }
    for part in chunks(reply.answer.text):
        yield {"content": part}
    for index, call in enumerate(calls):
        function = call["function"]
        opening = {**call, "function": {"name": function["name"], "arguments": ""}}
        yield {"tool_calls": [{"index": index, **opening}]}
        for part in chunks(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _envelope(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply.number:06d}",
        "object": kind,
        "created": reply.created,
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": "fp_emulated",
    }


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": reply.call_id(index, "call"),
            "type": "function",
            "function": {"name": call.name, "arguments": dumps(dict(call.arguments))},
        }
        for index, call in enumerate(reply.answer.tool_calls)
    ]


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.answer.tool_calls else "stop"


def _usage(reply: Reply) -> dict[str, Any]:
    reading = reply.reading
    details = {"cached_tokens": reading.read, "audio_tokens": 0}
    if reading.written is not None:
        details["cache_write_tokens"] = reading.write
    return {
        "prompt_tokens": reading.total,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reading.total + reply.output_tokens,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
