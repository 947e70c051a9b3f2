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
    RESULTS,
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
from .shapes_kit import CREWAI, speaker, staff


@dataclass(frozen=True)
class Case:
    """One model class against the recorder: how to make it, and what its fork must carry."""

    make: Callable[[Recorder, bool], BaseLLM]
    needs: tuple[str, ...] = ()
    provider: str | None = None
    mark: str = ""
    choices: tuple[str, ...] = ("auto", "auto", "auto", "none")
    adds: frozenset[str] = frozenset()
    written: int | None = None
    cached_when_streamed: int | None = CACHED
    streams_tools: bool = True
    note: str = ""
    since: tuple[int, ...] = (0,)


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
        url = f"{at.url}/v1"
        return LLM(model=model, is_litellm=True, base_url=url, api_key="x", stream=stream)

    return make


LISTED = ("search_notes", "search_notes", "count_words", "none")
NOTHING = ("", "", "", "")
ENGINE = ("auto", "auto", "auto", "")
KEY = frozenset({"prompt_cache_key"})
ON_CONVERSE = "tool_choice (Converse"
CASES = {
    "openrouter": Case(
        compatible("openrouter", "openai/gpt-4.1-mini"),
        choices=LISTED,
        adds=frozenset({"session_id"}),
    ),
    "openrouter-claude": Case(
        compatible("openrouter", "anthropic/claude-haiku-4.5"),
        mark="cache_control",
        adds=frozenset({"session_id"}),
    ),
    "deepseek": Case(compatible("deepseek", "deepseek-chat")),
    "ollama": Case(compatible("ollama", "llama3.3"), choices=ENGINE, note="on Ollama"),
    "hosted_vllm": Case(compatible("hosted_vllm", "qwen3-8b"), choices=ENGINE, note="on vLLM"),
    "cerebras": Case(compatible("cerebras", "llama-3.3-70b")),
    "dashscope": Case(compatible("dashscope", "qwen-plus")),
    "azure": Case(
        azure,
        ("azure.ai.inference",),
        choices=LISTED,
        adds=KEY,
        cached_when_streamed=None,
        note="CrewAI drops",
    ),
    "bedrock-claude": Case(
        bedrock("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("boto3",),
        mark="cachePoint",
        choices=NOTHING,
        written=WRITTEN,
        streams_tools=False,
        note=ON_CONVERSE,
    ),
    "bedrock-nova": Case(
        bedrock("amazon.nova-pro-v1:0"),
        ("boto3",),
        choices=NOTHING,
        written=WRITTEN,
        streams_tools=False,
        note=ON_CONVERSE,
    ),
    "gemini": Case(gemini, ("google.genai",), choices=NOTHING, note="in the messages only"),
    "snowflake": Case(snowflake("openai-gpt-4.1"), choices=LISTED, since=(1, 15)),
    "litellm-openai": Case(
        litellm("openai/gpt-4.1-mini"), ("litellm",), choices=LISTED, adds=KEY, note="first event"
    ),
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
    """The first request of every agent; the researcher makes two."""
    return [body for body in recorder.bodies if not any(r in json.dumps(body) for r in RESULTS)]


def choice_in(body: dict[str, Any]) -> str:
    """The tools a request allows: a word of the API's, or the one tool that is listed."""
    choice = body.get("tool_choice") or body.get("toolConfig", {}).get("toolChoice") or ""
    if isinstance(choice, str):
        return choice
    allowed = choice.get("allowed_tools", choice)
    [only] = allowed["tools"]
    return only.get("function", only)["name"]


@pytest.mark.parametrize("stream", [False, True])
def test_every_class_sends_one_shared_start_and_answers_as_before(case, recorder, stream):
    llm = case.make(recorder, stream)
    crew = crew_of(llm)
    plain = ran(recorder, crew)
    alone = shared_share(firsts(recorder))
    before = [rendered(body) for body in recorder.bodies]
    keys = {key for body in recorder.bodies for key in body}
    ledger = agentcache.Ledger()

    agentcache.wrap(crew, context=[BRIEF], provider=case.provider, ledger=ledger, layout="fork")
    forked = ran(recorder, crew)

    loops = case.streams_tools or not stream
    assert forked == plain
    assert executed == ["search_notes"][: int(loops)]
    assert len(recorder.bodies) == 3 + int(loops)
    assert alone < 0.1
    assert shared_share(firsts(recorder)) >= 0.95
    assert [call.reason for call in ledger.calls] == [""] * len(recorder.bodies)
    assert "cache_breakpoint" not in json.dumps(recorder.bodies)
    assert {m for body in recorder.bodies for m in marks_in(body)} <= {case.mark}
    assert all(marks_in(body) for body in recorder.bodies) is bool(case.mark)
    unlooped = [c for n, c in enumerate(case.choices) if loops or n != 1]
    assert [choice_in(body) for body in recorder.bodies] == unlooped
    about_tools = {"tools", "tool_choice", "toolConfig"}
    assert {k for body in recorder.bodies for k in body} - keys - about_tools == case.adds
    usages = {call.usage for call in ledger.calls}
    cached = case.cached_when_streamed if stream else CACHED
    assert usages == {agentcache.Usage(TOTAL, cached, case.written, OUTPUT)}
    assert case.note in "\n".join(ledger.notes)

    agentcache.unwrap(crew)
    assert ran(recorder, crew) == plain
    assert [rendered(body) for body in recorder.bodies] == before
    assert crew.agents[0].llm is llm


def test_a_forked_model_without_tools_that_calls_one_is_told_and_nothing_runs(case, recorder):
    crew = crew_of(case.make(recorder, False))
    agentcache.wrap(crew, context=[BRIEF], layout="fork")
    recorder.always_calls = "count_words"

    answers = ran(recorder, crew)

    assert executed == ["count_words"]  # by the counter, whose tool it is
    assert "Writer stopped" in answers


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=staff) as running:
        yield running


def quiet(turn: loopback.Turn) -> loopback.Answer:
    """Answer by role, without a tool."""
    return loopback.Answer(f"The {speaker(turn)} is done.")


def bodies_of(provider: loopback.Loopback) -> list[dict[str, Any]]:
    return [json.loads(r.raw) for r in provider.log if r.api != "other"]


def responses(provider: loopback.Loopback, model: str, **more: Any) -> BaseLLM:
    url = provider.openai_url
    return LLM(model=model, provider="openai", base_url=url, api_key="x", api="responses", **more)


def through_litellm(provider: loopback.Loopback, model: str, **more: Any) -> BaseLLM:
    pytest.importorskip("litellm", reason="crewai's LiteLLM path needs litellm")
    claude = model.startswith("anthropic/")
    url = provider.url if claude else provider.openai_url
    return LLM(model=model, is_litellm=True, base_url=url, api_key="x", **more)


ON_LOOPBACK = [
    (responses, "gpt-6-luna", "prompt_cache_breakpoint", "count_words"),
    (responses, "gpt-4.1-mini", "", "count_words"),
    (through_litellm, "openai/gpt-6-luna", "prompt_cache_breakpoint", ""),
    (through_litellm, "openai/gpt-4.1-mini", "", "count_words"),
    (through_litellm, "anthropic/claude-sonnet-4-5", "cache_control", ""),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("make", "model", "mark", "listed"), ON_LOOPBACK)
def test_a_provider_that_keeps_the_rules_reads_the_trunk_in_every_fork(
    provider, make, model, mark, listed, stream
):
    # CrewAI itself loses the tool calls of streamed Responses, and their ids on LiteLLM.
    provider.script(quiet if stream or (make is responses and CREWAI < (1, 15)) else staff)
    crew = crew_of(make(provider, model, stream=stream))
    plain = "\n".join(t.raw for t in crew.kickoff().tasks_output)
    provider.reset()
    ledger = agentcache.Ledger()

    agentcache.wrap(crew, context=[BRIEF], ledger=ledger)
    forked = "\n".join(t.raw for t in crew.kickoff().tasks_output)

    assert forked == plain
    calls = [r for r in provider.log if r.api != "other"]
    sent = bodies_of(provider)
    assert [call.reason for call in ledger.calls] == [""] * len(calls)
    assert shared_share(sent) >= 0.95
    assert calls[0].cached_tokens == 0
    assert all((r.cached_tokens or 0) >= 0.9 * (r.input_tokens or 0) for r in calls[1:])
    assert all(bool(marks_in(body)) == bool(mark) for body in sent)
    assert {m for body in sent for m in marks_in(body)} <= {mark}
    assert "cache_breakpoint\": true" not in json.dumps(sent)
    of_counter = next(b for b in sent if "You are Counter" in json.dumps(b))
    assert choice_in(of_counter) == listed
    read = [(c.usage.input_tokens, c.usage.cached_tokens) for c in ledger.calls]
    assert read == [(r.input_tokens, r.cached_tokens) for r in calls]
