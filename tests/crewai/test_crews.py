"""Every way to run a crew: the same answer as the plain crew, from forks of one parent."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Process, Task
from crewai.tools import tool

import agentcache
from agentcache import loopback
from agentcache.dialects import dialect_of

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)


@tool
def search_notes(query: str) -> str:
    """Search the notes."""
    return f"note on {query}"


@tool
def count_words(text: str) -> str:
    """Count words."""
    return str(len(text.split()))


def staff(turn: loopback.Turn) -> loopback.Answer:
    """Answer by role, whatever else the request holds: the same plain and forked."""
    answer = loopback.agent(turn)
    if answer.tool_calls or turn.response_schema:
        return answer
    role = re.findall(r"You are ([^.]+)\.", " ".join(said.text for said in turn.texts))[-1]
    return loopback.Answer(f"The {role} is done.")


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=staff) as running:
        yield running


def llm(provider: loopback.Loopback, model: str = "gpt-6-luna", **options: Any) -> Any:
    anthropic = model.startswith("claude")
    vendor, url = ("anthropic", provider.url) if anthropic else ("openai", provider.openai_url)
    return LLM(model=f"{vendor}/{model}", base_url=url, api_key="dummy", **options)


def crew_of(model: Any, **options: Any) -> Crew:
    researcher = Agent(
        role="Researcher", goal="facts", backstory="Thorough.", tools=[search_notes], llm=model
    )
    counter = Agent(
        role="Counter", goal="count", backstory="Exact.", tools=[count_words], llm=model
    )
    writer = Agent(role="Writer", goal="write", backstory="Eloquent.", llm=model)
    tasks = [
        Task(description=f"{BRIEF}\n\n{what}", expected_output="text", agent=agent)
        for what, agent in (("Find.", researcher), ("Count.", counter), ("Write.", writer))
    ]
    return Crew(agents=[researcher, counter, writer], tasks=tasks, **options)


def calls(provider: loopback.Loopback) -> list[loopback.Logged]:
    return [r for r in provider.log if r.api != "other"]


def shared_share(crew: Any, provider: loopback.Loopback) -> list[bool]:
    """For each request: does it start with all of the parent's blocks?"""
    parent = [b.identity for b in agentcache.session(crew).parent.blocks() if b.section != "params"]
    out = []
    for request in calls(provider):
        body = json.loads(request.raw)
        sent = [
            b.identity for b in dialect_of(body).blocks(body) if b.section not in ("params", "free")
        ]
        out.append(sent[: len(parent)] == parent)
    return out


async def as_coroutine(crew: Crew) -> Any:
    return await crew.kickoff_async()


async def as_native_coroutine(crew: Crew) -> Any:
    return await crew.akickoff()


RUNS: dict[str, Callable[[Crew], Any]] = {
    "kickoff": lambda crew: crew.kickoff(),
    "kickoff_async": lambda crew: asyncio.run(as_coroutine(crew)),
    "akickoff": lambda crew: asyncio.run(as_native_coroutine(crew)),
}


@pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
@pytest.mark.parametrize("run", RUNS)
def test_every_kickoff_answers_as_before_and_shares_its_prefix(provider, run, model):
    plain = RUNS[run](crew_of(llm(provider, model)))
    provider.reset()
    crew = agentcache.wrap(crew_of(llm(provider, model)), context=[BRIEF])
    answer = RUNS[run](crew)
    assert [t.raw for t in answer.tasks_output] == [t.raw for t in plain.tasks_output]
    assert answer.raw == "The Writer is done."
    assert shared_share(crew, provider) == [True] * 5
    assert all((r.cached_tokens or 0) > 2000 for r in calls(provider)[1:])


