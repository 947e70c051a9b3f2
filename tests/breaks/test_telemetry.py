"""A break in a program that is traced: an event, and nothing of what was said."""

import subprocess
import sys
from typing import Any

import pytest

import agentcache
from agentcache import loopback
from agentcache.breaks.telemetry import emit

trace = pytest.importorskip("opentelemetry.trace")
pytest.importorskip("opentelemetry.sdk.trace")

BRIEF = "The harbour keeps its records in the old mill. " * 300


def request(day: int) -> dict[str, Any]:
    system = {"role": "system", "content": f"It is 2026-11-{day}T10:00:00. {BRIEF}"}
    return {"model": "gpt-6-luna", "messages": [system, {"role": "user", "content": "Go on."}]}


@pytest.fixture
def spans(monkeypatch):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield provider, kept
    provider.shutdown()


def broken() -> agentcache.CacheBreak:
    found = agentcache.find_break(request(22), request(23))
    assert found is not None
    return found.model_copy(update={"agent": "Clerk"})


def check(name: str, attributes: dict[str, Any]) -> None:
    assert name == "agentcache.cache_break"
    assert attributes["gen_ai.agent.name"] == "Clerk"
    assert attributes["agentcache.break.kind"] == "timestamp"
    assert attributes["agentcache.break.path"] == "messages[0].content"
    assert attributes["agentcache.break.offset"] == 15
    assert attributes["agentcache.break.tokens_lost"] > 2_000
    assert "harbour" not in str(attributes)
    assert "2026" not in str(attributes)


def test_the_span_under_way_gets_an_event(spans):
    provider, kept = spans
    with provider.get_tracer("host").start_as_current_span("chat gpt-6-luna"):
        emit(broken())
    (span,) = kept.get_finished_spans()
    (event,) = span.events
    check(event.name, dict(event.attributes))


def test_without_a_span_the_event_is_a_span_of_its_own(spans):
    _, kept = spans
    emit(broken())
    (span,) = kept.get_finished_spans()
    check(span.name, dict(span.attributes))


def test_a_live_break_is_told_to_the_span_around_its_call(spans):
    openai = pytest.importorskip("openai")
    provider, kept = spans
    with (
        loopback.serve() as there,
        openai.OpenAI(base_url=there.openai_url, api_key="dummy") as client,
        provider.get_tracer("host").start_as_current_span("job"),
    ):
        agentcache.observe(client)
        for day in (22, 23):
            client.chat.completions.create(**request(day))
    events = [event for span in kept.get_finished_spans() for event in span.events]
    assert [(e.name, e.attributes["agentcache.break.kind"]) for e in events] == [
        ("agentcache.cache_break", "timestamp")
    ]


def test_a_program_that_is_not_traced_does_not_import_opentelemetry():
    code = (
        "import sys, agentcache; from agentcache.breaks.telemetry import emit; "
        "one = agentcache.find_break({'model': 'gpt-6-luna', 'messages': []}, "
        "{'model': 'gpt-6-sol', 'messages': []}); emit(one); "
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
