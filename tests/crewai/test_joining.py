"""Wrapping what is partly wrapped, what would cost more, and what CrewAI resolves itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.tools import BaseTool, tool
from pydantic import BaseModel

import agentcache
from agentcache import loopback
from agentcache.errors import FrozenError, OptionError

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)


@tool
def search_notes(query: str) -> str:
    """Search the notes."""
    return f"note on {query}"


class Lookup(BaseTool):
    name: str = "lookup"
    description: str = "Look a word up."

    def _run(self, word: str) -> str:
        return word


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=loopback.agent) as running:
        yield running


def llm(provider: loopback.Loopback, model: str = "gpt-6-luna", **more: Any) -> Any:
    url = provider.url if model.startswith("claude") else provider.openai_url
    vendor = "anthropic" if model.startswith("claude") else "openai"
    return LLM(model=model, provider=vendor, base_url=url, api_key="dummy", **more)


def agent(model: Any, role: str, *tools: Any, backstory: str = "B.") -> Agent:
    return Agent(role=role, goal="g", backstory=backstory, tools=list(tools), llm=model)


def crew_of(*agents: Agent, text: str = BRIEF) -> Crew:
    tasks = [
        Task(description=f"{text}\n\n{a.role}.", expected_output="text", agent=a) for a in agents
    ]
    return Crew(agents=list(agents), tasks=tasks)


def calls(provider: loopback.Loopback) -> list[loopback.Logged]:
    return [r for r in provider.log if r.api != "other"]


def test_an_agent_added_later_joins_the_parent(provider):
    model = llm(provider)
    crew = agentcache.wrap(crew_of(agent(model, "A"), agent(model, "B")), context=[BRIEF])
    late = agent(model, "C")
    crew.agents.append(late)
    crew.tasks.append(Task(description=f"{BRIEF}\n\nC.", expected_output="t", agent=late))
    agentcache.wrap(crew)
    crew.kickoff()
    assert len(agentcache.session(crew).parent.context) == 1
    assert [(r.cached_tokens or 0) > 2000 for r in calls(provider)] == [False, True, True]
    agentcache.unwrap(crew)
    assert late.llm is model


def test_an_agent_added_later_with_new_tools_is_refused_with_the_cure(provider):
    model = llm(provider)
    crew = agentcache.wrap(crew_of(agent(model, "A"), agent(model, "B")), context=[BRIEF])
    crew.agents.append(agent(model, "C", search_notes))
    with pytest.raises(OptionError, match=r"froze its tools without.*search_notes.*wrap again"):
        agentcache.wrap(crew)


def test_a_refusal_leaves_every_model_as_it_was(provider):
    four, other = llm(provider, "gpt-4.1-mini"), llm(provider)
    noisy = llm(provider, verbosity="high")
    crew = crew_of(agent(four, "A"), agent(other, "B"), agent(noisy, "C"))
    with pytest.raises(FrozenError):
        agentcache.wrap(crew, context=[BRIEF], strict=True)
    assert [a.llm for a in crew.agents] == [four, other, noisy]


def test_agents_that_render_alike_share_even_if_the_first_does_not(provider):
    noisy, plain = llm(provider, verbosity="high"), llm(provider)
    crew = crew_of(agent(noisy, "A"), agent(plain, "B"), agent(plain, "C"))
    with pytest.warns(agentcache.AgentcacheWarning, match="share no prefix"):
        agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    assert [(r.cached_tokens or 0) > 2000 for r in calls(provider)] == [False, False, True]


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5"])
def test_a_crew_whose_agents_do_not_need_the_context_is_left_alone(provider, model):
    def build() -> Crew:
        own = llm(provider, model)
        crew = crew_of(*(agent(own, name) for name in "ABCD"), text="Short.")
        crew.tasks[0].description = BRIEF
        return crew

    build().kickoff()
    plain = [r.input_tokens for r in calls(provider)]
    provider.reset()
    crew = agentcache.wrap(build(), context=[BRIEF])
    crew.kickoff()
    assert [r.input_tokens for r in calls(provider)] == plain
    assert {p.reason.partition(":")[0] for p in agentcache.report(crew).passed_through} == {
        "would_cost_more"
    }


def test_layout_fork_forks_all_the_same(provider):
    model = llm(provider)
    crew = crew_of(agent(model, "A"), agent(model, "B"), text="Short.")
    agentcache.wrap(crew, context=[BRIEF], layout="fork")
    crew.kickoff()
    report = agentcache.report(crew)
    assert report.passed_through == ()
    assert "context[0] stands word for word in no task" in " ".join(report.notes)


def test_a_brief_in_a_backstory_is_sent_once(provider):
    model = llm(provider)
    crew = crew_of(*(agent(model, n, backstory=BRIEF) for n in "AB"), text="Go.")
    agentcache.wrap(crew, context=[BRIEF, BRIEF, BRIEF[:400]])
    crew.kickoff()
    assert [r.raw.decode().count("met 77 times") for r in calls(provider)] == [1, 1]
    assert (calls(provider)[1].cached_tokens or 0) > 2000


def test_a_tasks_tools_stand_in_for_its_agents(provider):
    other = Lookup(description="Look a word up, for this task.")
    model = llm(provider)
    worker = agent(model, "A", Lookup())
    crew = crew_of(worker, agent(model, "B"))
    crew.tasks[0].tools = [other]
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    assert agentcache.report(crew).passed_through == ()


def test_two_tools_of_one_name_are_numbered_as_crewai_does(provider):
    model = llm(provider)
    crew = crew_of(agent(model, "A", Lookup(), Lookup(description="Another.")), agent(model, "B"))
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    assert agentcache.report(crew).passed_through == ()
    assert "lookup_2" in agentcache.session(crew).parent.tool_names


def test_the_vendors_own_url_is_the_same_domain_as_none():
    models = [
        LLM(model="gpt-6-luna", provider="openai", api_key="x", base_url=url)
        for url in (None, "https://api.openai.com/v1/")
    ]
    crew = crew_of(*(agent(m, n) for m, n in zip(models, "AB", strict=True)))
    agentcache.wrap(crew, context=[BRIEF])
    assert agentcache.session(crew).domain.base_url == ""


def test_what_is_counted_is_about_what_is_sent(provider):
    model = llm(provider, "claude-haiku-5-5")
    crew = crew_of(agent(model, "A", search_notes), agent(model, "B"))
    agentcache.wrap(crew, context=[BRIEF])
    forked: Any = crew.agents[1].llm
    if not hasattr(model, "get_input_tokens_count"):
        assert not hasattr(forked, "get_input_tokens_count")
        return
    assert forked.get_input_tokens_count("a tool's result") < 20
    crew.kickoff()
    sent = [r for r in provider.log if r.api != "other"][-1]
    said = [
        {"role": "system", "content": "You are B. Able.\nYour personal goal is: help"},
        {"role": "user", "content": f"\nCurrent Task: {BRIEF}"},
    ]
    assert forked.get_input_tokens_count(said) == pytest.approx(sent.input_tokens, rel=0.1)


def test_a_models_own_response_format_is_not_forked_on_anthropic(provider):
    class Page(BaseModel):
        title: str

    model = llm(provider, "claude-haiku-5-5", response_format=Page)
    crew = crew_of(agent(model, "A", search_notes), agent(model, "B"))
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    reasons = {p.reason.partition(":")[0] for p in agentcache.report(crew).passed_through}
    assert reasons == {"structured_output"}
