"""Worth it: a rough bill before anything is sent, under each family's prices."""

from typing import Any

import pytest

from agentcache import CacheDomain, Session, freeze, rule_for
from agentcache.worth import Sample, would_cost_more

BRIEF = "The committee met in the old mill and wrote down what it had decided there. " * 150
BILLED = ["gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5"]


def session(model: str, tools: int = 0, rule_id: str | None = None) -> Session:
    rule = rule_for(model, provider=rule_id)
    wire = "anthropic.messages" if model.startswith("claude") else "openai.chat"
    domain = CacheDomain(rule.provider, model)
    union = [tool(wire, n) for n in range(tools)]
    params = {"model": model}
    return Session(freeze(wire, rule, domain, context=[BRIEF], tools=union, params=params))


def tool(wire: str, n: int) -> dict[str, Any]:
    text = f"Tool {n} does a very particular thing with the archive, see chapter {n} for details."
    if wire == "anthropic.messages":
        return {"name": f"tool_{n:02}", "description": text, "input_schema": {"type": "object"}}
    return {"type": "function", "function": {"name": f"tool_{n:02}", "description": text}}


def sample(model: str, n: int, text: str, tools: int = 0) -> Sample:
    wire = "anthropic.messages" if model.startswith("claude") else "openai.chat"
    said = [{"role": "user", "content": f"{text}\n\nTask {n}."}]
    request: dict[str, Any] = {"model": model, "messages": said}
    if tools:
        request["tools"] = [tool(wire, i) for i in range(tools)]
    if wire == "anthropic.messages":
        request["max_tokens"] = 100
    return Sample(f"agent {n}", request, writes=True)


@pytest.mark.parametrize("model", BILLED)
def test_four_agents_on_one_brief_are_worth_forking(model: str) -> None:
    asked = [sample(model, n, BRIEF) for n in range(4)]
    assert would_cost_more(session(model), asked) == ""


@pytest.mark.parametrize("model", BILLED)
def test_agents_that_do_not_need_the_brief_are_not(model: str) -> None:
    asked = [sample(model, n, BRIEF if n == 0 else "Short.") for n in range(4)]
    assert would_cost_more(session(model), asked).startswith("would_cost_more: forked,")


@pytest.mark.parametrize("model", BILLED)
def test_an_agent_alone_is_not(model: str) -> None:
    """One writes what nobody reads."""
    assert would_cost_more(session(model, tools=30), [sample(model, 0, "Go.")]) != ""


def test_a_union_of_heavy_tools_is_not_at_a_small_discount() -> None:
    asked = [sample("gpt-4o-mini", n, "Short.", tools=40 if n == 0 else 0) for n in range(4)]
    assert would_cost_more(session("gpt-4o-mini", tools=40), asked) != ""


def test_where_nothing_is_billed_nothing_is_refused() -> None:
    asked = [sample("agentcache-agent", n, "Short.") for n in range(4)]
    assert would_cost_more(session("agentcache-agent"), asked) == ""


def test_without_samples_there_is_no_opinion() -> None:
    assert would_cost_more(session("gpt-6-luna"), []) == ""


def test_the_reason_says_how_to_fork_all_the_same() -> None:
    asked = [sample("gpt-6-luna", n, "Short.") for n in range(2)]
    assert "layout='fork' forks all the same" in would_cost_more(session("gpt-6-luna"), asked)
