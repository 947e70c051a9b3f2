"""Placement: four parallel forks on four slots, where a slot never shares its live prompt."""

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Barrier
from typing import Any

import pytest

from agentcache import CacheDomain, Gate, Session, engine, freeze, rule_for

pytest.importorskip("xllamacpp")

BRIEF = " ".join(f"Fact {n}: the mill had {n} wheels in year {1700 + n}." for n in range(100))


@pytest.fixture
def running() -> Iterator[engine.Engine]:
    with engine.serve(slots=4) as server:
        yield server


def send(running: engine.Engine, body: dict[str, Any], answer_tokens: int = 1) -> tuple[int, int]:
    """Return (tokens of the prompt, tokens read from the cache)."""
    url = running.openai_url + "/chat/completions"
    data = json.dumps({**body, "max_tokens": answer_tokens, "ignore_eos": True}).encode()
    asked = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        usage = json.load(answer)["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def session_on(running: engine.Engine) -> Session:
    domain = CacheDomain("llama.cpp", running.model, running.openai_url)
    rule = rule_for(running.model, running.openai_url)
    params = {"model": running.model}
    return Session(freeze("openai.chat", rule, domain, context=[BRIEF], params=params))


def fan_out(running: engine.Engine, session: Session, gate: Gate | None) -> list[tuple[int, int]]:
    def one(n: int) -> tuple[int, int]:
        asked = {"model": running.model, "messages": [{"role": "user", "content": f"Task {n}."}]}
        sent = session.fork(f"worker {n}").rewrite(asked)
        assert sent.forked
        turn: AbstractContextManager[Any] = nullcontext()
        if gate is not None:
            turn = gate.enter(session.key, session.terms)
        ready.wait(timeout=30)
        with turn:
            # Long answers keep every slot busy until the last fork has come in.
            return send(running, sent.request, answer_tokens=1 if gate else 400)

    ready = Barrier(4)
    send(running, session.parent.request())
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(4)))


def test_through_the_gate_four_of_four_parallel_forks_hit(running: engine.Engine) -> None:
    results = fan_out(running, session_on(running), Gate())
    assert all(cached >= 0.95 * prompt for prompt, cached in results)


def test_without_it_most_of_them_miss(running: engine.Engine) -> None:
    """Positive control: the same forks, let loose on four slots."""
    results = fan_out(running, session_on(running), gate=None)
    assert sum(cached >= 0.95 * prompt for prompt, cached in results) <= 2
