"""A recorder that answers in the APIs the loopback provider does not speak, and a crew to ask it.

It keeps every body as it arrived. Its scripted model calls the researcher's tool once, then answers
by role, so that a plain and a wrapped run must end alike.
"""

import json
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crewai import Agent, Crew, Task
from crewai.tools import tool

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(250)
)
TOTAL, CACHED, WRITTEN, OUTPUT = 9000, 6000, 1000, 7
executed: list[str] = []


@tool
def search_notes(query: str) -> str:
    """Search the notes."""
    executed.append("search_notes")
    return f"note on {query}"


@tool
def count_words(text: str) -> str:
    """Count words."""
    executed.append("count_words")
    return "2 words"


for _one in (search_notes, count_words):
    _one.cache_function = lambda *_: False


def crew_of(*llms: Any, brief: str = BRIEF) -> Crew:
    """A researcher and a counter with tools of their own, and a writer without."""
    one, two, three = (llms * 3)[:3] if len(llms) == 1 else llms
    agents = [
        Agent(role="Researcher", goal="find", backstory="A.", tools=[search_notes], llm=one),
        Agent(role="Counter", goal="count", backstory="B.", tools=[count_words], llm=two),
        Agent(role="Writer", goal="write", backstory="C.", llm=three),
    ]
    tasks = [
        Task(description=f"{brief}\n\n{a.role} works.", expected_output="text", agent=a, context=[])
        for a in agents
    ]
    return Crew(agents=agents, tasks=tasks)


@dataclass
class Recorder:
    """Where it listens, and the (path, body) of every request in order; counts are kept apart."""

    url: str
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    counts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    fail: Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]] | None] = lambda *_: None
    always_calls: str = ""
    answers_only: bool = False

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body in self.calls]


