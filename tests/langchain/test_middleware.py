"""PrefixForkMiddleware, alone and beside LangChain's own for Anthropic; what a trace is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agentcache import loopback
from agentcache.errors import OptionError

from .programs import BRIEF, ROLES

agents = pytest.importorskip("langchain.agents")

from agentcache_langchain.middleware import PrefixForkMiddleware  # noqa: E402


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=loopback.agent) as running:
        yield running


def search_archive(query: str) -> str:
    """Search the archive."""
    return f"nothing on {query}"


def team(provider: loopback.Loopback, *middleware: Any) -> list[Any]:
    chat = pytest.importorskip("langchain_anthropic").ChatAnthropic
    model = chat(model="claude-haiku-5-5", base_url=provider.url, api_key="x")
    kits = {"researcher": [search_archive], "writer": []}
    return [
        agents.create_agent(
            model, tools, system_prompt=ROLES[name][0], middleware=list(middleware), name=name
        )
        for name, tools in kits.items()
    ]


def ask(agent: Any, **config: Any) -> str:
    return str(agent.invoke({"messages": [("user", BRIEF)]}, config)["messages"][-1].text)


@pytest.mark.parametrize("order", ["alone", "outer", "inner"])
def test_agents_that_hold_one_middleware_share_wherever_it_stands(provider, order):
    share = PrefixForkMiddleware()
    caching = pytest.importorskip("langchain_anthropic.middleware").AnthropicPromptCachingMiddleware
    held = {"alone": [share], "outer": [share, caching()], "inner": [caching(), share]}[order]
    for agent in team(provider, *held):
        assert "Final Answer" in ask(agent)
    assert len(share.report.rows) == 2  # by name, where LangChain tells it (>= 1.1)
    first, *later = provider.log
    assert first.cached_tokens == 0
    assert all((one.cached_tokens or 0) > 0.9 * (one.input_tokens or 0) for one in later)
    marks = [json.dumps(json.loads(one.raw)).count('"cache_control"') for one in provider.log]
    assert max(marks) <= 4


def test_without_it_the_same_agents_read_nothing_of_each_other(provider):
    """Positive control."""
    for agent in team(provider):
        ask(agent)
    assert [one.cached_tokens for one in provider.log] == [0] * len(provider.log)


def test_its_options_are_those_of_wrap():
    with pytest.raises(OptionError, match="layout='sideways'"):
        PrefixForkMiddleware(layout="sideways")


def test_a_trace_is_told_what_was_shared(provider):
    tracers = pytest.importorskip("langchain_core.tracers.base")
    told: list[dict[str, Any]] = []

    class Tracer(tracers.BaseTracer):
        def _persist_run(self, run: Any) -> None:
            told.extend(_models_told(run))

    for agent in team(provider, PrefixForkMiddleware()):
        ask(agent, callbacks=[Tracer()])
    assert len(told) == len(provider.log)
    assert all(one["agentcache_forked"] for one in told)
    assert len({one["agentcache_prefix"] for one in told}) == 1
    assert all(one["agentcache_shared_tokens"] > 2000 for one in told)


def _models_told(run: Any) -> Iterator[dict[str, Any]]:
    if run.run_type in ("llm", "chat_model"):
        yield {k: v for k, v in run.extra["metadata"].items() if k.startswith("agentcache_")}
    for child in run.child_runs:
        yield from _models_told(child)
