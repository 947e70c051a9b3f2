"""Every model class of CrewAI over HTTP: what is forked, marked, restricted, read, and restored."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from crewai import LLM, BaseLLM
from crewai.utilities.llm_utils import create_llm

import agentcache
from agentcache import loopback
from agentcache.rules import rule_for
from agentcache_crewai.native import wire_of

from .classes_kit import (
    BRIEF,
    CACHED,
    OUTPUT,
    TOTAL,
    WRITTEN,
    Recorder,
    crew_of,
    executed,
    marks_in,
    recording,
    rendered,
    shared_share,
)
from .shapes_kit import CREWAI, staff


@dataclass(frozen=True)
class Case:
    """One model class against the recorder: how to make it, and what its fork must carry."""

    make: Callable[[Recorder, bool], BaseLLM]
    needs: tuple[str, ...] = ()
    provider: str | None = None
    mark: str = ""
    choices: tuple[Any, ...] = ("left", "left", "left", "left")
    written: int | None = None
    cached_when_streamed: int | None = CACHED
    note: str = ""
    since: tuple[int, ...] = (0,)


NONE = "none"
AUTO = "auto"
LISTED = "listed"


def compatible(provider: str, model: str) -> Callable[[Recorder, bool], BaseLLM]:
    def make(at: Recorder, stream: bool) -> BaseLLM:
        return LLM(f"{provider}/{model}", base_url=f"{at.url}/v1", api_key="x", stream=stream)

    return make


def azure(at: Recorder, stream: bool, **more: Any) -> BaseLLM:
    return LLM(
        "azure/gpt-4.1-mini", endpoint=f"{at.url}/openai", api_key="x", stream=stream, **more
    )


def bedrock(model: str) -> Callable[[Recorder, bool], BaseLLM]:
    def make(at: Recorder, stream: bool) -> BaseLLM:
        patch = pytest.MonkeyPatch()
        patch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", at.url)
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        made = LLM(f"bedrock/{model}", region_name="us-east-1", stream=stream, **keys)
        patch.undo()
        return made

    return make


def gemini(at: Recorder, stream: bool) -> BaseLLM:
    options = {"http_options": {"base_url": at.url}}
    return LLM("gemini/gemini-2.5-pro", api_key="x", stream=stream, client_params=options)


def snowflake(model: str) -> Callable[[Recorder, bool], BaseLLM]:
    def make(at: Recorder, stream: bool) -> BaseLLM:
        return LLM(f"snowflake/{model}", base_url=at.url, api_key="x", stream=stream)

    return make


def litellm(model: str) -> Callable[[Recorder, bool], BaseLLM]:
    def make(at: Recorder, stream: bool) -> BaseLLM:
        return LLM(model, is_litellm=True, base_url=f"{at.url}/v1", api_key="x", stream=stream)

    return make


SOME = (LISTED, LISTED, LISTED, NONE)
HOST = (AUTO, AUTO, AUTO, NONE)
CASES = {
    "openrouter": Case(compatible("openrouter", "openai/gpt-4.1-mini")),
    "deepseek": Case(compatible("deepseek", "deepseek-chat")),
    "ollama": Case(compatible("ollama", "llama3.3")),
    "hosted_vllm": Case(compatible("hosted_vllm", "qwen3-8b")),
    "cerebras": Case(compatible("cerebras", "llama-3.3-70b")),
    "dashscope": Case(compatible("dashscope", "qwen-plus")),
    "azure": Case(azure, ("azure.ai.inference",), cached_when_streamed=None, note="CrewAI drops"),
    "bedrock-claude": Case(
        bedrock("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("boto3",),
        mark="cachePoint",
        written=WRITTEN,
        note="tool_choice (Converse",
    ),
    "bedrock-nova": Case(bedrock("amazon.nova-pro-v1:0"), ("boto3",), written=WRITTEN),
    "gemini": Case(gemini, ("google.genai",), note="in the messages only"),
    "snowflake": Case(snowflake("openai-gpt-4.1"), since=(1, 15)),
    "litellm-openai": Case(litellm("openai/gpt-4.1-mini"), ("litellm",), note="first event"),
}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as running:
        yield running


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    if CREWAI < found.since:
        pytest.skip(f"crewai {CREWAI} has no such class")
    for module in found.needs:
        pytest.importorskip(module, reason=f"{request.param} needs {module}")
    return found


def ran(recorder: Recorder, crew: Any) -> str:
    """Run the crew on its own record; what every task answered."""
    recorder.calls.clear()
    executed.clear()
    output = crew.kickoff()
    return "\n".join(task.raw for task in output.tasks_output)


def firsts(recorder: Recorder) -> list[dict[str, Any]]:
    """The first request of every agent: the researcher makes two."""
    assert len(recorder.bodies) == 4
    return [recorder.bodies[n] for n in (0, 2, 3)]


@pytest.mark.parametrize("stream", [False, True])
def test_every_class_sends_one_shared_start_and_answers_as_before(case, recorder, stream):
    llm = case.make(recorder, stream)
    crew = crew_of(llm)
    plain = ran(recorder, crew)
    alone = shared_share(firsts(recorder))
    before = [rendered(body) for body in recorder.bodies]
    ledger = agentcache.Ledger()

    agentcache.wrap(crew, context=[BRIEF], provider=case.provider, ledger=ledger, layout="fork")
    forked = ran(recorder, crew)

    assert forked == plain
    assert executed == ["search_notes"]
    assert alone < 0.1
    assert shared_share(firsts(recorder)) >= 0.95
    assert [call.reason for call in ledger.calls] == [""] * 4
    assert "cache_breakpoint" not in json.dumps(recorder.bodies)
    assert {m for body in recorder.bodies for m in marks_in(body)} <= {case.mark}
    assert all(marks_in(body) for body in recorder.bodies) is bool(case.mark)
    usages = {call.usage for call in ledger.calls}
    cached = case.cached_when_streamed if stream else CACHED
    assert usages == {agentcache.Usage(TOTAL, cached, case.written, OUTPUT)}
    assert case.note in "\n".join(ledger.notes)

    agentcache.unwrap(crew)
    assert ran(recorder, crew) == plain
    assert [rendered(body) for body in recorder.bodies] == before
    assert crew.agents[0].llm is llm
