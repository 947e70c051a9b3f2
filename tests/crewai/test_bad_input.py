"""Bad input gets a clear error with the cure, before anything is sent, and changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.tools import BaseTool

import agentcache
from agentcache import loopback
from agentcache.errors import (
    FrozenError,
    NothingToForkError,
    OptionError,
    ToolConflictError,
    UnknownObjectError,
)

BRIEF = "BRIEF " + "The committee met in the old mill and wrote down what it had decided. " * 150


class Search(BaseTool):
    name: str = "search"
    description: str = "Search the archive."

    def _run(self, query: str) -> str:
        return query


class OtherSearch(BaseTool):
    name: str = "search"
    description: str = "Search the web."

    def _run(self, address: str) -> str:
        return address


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as running:
        yield running


def crew_of(provider: loopback.Loopback, *tools: list[BaseTool]) -> Crew:
    model = LLM(model="openai/gpt-6-luna", base_url=provider.openai_url, api_key="x")
    agents = [
        Agent(role=f"Agent {n}", goal="g", backstory="b", tools=own, llm=model)
        for n, own in enumerate(tools or ([], []))
    ]
    tasks = [Task(description=f"{BRIEF} Do.", expected_output="text", agent=a) for a in agents]
    return Crew(agents=agents, tasks=tasks)


def models(crew: Crew) -> list[Any]:
    return [agent.llm for agent in crew.agents]


def test_one_tool_name_with_two_schemas_names_both_agents(provider):
    crew = crew_of(provider, [Search()], [OtherSearch()])
    before = models(crew)
    with pytest.raises(ToolConflictError, match=r"'search'.*'Agent 0'.*'Agent 1'.*Rename one"):
        agentcache.wrap(crew)
    assert models(crew) == before
    assert provider.log == ()


def test_an_unknown_object_names_what_can_be_wrapped():
    with pytest.raises(UnknownObjectError, match=r"no adapter for builtins.dict.*crewai"):
        agentcache.wrap({"a": 1})


def test_a_crewai_object_that_holds_no_agents_says_what_to_wrap(provider):
    with pytest.raises(UnknownObjectError, match="Wrap the Crew that holds it"):
        agentcache.wrap(crew_of(provider).tasks[0])


def test_a_crew_without_models_says_what_to_give(provider):
    crew = crew_of(provider)
    for agent in crew.agents:
        agent.llm = None
    with pytest.raises(NothingToForkError, match="llm=LLM"):
        agentcache.wrap(crew)


def test_options_that_cannot_be_had_are_named(provider):
    crew = crew_of(provider)
    with pytest.raises(OptionError, match="layout='tree'"):
        agentcache.wrap(crew, layout="tree")
    with pytest.raises(OptionError, match=r"context=\[text\]"):
        agentcache.wrap(crew, context=BRIEF)
    with pytest.raises(OptionError, match=r"ttl='9h' is not offered.*'30m'"):
        agentcache.wrap(crew, ttl="9h")
    with pytest.raises(OptionError, match=r"provider='acme'.*Known: anthropic"):
        agentcache.wrap(crew, provider="acme")
    assert provider.log == ()


def test_a_session_of_another_domain_is_refused(provider):
    first = agentcache.wrap(crew_of(provider), context=[BRIEF])
    other = crew_of(provider)
    model = LLM(model="openai/gpt-4.1-mini", base_url=provider.openai_url, api_key="x")
    for agent in other.agents:
        agent.llm = model
    with pytest.raises(OptionError, match="share no cache"):
        agentcache.wrap(other, session=agentcache.session(first))


def test_a_tool_changed_after_wrapping_is_named_and_not_forked(provider):
    crew = crew_of(provider, [Search()], [])
    agentcache.wrap(crew, context=[BRIEF])
    crew.agents[0].tools[0].description = "Search everything."
    crew.tasks[0].tools[0].description = "Search everything."
    crew.kickoff()
    passed = agentcache.report(crew).passed_through
    assert "sends tools[0] = 'search', with another definition" in passed[0].reason


def test_strict_raises_instead_and_sends_nothing(provider):
    crew = crew_of(provider, [Search()], [])
    agentcache.wrap(crew, context=[BRIEF], strict=True)
    crew.agents[0].tools[0].description = "Search everything."
    crew.tasks[0].tools[0].description = "Search everything."
    with pytest.raises(FrozenError, match="Wrap again after changing tools"):
        crew.kickoff()
    assert provider.log == ()


def test_an_unreachable_endpoint_fails_as_it_did_before_and_is_counted(provider):
    model = LLM(
        model="openai/gpt-6-luna", base_url="http://127.0.0.1:9/v1", api_key="x", max_retries=0
    )
    crew = crew_of(provider)
    for agent in crew.agents:
        agent.llm = model
    agentcache.wrap(crew, context=[BRIEF])
    with pytest.raises(ConnectionError):
        crew.kickoff()
    assert agentcache.report(crew).errors >= 1


def test_report_and_session_ask_to_wrap_first(provider):
    with pytest.raises(NothingToForkError, match=r"Call agentcache\.wrap first"):
        agentcache.report(crew_of(provider))
