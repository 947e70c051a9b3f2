"""Every model class of CrewAI over HTTP: what is forked, marked, restricted, read, and restored."""

import gc
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from crewai import LLM, BaseLLM

import agentcache
from agentcache import loopback
from agentcache_crewai.classes import wire_of

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


@pytest.fixture(autouse=True)
def nothing_is_collected_within_a_call() -> Iterator[None]:
    """Keep LiteLLM's abandoned streams alive until the test ends.

    httpcore closes a collected stream under its pool's lock. Where the collector runs while the
    next call of the same client holds that lock, the thread waits for itself forever.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as running:
        yield running


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    if found.since > CREWAI:
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
    before = json.dumps(recorder.bodies)
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
    added = {k for body in recorder.bodies for k in body} - keys - about_tools
    assert added == case.adds
    usages = {call.usage for call in ledger.calls}
    cached = case.cached_when_streamed if stream else CACHED
    assert usages == {agentcache.Usage(TOTAL, cached, case.written, OUTPUT)}
    assert case.note in "\n".join(ledger.notes)

    agentcache.unwrap(crew)
    assert ran(recorder, crew) == plain
    assert json.dumps(recorder.bodies) == before
    assert crew.agents[0].llm is llm


def test_a_forked_model_without_tools_that_calls_one_is_told_and_nothing_runs(case, recorder):
    crew = crew_of(case.make(recorder, False))
    agentcache.wrap(crew, context=[BRIEF], layout="fork")
    recorder.always_calls = "count_words"

    answers = ran(recorder, crew)

    assert executed == ["count_words"]  # by the counter, whose tool it is
    assert "Writer stopped" in answers


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


def run_of(crew: Any) -> str:
    return "\n".join(task.raw for task in crew.kickoff().tasks_output)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("make", "model", "mark", "listed"), ON_LOOPBACK)
def test_a_provider_that_keeps_the_rules_reads_the_trunk_in_every_fork(
    make, model, mark, listed, stream
):
    # CrewAI itself loses the tool calls of streamed Responses, and their ids on LiteLLM.
    script = quiet if stream or (make is responses and CREWAI < (1, 15)) else staff
    with loopback.serve(script=script) as provider:
        crew = crew_of(make(provider, model, stream=stream))
        plain = run_of(crew)
        provider.reset()
        ledger = agentcache.Ledger()
        agentcache.wrap(crew, context=[BRIEF], ledger=ledger)
        forked = run_of(crew)
        calls, sent = [r for r in provider.log if r.api != "other"], bodies_of(provider)
    assert forked == plain
    assert [call.reason for call in ledger.calls] == [""] * len(calls)
    assert shared_share(sent) >= 0.95
    assert calls[0].cached_tokens == 0
    assert all((r.cached_tokens or 0) >= 0.9 * (r.input_tokens or 0) for r in calls[1:])
    assert {key for body in sent for key in marks_in(body)} == ({mark} if mark else set())
    assert '"cache_breakpoint"' not in json.dumps(sent)
    of_counter = next(b for b in sent if "You are Counter" in json.dumps(b))
    assert choice_in(of_counter) == listed
    read = [(c.usage.input_tokens, c.usage.cached_tokens) for c in ledger.calls]
    assert read == [(r.input_tokens, r.cached_tokens) for r in calls]


def test_a_host_that_routes_by_header_gets_one_for_all_forks(recorder):
    url = f"{recorder.url}/v1"
    llm = LLM(model="grok-4", provider="openai", base_url=url, api_key="x")
    crew = agentcache.wrap(crew_of(llm), context=[BRIEF], provider="xai")

    ran(recorder, crew)

    sent = {headers.get("x-grok-conv-id") for headers in recorder.headers}
    assert sent == {agentcache.session(crew).affinity_id}


@pytest.mark.parametrize("chain", [{"auto_chain": True}, {"previous_response_id": "resp_0"}])
def test_calls_that_continue_a_response_pass_through_and_continue_the_same(recorder, chain):
    def made() -> BaseLLM:
        url = f"{recorder.url}/v1"
        named = {"model": "gpt-4.1-mini", "provider": "openai", "base_url": url, "api_key": "x"}
        return LLM(**named, api="responses", **chain)

    recorder.answers_only = True
    ran(recorder, crew_of(made()))
    plain = list(recorder.bodies)
    model = made()
    crew = agentcache.wrap(crew_of(model), context=[BRIEF], layout="fork")

    ran(recorder, crew)

    assert recorder.bodies == plain
    passed = agentcache.report(crew).passed_through
    assert {p.reason.partition(":")[0] for p in passed} == {"chained"}
    assert model.last_response_id == ("resp_1" if "auto_chain" in chain else None)


@pytest.mark.skipif(CREWAI < (1, 15), reason="crewai < 1.15 does not change the API in mid-run")
def test_a_model_that_crewai_moves_to_responses_in_mid_run_passes_through_and_is_told(
    recorder, monkeypatch
):
    from crewai.llms.providers.openai import completion

    monkeypatch.setattr(completion, "_LEARNED_RESPONSES_ONLY_MODELS", set())
    refusal = {"error": {"message": "only supported in v1/responses", "param": "model"}}
    recorder.fail = lambda path, _: (404, refusal) if "/chat/" in path else None
    url = f"{recorder.url}/v1"
    model = LLM(model="gpt-4.1-mini", provider="openai", base_url=url, api_key="x")
    ledger = agentcache.Ledger()
    crew = agentcache.wrap(crew_of(model), context=[BRIEF], layout="fork", ledger=ledger)

    answers = ran(recorder, crew)

    assert "Writer is done" in answers
    assert {call.reason.partition(":")[0] for call in ledger.calls} == {"other_api"}
    assert {call.usage.input_tokens for call in ledger.calls} == {TOTAL}
    assert [path.rpartition("/")[2] for path, _ in recorder.calls].count("completions") == 1

    agentcache.wrap(agentcache.unwrap(crew), context=[BRIEF], layout="fork")
    ran(recorder, crew)
    assert shared_share(firsts(recorder)) >= 0.95


@pytest.mark.skipif(CREWAI < (1, 15), reason="crewai < 1.15 takes no tool calls of Responses")
def test_azures_responses_are_forked_in_the_model_that_azures_class_hands_them_to(recorder):
    pytest.importorskip("azure.ai.inference")
    llm = azure(recorder, False, api="responses")
    crew = crew_of(llm)
    plain = ran(recorder, crew)
    ledger = agentcache.Ledger()
    agentcache.wrap(crew, context=[BRIEF], ledger=ledger)

    assert ran(recorder, crew) == plain
    assert ran(recorder, crew.copy()) == plain

    assert {path for path, _ in recorder.calls} == {"/openai/v1/responses"}
    assert shared_share(firsts(recorder)) >= 0.95
    assert [choice_in(body) for body in recorder.bodies] == list(LISTED)
    assert {c.usage.cached_tokens for c in ledger.calls} == {CACHED}
    agentcache.unwrap(crew)
    assert crew.agents[0].llm is llm
    assert type(llm._responses_delegate).__name__ == "OpenAICompletion"


def test_openais_own_tools_stay_and_no_allow_list_names_them(recorder):
    url = f"{recorder.url}/v1"
    named = {"model": "gpt-4.1-mini", "provider": "openai", "base_url": url, "api_key": "x"}
    recorder.answers_only = True
    crew = crew_of(LLM(**named, api="responses", builtin_tools=["web_search"]))
    agentcache.wrap(crew, context=[BRIEF])

    ran(recorder, crew)

    assert all({"type": "web_search_preview"} in body["tools"] for body in recorder.bodies)
    assert shared_share(recorder.bodies) >= 0.95
    assert not any("tool_choice" in body for body in recorder.bodies)
    assert any("tool_choice" in note for note in agentcache.report(crew).notes)


def test_crewais_own_flag_never_leaves_through_litellm_even_unforked(recorder):
    pytest.importorskip("litellm")
    crew = crew_of(litellm("openai/gpt-4.1-mini")(recorder, False))
    ran(recorder, crew)
    assert "cache_breakpoint" in json.dumps(recorder.bodies)  # positive control: CrewAI's leak

    agentcache.wrap(crew, layout="as_is")
    ran(recorder, crew)

    assert "cache_breakpoint" not in json.dumps(recorder.bodies)
    assert any("cache_breakpoint" in note for note in agentcache.report(crew).notes)


def test_a_litellm_call_repeated_without_stop_is_the_same_fork(recorder):
    pytest.importorskip("litellm")
    refusal = {"error": {"message": "Unsupported parameter: 'stop'", "code": "x"}}
    recorder.fail = lambda _, body: (400, refusal) if "stop" in body else None
    llm = LLM(
        model="openai/gpt-4.1-mini",
        is_litellm=True,
        base_url=f"{recorder.url}/v1",
        api_key="x",
        stop=["END"],
    )
    ledger = agentcache.Ledger()
    crew = agentcache.wrap(crew_of(llm), context=[BRIEF], ledger=ledger)

    answers = ran(recorder, crew)

    assert "Writer is done" in answers
    assert [call.forked for call in ledger.calls] == [True] * 4
    assert shared_share(firsts(recorder)) >= 0.95


def test_a_forked_litellm_model_keeps_what_crewais_own_copy_loses(recorder):
    pytest.importorskip("litellm")
    url = f"{recorder.url}/v1"
    llm = LLM(model="openai/gpt-4.1-mini", is_litellm=True, base_url=url, api_key="x", timeout=7)
    crew = agentcache.wrap(crew_of(llm), context=[BRIEF])

    assert crew.agents[0].llm.timeout == 7
    assert isinstance(crew.agents[0].llm, LLM)


def test_a_forced_answer_on_bedrock_stands_on_the_trunk_too(recorder):
    pytest.importorskip("boto3")
    crew = crew_of(CASES["bedrock-claude"].make(recorder, False))
    crew.agents[0].max_iter = 1
    ledger = agentcache.Ledger()
    agentcache.wrap(crew, context=[BRIEF], ledger=ledger)

    ran(recorder, crew)

    assert {call.reason for call in ledger.calls} == {""}
    assert "Tool: search_notes" not in json.dumps(recorder.bodies)


def test_anthropics_rule_on_a_host_that_no_row_names_sends_no_marks(recorder):
    pytest.importorskip("litellm")
    llm = litellm("nobody/claude-sonnet-4-5")(recorder, False)

    rule = wire_of(llm).rule(llm, None)

    assert (rule.matching, rule.marks, rule.affinity) == ("breakpoint", False, None)


PREFLIGHT = pytest.mark.skipif(CREWAI < (1, 15, 29), reason="crewai < 1.15.29 counts nothing")


@PREFLIGHT
@pytest.mark.parametrize("mode", ["ask", "local"])
def test_a_local_answer_to_the_preflight_saves_every_count(recorder, mode):
    pytest.importorskip("boto3")
    crew = crew_of(CASES["bedrock-claude"].make(recorder, False))
    plain = ran(recorder, crew)
    own = {rendered(body["input"]["converse"]) for _, body in recorder.counts}
    agentcache.wrap(crew, context=[BRIEF], preflight=mode)
    recorder.counts.clear()

    assert ran(recorder, crew) == plain

    asked = {rendered(body["input"]["converse"]) for _, body in recorder.counts}
    assert asked == (own if mode == "ask" else set())  # the program's own request is counted


@PREFLIGHT
def test_a_request_near_the_windows_end_is_counted_by_the_provider(recorder, monkeypatch):
    pytest.importorskip("boto3")
    llm = CASES["bedrock-claude"].make(recorder, False)
    monkeypatch.setattr(type(llm), "get_context_window_size", lambda _: 6000)
    crew = agentcache.wrap(crew_of(llm), context=[BRIEF], preflight="local")

    ran(recorder, crew)

    assert recorder.counts


@PREFLIGHT
@pytest.mark.parametrize("api", ["completions", "responses"])
def test_openais_count_is_of_the_programs_own_request(recorder, monkeypatch, api):
    from crewai.llms.providers.openai.completion import OpenAICompletion

    monkeypatch.setattr(OpenAICompletion, "_on_compatible_server", lambda _: False)
    url = f"{recorder.url}/v1"
    named = {"model": "gpt-4.1-mini", "provider": "openai", "base_url": url, "api_key": "x"}
    crew = agentcache.wrap(crew_of(LLM(**named, api=api)), context=[BRIEF])

    ran(recorder, crew)

    counted = [body for _, body in recorder.counts if len(json.dumps(body)) > len(BRIEF)]
    assert len(counted) == 4
    assert not any("one worker of a team" in json.dumps(body) for body in counted)
    text = [{"role": "user", "content": BRIEF}]
    plain, forked = (
        llm.get_input_tokens_count(text) for llm in (LLM(**named, api=api), crew.agents[0].llm)
    )
    assert forked > plain


ASYNC = ["deepseek", "azure", "bedrock-claude", "gemini", "litellm-openai"]


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")  # google-genai's own
@pytest.mark.parametrize("case", ASYNC, indirect=True)
async def test_asynchronous_calls_are_forked_at_the_same_place(case, recorder, monkeypatch):
    llm = case.make(recorder, False)
    if case is CASES["bedrock-claude"]:
        pytest.importorskip("aiobotocore", reason="Bedrock's asynchronous calls need aiobotocore")
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", recorder.url)
    recorder.answers_only = True
    crew = agentcache.wrap(crew_of(llm), context=[BRIEF], layout="fork")

    for agent in crew.agents:
        system = f"You are {agent.role}. {agent.backstory}\nYour personal goal is: {agent.goal}"
        said = [{"role": "system", "content": system}, {"role": "user", "content": BRIEF}]
        answer = await agent.llm.acall(said, from_agent=agent)
        assert f"{agent.role} is done" in answer

    await close(llm)
    assert len(recorder.bodies) == 3
    assert shared_share(recorder.bodies) >= 0.95
    assert agentcache.report(crew).passed_through == ()


async def close(llm: Any) -> None:
    """Close what the model's asynchronous client left open: the loop ends with this test."""
    stack, client = (getattr(llm, name, None) for name in ("_async_exit_stack", "_async_client"))
    if stack is not None:
        await stack.aclose()
    elif client is not None:
        await client.close()
    elif isinstance(llm, LLM):
        import litellm

        await litellm.close_litellm_async_clients()
