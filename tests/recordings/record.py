"""Write the files in data/ with the tools that programs are recorded with. Not a test.

    python record.py TOOL PORT

PORT is that of a loopback provider (agentcache loopback). Each tool needs its own packages, named
at its function with the versions that wrote what is here.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

DATA = Path(__file__).with_name("data")
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8808
OPENAI = {"base_url": f"http://127.0.0.1:{PORT}/v1", "api_key": "sk-SECRET"}
ANTHROPIC = {"base_url": f"http://127.0.0.1:{PORT}", "api_key": "sk-ant-SECRET"}
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
CALLED = {"name": "search", "arguments": '{"q": "whales"}'}
CALL = {"id": "call_1", "type": "function", "function": CALLED}
ONE = {"role": "user", "content": "Write the opening line."}


def system(who: str, time: str) -> str:
    rules = "You never guess. You cite each source by name and page. " * 3
    return f"You are {who}.\nCurrent time: {time}\n{rules}"


def chats(client: Any, model: str = "gpt-6-luna") -> None:
    """A writer of three turns, whose clock moves in the last one, and a reviewer in between."""
    tool = {"name": "search", "description": "Search the archive.", "parameters": SCHEMA}
    tools = [{"type": "function", "function": tool}]
    loop = [
        ONE,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Call me Ishmael."},
    ]
    more = [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "Go on."}]

    def ask(text: str, messages: list[Any], **params: Any) -> Any:
        head = {"role": "system", "content": text}
        wanted = {"model": model, "tools": tools, "max_tokens": 50, **params}
        return client.chat.completions.create(messages=[head, *messages], **wanted)

    ask(system("the writer", "10:00:00"), [ONE])
    ask(system("the writer", "10:00:00"), loop)
    ask(system("the reviewer", "10:00:00"), [{"role": "user", "content": "Review it."}])
    told = {"stream": True, "stream_options": {"include_usage": True}}
    list(ask(system("the writer", "10:05:30"), [*loop, *more], **told))


def messages(client: Any) -> None:
    """The same writer on Anthropic's wire, with a mark on its system text."""
    tool = {"name": "search", "description": "Search the archive.", "input_schema": SCHEMA}
    use = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"q": "whales"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Call me Ishmael."}
    loop = [ONE, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]

    def ask(text: str, messages: list[Any], **params: Any) -> Any:
        part = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
        wanted = {"model": "claude-haiku-5-5", "max_tokens": 50, "tools": [tool], **params}
        return client.messages.create(system=[part], messages=messages, **wanted)

    ask(system("the writer", "10:00:00"), [ONE])
    ask(system("the writer", "10:00:00"), loop)
    list(ask(system("the writer", "10:05:30"), loop, stream=True))


@contextmanager
def spans(name: str, *, logs: bool = False) -> Iterator[Any]:
    """opentelemetry-sdk 1.45.2 with its console exporter and otlp-json-file 0.66b1."""
    from opentelemetry import _logs, trace
    from opentelemetry.exporter.otlp.json.file import FileSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    tracing, logging = TracerProvider(), LoggerProvider()
    with (DATA / f"{name}-console.json").open("w") as console:
        for exporter in (
            ConsoleSpanExporter(out=console),
            FileSpanExporter(str(DATA / f"{name}-otlp.jsonl")),
        ):
            tracing.add_span_processor(SimpleSpanProcessor(exporter))
        if logs:
            logged = SimpleLogRecordProcessor(ConsoleLogRecordExporter(out=console))
            logging.add_log_record_processor(logged)
        trace.set_tracer_provider(tracing)
        _logs.set_logger_provider(logging)
        yield trace.get_tracer("program")
        tracing.shutdown()
        logging.shutdown()


def genai(where: str) -> None:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = where
    os.environ["OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"] = "true"


def otel_openai() -> None:
    """opentelemetry-instrumentation-genai-openai 1.3b0, openai 3.54.0; agents by their spans."""
    genai("SPAN_ONLY")
    from openai import OpenAI
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    with spans("otel-openai") as tracer:
        OpenAIInstrumentor().instrument()
        names = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "crew"}
        with tracer.start_as_current_span("invoke_agent crew", attributes=names):
            chats(OpenAI(**OPENAI))


def otel_anthropic() -> None:
    """opentelemetry-instrumentation-genai-anthropic 1.3b0; anthropic 2.12.0 adds its own spans."""
    genai("EVENT_ONLY")
    from anthropic import Anthropic
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

    with spans("otel-anthropic", logs=True):
        AnthropicInstrumentor().instrument()
        messages(Anthropic(**ANTHROPIC))


