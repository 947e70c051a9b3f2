"""What is read: against ceilings counted by the provider itself, never by our own estimate."""

import json
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

import agentcache
from agentcache import loopback
from agentcache.demo.scenario import Endpoint

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)
PATHS = {"anthropic.messages": "/v1/messages", "openai.chat": "/v1/chat/completions"}
MINIMUM = {"gpt-6-luna": 1024, "gpt-4.1-mini": 1024, "claude-haiku-5-5": 512}
PRICE = {  # read, write, as multiples of a fresh input token
    "gpt-6-luna": (0.1, 1.25),
    "gpt-4.1-mini": (0.25, 1.0),
    "claude-haiku-5-5": (0.1, 1.25),
}


def tokens_of_parent(crew: Any, endpoint: Endpoint) -> int:
    """Ask a fresh provider how long the parent's own request is."""
    parent = agentcache.session(crew).parent
    request = parent.request()
    request.setdefault("model", endpoint.model)
    if endpoint.anthropic:
        request = {"max_tokens": 1, **request, "messages": [{"role": "user", "content": "."}]}
    request.pop("stream", None)
    with loopback.serve() as provider:
        url = provider.url + PATHS[parent.dialect.name]
        headers = {"content-type": "application/json", "authorization": "Bearer x"}
        headers |= {"x-api-key": "x", "anthropic-version": "2023-06-01"}
        asked = urllib.request.Request(url, json.dumps(request).encode(), headers)
        urllib.request.urlopen(asked).read()
        counted = provider.log[-1].input_tokens
    assert counted is not None
    return counted - (1 if endpoint.anthropic else 0)


def ceilings(requests: list[loopback.Logged], parent: int, model: str) -> list[int]:
    """What an ideal cache holds: the agent's last request if it loops, else the parent."""
    found: list[int] = []
    earlier: list[tuple[str, int]] = []
    for request in requests:
        body = json.dumps(json.loads(request.raw)["messages"])
        own = [n for text, n in earlier if body.startswith(text)]
        ceiling = max([parent if earlier else 0, *own])
        found.append(ceiling - ceiling % 128 if model == "gpt-4.1-mini" else ceiling)
        opening = json.dumps(json.loads(request.raw)["messages"])[:-1]
        earlier.append((opening, request.input_tokens or 0))
    return found


def plain_messages(request: loopback.Logged) -> loopback.Logged:
    """The request without its marks, which move from turn to turn and are not hashed."""
    body = json.loads(request.raw)
    for message in body["messages"]:
        for part in message["content"] if isinstance(message.get("content"), list) else []:
            part.pop("cache_control", None)
            part.pop("prompt_cache_breakpoint", None)
    return replace(request, raw=json.dumps(body).encode())


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_every_call_after_the_leader_reads_98_percent_of_its_ceiling(bench, parallel, stream):
    crew = bench.kit.program(bench.endpoint, BRIEF, parallel=parallel, stream=stream)
    agentcache.wrap(crew, context=[BRIEF])
    bench.kit.run(crew)
    calls = [plain_messages(r) for r in bench.calls()]
    parent = tokens_of_parent(crew, bench.endpoint)
    best = ceilings(calls, parent, bench.endpoint.model)
    assert parent > MINIMUM[bench.endpoint.model]
    assert [r.cached_tokens for r in calls[:1]] == [0]
    for request, ceiling in zip(calls[1:], best[1:], strict=True):
        assert ceiling >= parent - 127
        assert (request.cached_tokens or 0) >= 0.98 * ceiling


def test_unwrapped_agents_read_nothing_of_each_other(bench):
    crew = bench.kit.program(bench.endpoint, BRIEF)
    bench.kit.run(crew)
    first_calls = [r for r in bench.calls() if not_a_loop(r)]
    assert len(first_calls) == 3
    assert [r.cached_tokens for r in first_calls] == [0, 0, 0]


def not_a_loop(request: loopback.Logged) -> bool:
    return "assistant" not in {m["role"] for m in json.loads(request.raw)["messages"]}


@pytest.mark.parametrize("bench", ["gpt-6-luna", "claude-haiku-5-5"], indirect=True)
def test_without_the_mark_at_the_fork_point_a_marked_family_reads_nothing(bench, mocker):
    """Positive control: a shared prefix is not a cached prefix."""
    mocker.patch("agentcache.parent.mark_value", return_value={})
    crew = bench.kit.program(bench.endpoint, BRIEF)
    agentcache.wrap(crew, context=[BRIEF])
    bench.kit.run(crew)
    assert [r.cached_tokens for r in bench.calls() if not_a_loop(r)] == [0, 0, 0]


def bill(requests: list[loopback.Logged], model: str) -> float:
    read, write = PRICE[model]
    total = 0.0
    for r in requests:
        cached, written = r.cached_tokens or 0, r.cache_write_tokens or 0
        total += (r.input_tokens or 0) - cached - written + cached * read + written * write
    return total


@pytest.mark.parametrize("parallel", [False, True])
def test_the_forked_bill_is_never_above_the_unforked_one(bench, parallel):
    crew = bench.kit.program(bench.endpoint, BRIEF, parallel=parallel)
    bench.kit.run(crew)
    plain = bill(bench.calls(), bench.endpoint.model)
    bench.provider.reset()
    agentcache.wrap(crew, context=[BRIEF])
    bench.kit.run(crew)
    assert bill(bench.calls(), bench.endpoint.model) <= plain


def test_a_parallel_pair_makes_one_cold_call(bench):
    crew = bench.kit.program(bench.endpoint, BRIEF, parallel=True)
    agentcache.wrap(crew, context=[BRIEF])
    bench.kit.run(crew)
    firsts = [r for r in bench.calls() if not_a_loop(r)]
    assert sum(r.cached_tokens == 0 for r in firsts) == 1


def test_the_report_counts_what_the_provider_counted(bench):
    crew = bench.kit.program(bench.endpoint, BRIEF)
    agentcache.wrap(crew, context=[BRIEF], ledger=agentcache.Ledger(source="emulated"))
    bench.kit.run(crew)
    total, calls = agentcache.report(crew).total, bench.calls()
    assert total.calls == len(calls)
    assert total.input_tokens == sum(r.input_tokens or 0 for r in calls)
    assert total.cached == sum(r.cached_tokens or 0 for r in calls)
    assert (total.written or 0) == sum(r.cache_write_tokens or 0 for r in calls)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("parallel", [False, True])
def test_on_the_embedded_engine_workers_read_95_percent_across_agents(kit, slots, parallel):
    engine = pytest.importorskip("agentcache.engine")
    pytest.importorskip("xllamacpp")
    cues = [
        engine.ToolCue("search_notes", {"query": "mill"}),
        engine.ToolCue("delete_everything", {"confirm": "no"}),
    ]
    with engine.serve("agent", slots=slots, tools=cues) as running:
        endpoint = Endpoint(running.openai_url, running.model, "none")
        crew = kit.program(endpoint, BRIEF, parallel=parallel, stream=True)
        agentcache.wrap(crew, context=[BRIEF], provider="llama.cpp")
        kit.run(crew)
    rows = agentcache.report(crew).rows
    workers = [r for r in rows if r.ceiling_across]
    assert len(workers) == 2
    assert all((r.cached_across or 0) >= 0.95 * r.ceiling_across for r in workers)
