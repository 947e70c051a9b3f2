"""Positive controls: with a guard taken away, what it guards against does happen."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from agentcache import forks, layout, marks
from agentcache.allow import foreign_tools
from agentcache.dialects import dialect
from agentcache.gate import Gate, Terms
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

BRIEF = "facts about the market " * 400
TOOLS = [
    {"name": name, "description": name, "input_schema": {"type": "object"}}
    for name in ("read", "write")
]


def session(**more: Any) -> Session:
    rule = rule_for("claude-haiku-5-5")
    options: dict[str, Any] = {"system": "Team.", "context": [BRIEF], "tools": TOOLS}
    domain = CacheDomain("anthropic", "claude-haiku-5-5")
    params = {"model": "claude-haiku-5-5"}
    return Session(freeze("anthropic.messages", rule, domain, params=params, **{**options, **more}))


def body(turns: int = 0) -> dict[str, Any]:
    said: list[dict[str, Any]] = [{"role": "user", "content": "Go."}]
    for n in range(turns):
        said += [{"role": "assistant", "content": f"{n}"}, {"role": "user", "content": "More."}]
    return {"model": "claude-haiku-5-5", "system": "Me.", "messages": said, "tools": TOOLS[:1]}


def identities(request: dict[str, Any]) -> list[str]:
    wire = dialect("anthropic.messages")
    return [b.identity for b in wire.blocks(request) if b.section != "free"]


def test_without_the_parents_order_of_tools_a_fork_leaves_its_parent(mocker) -> None:
    held = session()
    lay = forks.lay

    def own_order(wire, rule, trunk, *rest, **more):
        turned = replace(trunk, tools=trunk.tools[::-1])
        return lay(wire, rule, turned, *rest, **more)

    mocker.patch("agentcache.forks.lay", own_order)
    sent = held.fork("w").rewrite(body()).request

    trunk = [b.identity for b in held.parent.blocks()]
    assert identities(sent)[: len(trunk)] != trunk


def test_without_the_tail_the_agents_own_text_would_be_lost(mocker) -> None:
    mocker.patch.object(layout.Tail, "text", return_value="")

    assert "Me." not in json.dumps(session().fork("w").rewrite(body()).request)


def test_without_steady_parts_a_looping_fork_would_move_its_own_turns(mocker) -> None:
    def only_the_marked(wire, rule, messages, value, spent):
        out = list(messages)
        ends = [n for n, m in enumerate(out) if m["role"] == "user"]
        out[ends[-1]] = marks._mark_last(wire, marks.as_parts(wire, out[ends[-1]]), value)
        return out

    mocker.patch("agentcache.layout.roll", only_the_marked)
    fork = session().fork("w")
    before = identities(fork.rewrite(body(1)).request)
    after = identities(fork.rewrite(body(2)).request)

    assert after[: len(before)] != before


def test_without_the_conversations_own_trunk_growing_would_move_its_turns(mocker) -> None:
    held = session()
    fork = held.fork("w")
    before = identities(fork.rewrite(body(1)).request)
    held.extend("More, for all.")
    held.talks._known.clear()

    after = identities(fork.rewrite(body(2)).request)

    assert after[: len(before)] != before


def test_without_the_freeze_a_callers_change_would_reach_the_wire() -> None:
    tools = [dict(TOOLS[0])]
    held = session(tools=tools)
    tools[0]["description"] = "changed"

    sent = held.fork("w").rewrite({**body(), "tools": [TOOLS[0]]}).request

    assert sent["tools"][0]["description"] == "read"
    assert tools[0]["description"] == "changed"


def test_without_the_guard_a_foreign_call_looks_like_any_other() -> None:
    made = session().fork("w").rewrite(body())
    called = ["write"]  # Claude cannot be told on the wire: the union holds it

    assert "write" in [tool["name"] for tool in made.request["tools"]]
    assert foreign_tools(called, made.request and ("read", "write")) == ()
    assert foreign_tools(called, made.allowed) == ("write",)


def test_without_the_organisation_two_tenants_would_share_a_key() -> None:
    same = CacheDomain("openai", "gpt-6-luna")
    keys = {
        Session(freeze("openai.chat", rule_for("gpt-6-luna"), same, context=[BRIEF])).key
        for _ in range(2)
    }

    assert len(keys) == 1


@pytest.mark.parametrize("gated", [True, False])
def test_without_the_gate_every_cold_caller_would_write(gated) -> None:
    gate, cold, written = Gate(), 0, threading.Event()
    start = threading.Barrier(6)
    lock = threading.Lock()

    def send() -> None:
        nonlocal cold
        with lock:
            cold += not written.is_set()
        time.sleep(0.02)
        written.set()

    def call(_: int) -> None:
        start.wait(5)
        if not gated:
            send()
            return
        with gate.enter("prefix", Terms()):
            send()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, range(6), timeout=10))

    assert cold == 1 if gated else cold > 1