def otel_openinference() -> None:
    """openinference-instrumentation-openai 0.1.66."""
    from openai import OpenAI
    from openinference.instrumentation.openai import OpenAIInstrumentor

    with spans("otel-openinference"):
        OpenAIInstrumentor().instrument()
        chats(OpenAI(**OPENAI))


def otel_events() -> None:
    """opentelemetry-sdk 1.37.0, opentelemetry-instrumentation-openai-v2 2.1b0: events only."""
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"
    from openai import OpenAI
    from opentelemetry import trace
    from opentelemetry._events import set_event_logger_provider
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    from opentelemetry.sdk._events import EventLoggerProvider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import ConsoleLogExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    with (DATA / "otel-events-console.json").open("w") as out:
        tracing, logging = TracerProvider(), LoggerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
        logging.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogExporter(out=out)))
        trace.set_tracer_provider(tracing)
        set_event_logger_provider(EventLoggerProvider(logging))
        OpenAIInstrumentor().instrument()
        chats(OpenAI(**OPENAI))
        tracing.shutdown()


@contextmanager
def posted(name: str) -> Iterator[str]:
    """Stand in for LangSmith: keep what its client posts, as its API gives it back."""
    runs: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            run = json.loads(self.rfile.read(int(self.headers["content-length"])))
            run.get("extra", {}).pop("runtime", None)  # tells of the machine
            key = run.get("id") or self.path.rsplit("/", 1)[-1]
            runs.setdefault(key, {}).update({k: v for k, v in run.items() if v is not None})
            self.answer()

        do_PATCH = do_POST  # noqa: N815 - the server's own spelling

        def answer(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    lines = [json.dumps(run) for run in reversed(runs.values())]  # the API gives the latest first
    (DATA / name).write_text("\n".join(lines) + "\n")


def langsmith() -> None:
    """langsmith 0.15.0 around openai 3.54.0."""
    from langsmith import Client
    from langsmith.wrappers import wrap_openai
    from openai import OpenAI

    os.environ["LANGSMITH_TRACING"] = "true"
    with posted("langsmith-sdk.jsonl") as url:
        client = Client(api_url=url, api_key="ls-SECRET", auto_batch_tracing=False)
        wrapped = wrap_openai(OpenAI(**OPENAI), tracing_extra={"client": client})
        chats(wrapped)
        secret = {"x-acme-token": "SECRET", "x-session-affinity": "crew-1"}
        asked = {"model": "gpt-6-luna", "messages": [ONE], "extra_headers": secret}
        wrapped.chat.completions.create(**asked, extra_body={"prompt_cache_key": "crew"})
        client.flush()


def langsmith_langchain() -> None:
    """langchain 1.4.7, langchain-openai 1.7.3, langchain-anthropic 1.7.7, langsmith 0.15.0."""
    from langchain.agents import create_agent
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_core.tracers import LangChainTracer
    from langchain_openai import ChatOpenAI
    from langsmith import Client

    @tool
    def search(q: str) -> str:
        """Search the archive."""
        return q

    with posted("langsmith-langchain.jsonl") as url:
        traced = {
            "callbacks": [
                LangChainTracer(client=Client(url, api_key="s", auto_batch_tracing=False))
            ]
        }
        model = ChatOpenAI(model="gpt-4.1-mini", temperature=0.2, **OPENAI)
        text, said = SystemMessage(system("the writer", "10:00:00")), HumanMessage(ONE["content"])
        called = {"id": "call_1", "name": "search", "args": {"q": "whales"}}
        loop = [
            said,
            AIMessage("", tool_calls=[called]),
            ToolMessage("Ish.", tool_call_id="call_1"),
        ]
        bound = model.bind_tools([search])
        bound.invoke([text, said], config=traced)
        bound.invoke([text, *loop], config=traced)
        agent = create_agent(
            model, [search], system_prompt=system("the reviewer", "10:00:00"), name="reviewer"
        )
        agent.invoke({"messages": [HumanMessage("Review it.")]}, config=traced)
        late = SystemMessage(system("the writer", "10:05:30"))
        list(bound.stream([late, *loop, HumanMessage("Go on.")], config=traced))
        claude = ChatAnthropic(model="claude-haiku-5-5", max_tokens=50, **ANTHROPIC)
        marked = {"type": "text", "text": text.content, "cache_control": {"type": "ephemeral"}}
        claude.bind_tools([search]).invoke([SystemMessage([marked]), *loop], config=traced)


def langfuse() -> None:
    """langfuse 5.0.4: its spans, as its API gives observations back (after its own models)."""
    keys = {"PUBLIC_KEY": "pk-lf-x", "SECRET_KEY": "sk-lf-SECRET", "HOST": "http://127.0.0.1:1"}
    os.environ.update({f"LANGFUSE_{name}": value for name, value in keys.items()})
    from langfuse import Langfuse
    from langfuse.openai import openai
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    held, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(held))
    fuse = Langfuse(tracer_provider=tracing)
    with fuse.start_as_current_observation(name="crew", as_type="agent"):
        chats(openai.OpenAI(**OPENAI))
    rows = [_observation(span) for span in held.get_finished_spans()]
    (DATA / "langfuse-api.json").write_text(json.dumps({"data": rows, "meta": {"cursor": None}}))
    sys.stdout.flush()
    os._exit(0)  # its own exporter would wait for a server