@contextmanager
def recording() -> Iterator[Recorder]:
    """Serve on 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two packets

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            recorder.headers.append({k.lower(): v for k, v in self.headers.items()})
            counts = any(word in self.path for word in ("input_tokens", "ount-tokens", "ountTok"))
            (recorder.counts if counts else recorder.calls).append((self.path, body))
            refused = recorder.fail(self.path, body)
            if refused is not None:
                self._send(refused[0], "application/json", json.dumps(refused[1]).encode())
                return
            self._send(200, *_reply(self.path, body, recorder))

        def _send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = Recorder(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def shared_share(bodies: list[dict[str, Any]]) -> float:
    """Characters that the shortest of these requests has in common with the others, of its own."""
    texts = [rendered(body) for body in bodies]
    columns = enumerate(zip(*texts, strict=False))
    shortest = min(map(len, texts))
    return next((n for n, chars in columns if len(set(chars)) > 1), shortest) / shortest


def rendered(body: dict[str, Any]) -> str:
    """A request as providers hash it: tools, system text, messages; without its marks."""
    order = ("tools", "toolConfig", "system", "systemInstruction", "instructions", "input")
    parts = [body.get(key) for key in (*order, "messages", "contents")]
    found = [part for part in parts if part is not None]
    return json.dumps(_unmarked(found), ensure_ascii=False)


def marks_in(value: Any) -> list[str]:
    """The keys of all cache marks in a request."""
    if isinstance(value, list):
        return [key for one in value for key in marks_in(one)]
    if not isinstance(value, dict):
        return []
    own = [k for k in value if k in _MARKS]
    return own + [key for one in value.values() for key in marks_in(one)]


_MARKS = ("cache_control", "prompt_cache_breakpoint", "cachePoint")


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        kept = [one for one in value if not (isinstance(one, dict) and set(one) == {"cachePoint"})]
        return [_unmarked(one) for one in kept]
    if isinstance(value, dict):
        return {k: _unmarked(v) for k, v in value.items() if k not in _MARKS}
    return value


def _reply(path: str, body: dict[str, Any], recorder: Recorder) -> tuple[str, bytes]:
    text = json.dumps(body)
    roles = re.findall(r"You are (Researcher|Counter|Writer)", text)
    role = roles[-1] if roles else "Nobody"
    looped = any(mark in text for mark in RESULTS)
    wants = recorder.always_calls or ("search_notes" if role == "Researcher" else "")
    may = wants and not looped and f'"{wants}"' in text and not recorder.answers_only
    call = wants if may else ""
    said = "" if call else f"Final Answer: {role} is done."
    if "is not one of your tools" in text:
        call, said = "", f"Final Answer: {role} stopped."
    for part, answer in _ANSWERS.items():
        if part in path:
            return answer(body, said, call)
    raise LookupError(path)


RESULTS = ('"role": "tool"', "toolResult", "functionResponse", "function_call_output")


def _given(call: str) -> dict[str, str]:
    return {"query": "mill"} if call == "search_notes" else {"text": "two words"}


def _chat(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    made = {"name": call, "arguments": json.dumps(_given(call))}
    tools = [{"id": "c1", "index": 0, "type": "function", "function": made}] if call else None
    usage = {
        "prompt_tokens": TOTAL,
        "completion_tokens": OUTPUT,
        "total_tokens": TOTAL + OUTPUT,
        "prompt_tokens_details": {"cached_tokens": CACHED},
    }
    message = {"role": "assistant", "content": said or None, "tool_calls": tools}
    head = {"id": "r1", "model": body.get("model", "m"), "created": 1}
    reason = "tool_calls" if call else "stop"
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": reason}
        done = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return "application/json", json.dumps(done).encode()
    head["object"] = "chat.completion.chunk"
    events = [
        {**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {**head, "choices": [], "usage": usage},
    ]
    return "text/event-stream", _sse(events) + b"data: [DONE]\n\n"


def _responses(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    item: dict[str, Any] = {
        "type": "message",
        "id": "m1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": said, "annotations": []}],
    }
    if call:
        item = {"type": "function_call", "id": "f1", "call_id": "c1", "name": call}
        item["arguments"] = json.dumps(_given(call))
    done = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": body.get("model", "m"),
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": TOTAL,
            "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
            "output_tokens": OUTPUT,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": TOTAL + OUTPUT,
        },
    }
    return "application/json", json.dumps(done).encode()


def _converse(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    use = {"toolUse": {"toolUseId": "c1", "name": call, "input": _given(call)}}
    reason = "tool_use" if call else "end_turn"
    done = {
        "output": {"message": {"role": "assistant", "content": [use if call else {"text": said}]}},
        "stopReason": reason,
        "usage": _CONVERSE_USAGE,
        "metrics": {"latencyMs": 1},
    }
    return "application/json", json.dumps(done).encode()


_CONVERSE_USAGE = {
    "inputTokens": TOTAL - CACHED - WRITTEN,
    "outputTokens": OUTPUT,
    "totalTokens": TOTAL + OUTPUT,
    "cacheReadInputTokens": CACHED,
    "cacheWriteInputTokens": WRITTEN,
}


def _converse_stream(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    start: dict[str, Any] = {"toolUse": {"toolUseId": "c1", "name": call}} if call else {}
    delta = {"toolUse": {"input": json.dumps(_given(call))}} if call else {"text": said}
    events = [
        ("messageStart", {"role": "assistant"}),
        *([("contentBlockStart", {"start": start, "contentBlockIndex": 0})] if call else []),
        ("contentBlockDelta", {"delta": delta, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "tool_use" if call else "end_turn"}),
        ("metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}),
    ]
    content = b"".join(_frame(kind, value) for kind, value in events)
    return "application/vnd.amazon.eventstream", content


def _frame(kind: str, value: dict[str, Any]) -> bytes:
    """One event in AWS's binary stream format."""
    names = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
        for name, text in names.items()
    )
    payload = json.dumps(value).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _gemini(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    made = {"functionCall": {"name": call, "args": _given(call)}}
    content = {"role": "model", "parts": [made if call else {"text": said}]}
    done = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": TOTAL,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": OUTPUT,
            "totalTokenCount": TOTAL + OUTPUT,
        },
    }
    return "application/json", json.dumps(done).encode()


def _gemini_stream(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    return "text/event-stream", _sse([json.loads(_gemini(body, said, call)[1])])


def _count(body: dict[str, Any], said: str, call: str) -> tuple[str, bytes]:
    return "application/json", json.dumps({"input_tokens": 100, "object": "x"}).encode()


def _sse(events: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


_ANSWERS = {
    "/input_tokens": _count,
    "/count-tokens": lambda *_: ("application/json", b'{"inputTokens": 100}'),
    ":countTokens": lambda *_: ("application/json", b'{"totalTokens": 100}'),
    "/converse-stream": _converse_stream,
    "/converse": _converse,
    ":streamGenerateContent": _gemini_stream,
    ":generateContent": _gemini,
    "/responses": _responses,
    "/chat/completions": _chat,
}