def test_kickoff_for_each_shares_the_prefix_over_all_inputs(provider):
    crew = crew_of(llm(provider))
    crew.tasks[2].description = BRIEF + "\n\nWrite about {topic}."
    agentcache.wrap(crew, context=[BRIEF])
    answers = crew.kickoff_for_each([{"topic": "tea"}, {"topic": "coal"}])
    assert len(answers) == 2
    assert shared_share(crew, provider) == [True] * 10
    assert all((r.cached_tokens or 0) > 2000 for r in calls(provider)[1:])
    assert agentcache.report(crew).total.calls == 10


@pytest.mark.parametrize("stream", [False, True])
def test_async_execution_makes_one_cold_call_and_loses_no_answer(provider, stream):
    crew = crew_of(llm(provider, stream=stream))
    crew.tasks[0].async_execution = crew.tasks[1].async_execution = True
    agentcache.wrap(crew, context=[BRIEF])
    result = crew.kickoff()
    assert len(result.tasks_output) == 3
    firsts = [r for r in calls(provider) if len(json.loads(r.raw)["messages"]) == 3]
    assert [r.cached_tokens == 0 for r in firsts].count(True) == 1


def test_a_hierarchical_crew_forks_its_manager_too(provider):
    def script(turn: loopback.Turn) -> loopback.Answer:
        if "You are Crew Manager" not in " ".join(s.text for s in turn.texts):
            return loopback.agent(turn)
        if turn.tool_results:
            return loopback.Answer("Final Answer: managed.")
        ask = {"task": "Find.", "context": "none", "coworker": "Researcher"}
        return loopback.Answer(tool_calls=(loopback.ToolCall("delegate_work_to_coworker", ask),))

    with loopback.serve(script=script) as own:
        crew = crew_of(llm(own), process=Process.hierarchical, manager_llm=llm(own))
        before = crew.manager_llm
        agentcache.wrap(crew, context=[BRIEF])
        assert crew.kickoff().raw == "Final Answer: managed."
        assert all(shared_share(crew, own))
        asked = {call.agent for call in agentcache.report(crew).rows}
    assert asked == {"Crew Manager", "Researcher"}
    agentcache.unwrap(crew)
    assert crew.manager_llm is before
    assert type(crew.manager_agent.llm) is type(before)


def test_delegation_keeps_one_canonical_pair_and_each_agents_own_wording(provider):
    crew = crew_of(llm(provider))
    for agent in crew.agents:
        agent.allow_delegation = True
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    assert all(shared_share(crew, provider))
    bodies = [json.loads(r.raw) for r in calls(provider)]
    listed = {json.dumps(b["tools"]) for b in bodies}
    assert len(listed) == 1
    tail = json.dumps(bodies[0]["messages"])
    assert "For you, the tool `delegate_work_to_coworker` reads: " in tail
    assert "Counter, Writer" in tail  # Researcher's own coworkers, without itself


def test_the_forced_answer_after_max_iter_keeps_the_prefix(provider):
    def always_search(turn: loopback.Turn) -> loopback.Answer:
        if turn.callable_tools:
            call = loopback.ToolCall("search_notes", {"query": f"try {len(turn.tool_results)}"})
            return loopback.Answer(tool_calls=(call,))
        return loopback.Answer("Final Answer: forced.")

    with loopback.serve(script=always_search) as own:
        crew = crew_of(llm(own))
        crew.agents[0].max_iter = 2
        crew = Crew(agents=crew.agents[:1], tasks=crew.tasks[:1])
        agentcache.wrap(crew, context=[BRIEF], layout="fork")  # one agent shares with nobody
        assert "forced" in crew.kickoff().raw
        assert all(shared_share(crew, own))
        last = calls(own)[-1]
    assert json.loads(last.raw)["tool_choice"] == "none"
    assert (last.cached_tokens or 0) > 0.95 * (calls(own)[-2].input_tokens or 0)