def _observation(span: Any) -> Any:
    from langfuse.api.commons.types.observation_v2 import ObservationV2

    prefix = "langfuse.observation."
    told = {k.removeprefix(prefix): v for k, v in span.attributes.items() if k.startswith(prefix)}
    used = json.loads(told.get("usage_details", "{}"))
    details = used.get("prompt_tokens_details", {})
    flat = {f"input_{key}": n for key, n in details.items()}  # as its server takes them apart
    fresh = used.get("prompt_tokens", 0) - sum(flat.values())
    flat |= {
        "input": fresh,
        "output": used.get("completion_tokens"),
        "total": used.get("total_tokens"),
    }
    made = ObservationV2(
        id=f"{span.context.span_id:016x}",
        trace_id=f"{span.context.trace_id:032x}",
        parent_observation_id=f"{span.parent.span_id:016x}" if span.parent else None,
        project_id="p",
        type=told["type"].upper(),
        name=span.name,
        start_time=datetime.fromtimestamp(span.start_time / 1e9, timezone.utc),
        end_time=datetime.fromtimestamp(span.end_time / 1e9, timezone.utc),
        input=told.get("input"),
        output=told.get("output"),
        model=told.get("model.name"),
        model_parameters=json.loads(told.get("model.parameters", "{}")),
        usage_details=flat if used else None,
    )
    return json.loads(made.json())


def vcr() -> None:
    """vcrpy 9.4.2 around openai 3.54.0 and anthropic 2.12.0, in both of its forms."""
    import httpx
    from anthropic import Anthropic
    from openai import OpenAI
    from vcr import VCR

    beta = {"anthropic-beta": "extended-cache-ttl-2025-04-11"}
    for form in ("yaml", "json"):
        tape = VCR(serializer=form, record_mode="all", cassette_library_dir=str(DATA))
        with tape.use_cassette(f"cassette.{form}"):
            chats(OpenAI(**OPENAI, default_headers={"X-Session-Affinity": "crew-1"}))
            messages(Anthropic(**ANTHROPIC, default_headers=beta))
            httpx.get(f"http://127.0.0.1:{PORT}/v1/models?key=SECRET")


def har() -> None:
    """harfile 0.6.0, from the exchanges of the cassette."""
    import harfile

    tape = json.loads((DATA / "cassette.json").read_text())
    with harfile.HarFile.open(str(DATA / "session.har")) as file:
        for n, one in enumerate(tape["interactions"]):
            request, response = one["request"], one["response"]
            pairs = [
                [harfile.Record(name=k, value=v[0]) for k, v in held["headers"].items()]
                for held in (request, response)
            ]
            body = response["body"]["string"]
            file.add_entry(
                startedDateTime=f"2026-11-23T14:{n:02}:00.000Z",
                time=1500,
                request=harfile.Request(
                    method=request["method"],
                    url=request["uri"],
                    httpVersion="HTTP/1.1",
                    headers=pairs[0],
                    postData=harfile.PostData(mimeType="application/json", text=request["body"]),
                ),
                response=harfile.Response(
                    status=200,
                    statusText="OK",
                    httpVersion="HTTP/1.1",
                    headers=pairs[1],
                    content=harfile.Content(size=len(body), mimeType="text/plain", text=body),
                ),
                timings=harfile.Timings(send=0, wait=1500, receive=0),
            )


TOOLS: dict[str, Callable[[], None]] = {
    tool.__name__: tool
    for tool in (
        otel_openai,
        otel_anthropic,
        otel_openinference,
        otel_events,
        langsmith,
        langsmith_langchain,
        langfuse,
        vcr,
        har,
    )
}

if __name__ == "__main__":
    TOOLS[sys.argv[1]]()
