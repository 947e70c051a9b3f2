"""Providers' own diagnostics: asked for with the right answer's id, and told beside ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

import agentcache
from agentcache import loopback

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)
VENDORS = {"claude-haiku-5-5": "anthropic", "gpt-6-luna": "openai"}


@tool
def search_notes(query: str) -> str:
    """Search the notes."""
    return f"note on {query}"


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=loopback.agent) as running:
        yield running


def crew_of(provider: loopback.Loopback, model: str) -> Crew:
    claude = model.startswith("claude")
    more: Any = {} if claude else {"api": "responses"}
    url = provider.url if claude else provider.openai_url
    llm = LLM(model=f"{VENDORS[model]}/{model}", base_url=url, api_key="dummy", **more)
    told = "Thorough. It is {now}."
    clerk = Agent(role="Clerk", goal="facts", backstory=told, tools=[search_notes], llm=llm)
    writer = Agent(role="Writer", goal="write", backstory="Eloquent.", llm=llm)
    tasks = [
        Task(description=f"{BRIEF}\n\n{what}", expected_output="text", agent=agent)
        for what, agent in (("Find.", clerk), ("Write.", writer))
    ]
    return Crew(agents=[clerk, writer], tasks=tasks)


def asked(provider: loopback.Loopback) -> list[Any]:
    bodies = [r.body for r in provider.log if r.api != "other"]
    return [
        body.get("diagnostics")
        or (body.get("prompt_cache_options") or {}).get("comparison_response_id")
        for body in bodies
    ]


@pytest.mark.parametrize("model", VENDORS)
def test_a_break_is_told_with_the_providers_own_word(provider, model):
    found: list[agentcache.CacheBreak] = []
    crew = crew_of(provider, model)
    agentcache.wrap(crew, diagnostics=True, provider=VENDORS[model], on_break=found.append)

    for now in ("10:00:01", "10:00:07"):
        crew.kickoff(inputs={"now": now})

    named = [
        each["previous_message_id"] if isinstance(each, dict) else each for each in asked(provider)
    ]
    assert named[0] is None
    assert all(str(each).startswith(("msg_emulated_", "resp_emulated_")) for each in named[1:])
    reason = "messages_changed" if model.startswith("claude") else "input_changed"
    assert [(b.kind, b.agent, b.source) for b in found] == [("timestamp", "Clerk", "bytes")]
    assert f"says the same: {reason}" in found[0].vendor
    assert found[0].vendor in str(found[0])


@pytest.mark.parametrize("model", VENDORS)
@pytest.mark.parametrize("options", [{"diagnostics": True}, {"diagnostics": False}])
def test_nothing_is_asked_of_a_host_that_may_refuse_it(provider, model, options):
    named = {} if options["diagnostics"] else {"provider": VENDORS[model]}
    crew = agentcache.wrap(crew_of(provider, model), **options, **named)

    crew.kickoff(inputs={"now": "10:00:01"})

    assert agentcache.report(crew).total.calls == len(asked(provider)) >= 2
    assert not any(asked(provider))