def test_agents_kicked_off_alone_share_the_parent_in_parallel(provider):
    crew = agentcache.wrap(crew_of(llm(provider)), context=[BRIEF])

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(a.kickoff_async("Go.\n" + BRIEF) for a in crew.agents))

    asyncio.run(all_at_once())
    assert all(shared_share(crew, provider))
    firsts = [r for r in calls(provider) if "assistant" not in str(r.raw)]
    assert [r.cached_tokens == 0 for r in firsts].count(True) == 1


def test_an_agent_alone_can_be_wrapped(provider):
    agent = crew_of(llm(provider)).agents[0]
    original = agent.llm
    assert agentcache.wrap(agent, context=[BRIEF]) is agent
    agent.kickoff("Go.")
    assert agentcache.report(agent).total.calls == 2
    assert agentcache.unwrap(agent).llm is original


def test_two_crews_join_one_session(provider):
    model = llm(provider)
    first = agentcache.wrap(crew_of(model), context=[BRIEF])
    second = agentcache.wrap(crew_of(model), session=agentcache.session(first))
    first.kickoff()
    provider.clear()
    second.kickoff()
    assert agentcache.session(second) is agentcache.session(first)
    assert all((r.cached_tokens or 0) > 2000 for r in calls(provider))


def test_structured_output_passes_through_and_is_reported(provider):
    from pydantic import BaseModel

    class Page(BaseModel):
        title: str

    crew = crew_of(llm(provider))
    crew.tasks[2].output_pydantic = Page
    agentcache.wrap(crew, context=[BRIEF])
    assert isinstance(crew.kickoff().pydantic, Page)
    passed = agentcache.report(crew).passed_through
    assert [p.reason.partition(":")[0] for p in passed] == ["structured_output"]
    assert shared_share(crew, provider).count(False) == passed[0].calls


def test_usage_is_exact_where_crewai_multiplies_a_shared_model(provider):
    model = llm(provider)
    plain = crew_of(model)
    plain.kickoff()
    assert plain.usage_metrics.successful_requests == 15  # 5 requests, 3 agents, one model
    provider.reset()
    fresh = llm(provider)
    crew = agentcache.wrap(crew_of(fresh), context=[BRIEF])
    crew.kickoff()
    usage = crew.usage_metrics
    assert usage.successful_requests == 5
    assert usage.prompt_tokens == sum(r.input_tokens or 0 for r in calls(provider))
    assert usage.cached_prompt_tokens == sum(r.cached_tokens or 0 for r in calls(provider))
    assert fresh.get_token_usage_summary().successful_requests == 5


def test_the_request_log_shows_marks_and_each_agents_own_words(provider):
    crew = agentcache.wrap(crew_of(llm(provider)), context=[BRIEF])
    crew.kickoff()
    for request in calls(provider):
        body = json.loads(request.raw)
        marks = [p for m in body["messages"] for p in parts_of(m) if "prompt_cache_breakpoint" in p]
        assert len(marks) == 1
        assert BRIEF in marks[0]["text"]
        assert body["prompt_cache_key"] == agentcache.session(crew).affinity_id
    tails = [json.loads(r.raw)["messages"][2]["content"][0]["text"] for r in calls(provider)]
    assert "You are Researcher. Thorough.\nYour personal goal is: facts" in tails[0]
    assert "You are Writer. Eloquent.\nYour personal goal is: write" in tails[-1]


def parts_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message["content"] if isinstance(message.get("content"), list) else []


def test_interpolated_roles_are_named_as_they_are(provider):
    crew = crew_of(llm(provider))
    crew.agents[2].role = "{topic} writer"
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff(inputs={"topic": "Tea"})
    assert "Tea writer" in {row.agent for row in agentcache.report(crew).rows}


def test_wrapped_undoes_itself(provider):
    crew = crew_of(llm(provider))
    before = [a.llm for a in crew.agents]
    with agentcache.wrapped(crew, context=[BRIEF]) as forked:
        assert all(a.llm is not b for a, b in zip(forked.agents, before, strict=True))
    assert all(a.llm is b for a, b in zip(crew.agents, before, strict=True))
