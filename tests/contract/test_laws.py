"""DESIGN section 5, laws 1, 2, 3 and 8, on the wire as the provider received it."""

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest

import agentcache
from agentcache import loopback
from agentcache.blocks import Block, dumps
from agentcache.demo.scenario import Endpoint
from agentcache.dialects import dialect, dialect_of
from agentcache.layout import lift

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)
SMALL = "BRIEF\nThe committee met in the old mill."


_NOT_TEXT = {"cache_control", "id", "tool_use_id", "tool_call_id"}


def blocks_of(request: loopback.Logged) -> list[Block]:
    body = json.loads(request.raw)
    return [b for b in dialect_of(body).blocks(body) if b.section != "free"]


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [t for k, v in value.items() if k not in _NOT_TEXT for t in texts_in(v)]
    return [t for v in value for t in texts_in(v)] if isinstance(value, list) else []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_every_fork_starts_with_all_of_its_parents_blocks(bench, parallel, stream):
    crew = bench.kit.program(bench.endpoint, BRIEF, parallel=parallel, stream=stream)
    agentcache.wrap(crew, context=[BRIEF])
    bench.kit.run(crew)
    parent = [b.identity for b in agentcache.session(crew).parent.blocks() if b.path != "stream"]
    sent = [[b.identity for b in blocks_of(r)] for r in bench.calls()]
    assert len(sent) == 5
    assert all(one[: len(parent)] == parent for one in sent)
    assert len(parent) >= 3


def test_every_text_and_tool_of_the_program_is_in_its_fork(bench):
    crew = bench.kit.program(bench.endpoint, BRIEF)
    bench.kit.run(crew)
    plain = [json.loads(r.raw) for r in bench.calls()]
    bench.provider.reset()
    agentcache.wrap(crew, context=[BRIEF])
    bench.kit.run(crew)
    forked = [json.loads(r.raw) for r in bench.calls()]
    assert len(plain) == len(forked) == 5
    for before, after in zip(plain, forked, strict=True):
        wire = dialect_of(before)
        whole = " ".join(texts_in({k: after.get(k) for k in ("system", "messages")}))
        parts = wire.split(before)
        for text in [*parts.system, *texts_in([m.get("content") or "" for m in parts.messages])]:
            assert lift(text, [BRIEF]) in whole
        assert BRIEF in whole
        assert all(dumps(t) in dumps(after) for t in parts.tools)


def run_on_a_fresh_provider(kit: Any, endpoint: Endpoint, prepare: Any) -> list[bytes]:
    with loopback.serve(script=loopback.agent) as provider:
        url = provider.url if endpoint.anthropic else provider.openai_url
        crew = kit.program(replace(endpoint, base_url=url), BRIEF)
        prepare(crew)
        kit.run(crew)
        return [without_port(r.raw) for r in provider.log if r.api != "other"]


def without_port(raw: bytes) -> bytes:
    """Drop the affinity id: the endpoint is part of the cache domain, and each has its own port."""
    return re.sub(rb'"prompt_cache_key":"ac-[0-9a-f]+"', b"", raw)


def test_unwrap_restores_every_request_byte_for_byte(bench):
    def there_and_back(crew: Any) -> None:
        agentcache.unwrap(agentcache.wrap(crew, context=[BRIEF]))

    plain = run_on_a_fresh_provider(bench.kit, bench.endpoint, lambda crew: None)
    restored = run_on_a_fresh_provider(bench.kit, bench.endpoint, there_and_back)
    assert restored == plain


def test_layout_as_is_sends_every_request_byte_for_byte(bench):
    plain = run_on_a_fresh_provider(bench.kit, bench.endpoint, lambda crew: None)
    observed = run_on_a_fresh_provider(
        bench.kit, bench.endpoint, lambda crew: agentcache.wrap(crew, layout="as_is")
    )
    assert observed == plain


def test_wrapping_twice_is_wrapping_once(bench):
    def once(crew: Any) -> None:
        agentcache.wrap(crew, context=[BRIEF])

    def twice(crew: Any) -> None:
        assert agentcache.wrap(agentcache.wrap(crew, context=[BRIEF])) is crew

    wrapped_once = run_on_a_fresh_provider(bench.kit, bench.endpoint, once)
    assert run_on_a_fresh_provider(bench.kit, bench.endpoint, twice) == wrapped_once


def test_a_small_shared_part_is_left_alone_and_said_so(bench):
    def wrap_and_keep(crew: Any) -> None:
        agentcache.wrap(crew, context=[SMALL], system="Short.")
        kept.append(crew)

    kept: list[Any] = []
    with loopback.serve(script=loopback.agent) as provider:
        url = provider.url if bench.endpoint.anthropic else provider.openai_url
        crew = bench.kit.program(replace(bench.endpoint, base_url=url), SMALL)
        bench.kit.run(crew)
        plain = [r.input_tokens for r in provider.log if r.api != "other"]
        provider.reset()
        wrap_and_keep(crew)
        bench.kit.run(crew)
        small = [r.input_tokens for r in provider.log if r.api != "other"]
    assert small == plain
    reasons = {p.reason.partition(":")[0] for p in agentcache.report(crew).passed_through}
    assert reasons == {"below_minimum"}


def always_calls(name: str) -> Any:
    """A model that has been talked into another agent's tool, whatever it is told."""

    asked = itertools.count()

    def script(turn: loopback.Turn) -> loopback.Answer:
        told = " ".join(said.text for said in turn.texts)
        if turn.tool_results or "is not one of your tools" in told:
            return loopback.Answer("Final Answer: I stopped.")
        if name in turn.tools:
            said = {"confirm": f"yes {next(asked)}"}  # frameworks cache equal calls
            return loopback.Answer(tool_calls=(loopback.ToolCall(name, said),))
        return loopback.Answer("Final Answer: done.")

    return script


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_outside_an_agents_own_list_is_never_executed(bench, stream):
    with loopback.serve(script=always_calls("delete_everything")) as provider:
        url = provider.url if bench.endpoint.anthropic else provider.openai_url
        endpoint = replace(bench.endpoint, base_url=url)
        crew = bench.kit.program(endpoint, BRIEF, stream=stream)
        agentcache.wrap(crew, context=[BRIEF])
        bench.kit.executed.clear()
        answer = bench.kit.run(crew)
    assert bench.kit.executed == ["delete_everything"]  # by the analyst, whose tool it is
    assert "stopped" in answer or "done" in answer


def test_without_the_allow_list_the_same_model_executes_it(bench):
    """Positive control: a naive union runs the foreign tool for every agent."""
    with loopback.serve(script=always_calls("delete_everything")) as provider:
        url = provider.url if bench.endpoint.anthropic else provider.openai_url
        crew = bench.kit.program(replace(bench.endpoint, base_url=url), BRIEF)
        bench.kit.give_all_tools_to_everyone(crew)
        bench.kit.executed.clear()
        bench.kit.run(crew)
    assert bench.kit.executed == ["delete_everything"] * 3


def test_dialects_are_told_apart_by_the_request_alone(bench):
    bench.kit.run(bench.kit.program(bench.endpoint, BRIEF))
    expected = "anthropic.messages" if bench.endpoint.anthropic else "openai.chat"
    assert {dialect_of(json.loads(r.raw)) for r in bench.calls()} == {dialect(expected)}
