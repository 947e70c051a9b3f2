"""Model classes other than the native two, and several models in one crew."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from crewai import LLM, Agent, BaseLLM, Crew, Task

import agentcache
from agentcache import loopback

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)


class OwnModel(BaseLLM):
    """What a user writes to reach a model CrewAI does not know."""

    def call(self, messages: Any, tools: Any = None, **kwargs: Any) -> str:
        seen.append({"messages": messages, "tools": tools})
        return "Final Answer: mine."


seen: list[dict[str, Any]] = []


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=loopback.agent) as running:
        yield running


def pair(first: Any, second: Any) -> Crew:
    one = Agent(role="One", goal="first", backstory="A.", llm=first)
    two = Agent(role="Two", goal="second", backstory="B.", llm=second)
    tasks = [
        Task(description=f"{BRIEF}\n\n{a.role}.", expected_output="text", agent=a)
        for a in (one, two)
    ]
    return Crew(agents=[one, two], tasks=tasks)


def test_a_users_own_model_gets_plain_messages_with_one_shared_start():
    seen.clear()
    crew = pair(OwnModel(model="mine"), OwnModel(model="mine"))
    with pytest.warns(agentcache.AgentcacheWarning, match="safe common denominator"):
        agentcache.wrap(crew, context=[BRIEF])
    assert crew.kickoff().raw == "mine."
    first, second = (call["messages"] for call in seen)
    assert first[:2] == second[:2]
    assert BRIEF in first[1]["content"]
    assert [type(m["content"]) for m in first] == [str] * len(first)
    assert "You are Two. B." in second[2]["content"]
    assert not any("cache_breakpoint" in message for message in first)
    assert agentcache.report(crew).passed_through == ()


def test_a_users_own_model_under_breakpoint_rules_is_left_alone_and_told_why():
    seen.clear()
    crew = pair(OwnModel(model="gpt-6-luna"), OwnModel(model="gpt-6-luna"))
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    assert seen[0]["messages"][0]["content"].startswith("You are One")
    assert {p.reason.partition(":")[0] for p in agentcache.report(crew).passed_through} == {
        "no_mark"
    }


def test_an_openai_compatible_endpoint_forks_without_marks(provider):
    model = LLM(
        model="some-local-model", provider="openai", base_url=provider.openai_url, api_key="x"
    )
    crew = pair(model, model)
    agentcache.wrap(crew, context=[BRIEF], provider="vllm")
    crew.kickoff()
    bodies = [json.loads(r.raw) for r in provider.log]
    assert "prompt_cache_key" not in bodies[0]
    assert bodies[0]["messages"][0] == bodies[1]["messages"][0]
    assert (provider.log[1].cached_tokens or 0) > 2000


def test_agents_on_two_models_get_one_session_each_and_are_told(provider):
    luna = LLM(model="openai/gpt-6-luna", base_url=provider.openai_url, api_key="x")
    claude = LLM(model="anthropic/claude-haiku-5-5", base_url=provider.url, api_key="x")
    crew = pair(luna, claude)
    agentcache.wrap(crew, context=[BRIEF])
    crew.kickoff()
    with pytest.raises(agentcache.AgentcacheError, match="2 sessions, not one"):
        agentcache.session(crew)
    assert any("one per cache domain" in note for note in agentcache.report(crew).notes)


def test_an_agent_alone_on_its_model_shares_with_nobody_and_is_left_alone(provider):
    luna, terra = (
        LLM(model=f"openai/gpt-6-{name}", base_url=provider.openai_url, api_key="x")
        for name in ("luna", "terra")
    )
    crew = agentcache.wrap(pair(luna, terra), context=[BRIEF])
    crew.kickoff()
    reasons = {p.reason.partition(":")[0] for p in agentcache.report(crew).passed_through}
    assert reasons == {"would_cost_more"}


def test_two_keys_never_share_a_session(provider):
    one, two = (
        LLM(model="openai/gpt-6-luna", base_url=provider.openai_url, api_key=key) for key in "ab"
    )
    crew = agentcache.wrap(pair(one, two), context=[BRIEF], layout="fork")
    crew.kickoff()
    keys = [json.loads(r.raw)["prompt_cache_key"] for r in provider.log]
    assert len(set(keys)) == 2
    assert not any("'a'" in str(key) for key in keys)


def test_a_rendering_parameter_that_differs_is_named_before_anything_is_sent(provider):
    one, two = (
        LLM(
            model="openai/gpt-6-luna",
            base_url=provider.openai_url,
            api_key="x",
            verbosity=level,
        )
        for level in ("low", "high")
    )
    loose, strict = pair(one, two), pair(one, two)
    with pytest.warns(
        agentcache.AgentcacheWarning, match="'Two' sends verbosity='high', 'One' sends 'low'"
    ):
        agentcache.wrap(loose, context=[BRIEF])
    with pytest.raises(agentcache.AgentcacheError, match="'One' sends 'low'"):
        agentcache.wrap(strict, context=[BRIEF], strict=True)
    assert provider.log == ()


def test_a_model_object_used_outside_the_crew_stays_as_it_was(provider):
    model = LLM(model="openai/gpt-6-luna", base_url=provider.openai_url, api_key="x")
    agentcache.wrap(pair(model, model), context=[BRIEF])
    model.call([{"role": "user", "content": "hello"}])
    assert json.loads(provider.log[-1].raw)["messages"] == [{"role": "user", "content": "hello"}]
