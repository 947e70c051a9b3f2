"""Compaction in a running program: the same bytes as `compact`, decided once, for all forks."""

import copy
import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.compaction import (
    Compaction,
    Compactor,
    DecisionLog,
    MemoryStore,
    SqliteStore,
    compact,
    recall,
    recall_tool,
)
from agentcache.dialects import dialect, dialect_of
from agentcache.rules import rule_for

from .loops import LOOPS, chat, claude, log_of
from .test_compact import POLICIES, RESULTS

QUICK = settings(max_examples=60, deadline=None)


def offered(request: dict[str, Any]) -> dict[str, Any]:
    tool = recall_tool(dialect_of(request).name)
    return {
        **request,
        **({"toolConfig": {"tools": [tool]}} if "modelId" in request else {"tools": [tool]}),
    }


def compactor(
    request: dict[str, Any], wish: Compaction, store: Any = None, **more: Any
) -> Compactor:
    wire = dialect_of(request)
    rule = rule_for(request.get("model") or request["modelId"])
    return Compactor(wish, MemoryStore() if store is None else store, wire, rule, **more)


@QUICK
@given(
    wire=st.sampled_from([*LOOPS]),
    results=RESULTS,
    wish=POLICIES,
    rebuilt=st.booleans(),
    cut=st.integers(0, 9),
)
def test_a_running_program_sends_what_compact_makes(wire, results, wish, rebuilt, cut) -> None:
    live, log, request = None, DecisionLog(), None
    for n in [*range(len(results) + 1), max(0, len(results) - cut), len(results)]:
        request = offered(LOOPS[wire](results[:n]))
        live = live or compactor(request, wish)
        made = compact(request, log, compaction=wish)
        now = live(copy.deepcopy(request) if rebuilt else request, "a")
        assert json.dumps(now.request) == json.dumps(made.request)
        assert now.tokens == made.tokens
        log = made.log
    assert live is not None
    assert live.log == log
    for decision in log:
        assert recall(live.store, {"id": decision.content_id}) in results


def test_forks_compact_what_they_inherit_as_their_parent_did() -> None:
    wish = Compaction(large=None, high=3_000, low=1_000, keep=1)
    live = compactor(chat([]), wish)
    results = [log_of(n, 60) for n in range(8)]
    early = live(offered(chat(results[:2])), "fork")

    parent = live(offered(chat(results)), "parent")
    fork = live(offered(chat([*results[:2], "mine"])), "fork")

    assert parent.moved
    assert early.request["messages"] != fork.request["messages"][: len(early.request["messages"])]
    shared = 2 + 2 * 2
    assert parent.request["messages"][:shared] == fork.request["messages"][:shared]
    assert "step 1" in fork.moved


def test_nothing_is_replaced_that_the_model_could_not_read_again() -> None:
    live = compactor(chat([]), Compaction())
    bare = chat([log_of(1, 900)])

    assert live(bare).request is bare
    assert live(offered(bare)).changed


def test_an_agent_that_recalls_is_offered_the_tool_from_its_first_call_on() -> None:
    live = compactor(chat([]), Compaction())
    tool = {"type": "function", "function": {"name": "grep", "parameters": {}}}
    first = live({**chat([]), "tools": [tool]}, recalls=True)
    last = live({**chat([log_of(1, 900)]), "tools": [tool]}, recalls=True)

    assert first.request["tools"] == last.request["tools"] == [tool, recall_tool("openai.chat")]
    assert live({**chat([])}, recalls=True).request == chat([])
    forced = {"type": "function", "function": {"name": "grep"}}
    assert not live({**chat([]), "tools": [tool], "tool_choice": forced}, recalls=True).changed


def test_a_second_process_goes_on_with_what_the_first_decided(tmp_path) -> None:
    path, results = tmp_path / "results.db", [log_of(n, 400) for n in range(3)]
    first = SqliteStore(path)
    made = compactor(chat([]), Compaction(), first)(offered(chat(results[:1])))
    first.close()

    second = SqliteStore(path)
    again = compactor(chat([]), Compaction(large=None), second)(offered(chat(results)))

    sent = made.request["messages"]
    assert again.request["messages"][: len(sent)] == sent
    assert results[0] in recall(second, {"id": made.new[0].content_id})
    second.close()


def test_what_the_provider_has_forgotten_is_compacted_at_no_cost(mocker) -> None:
    clock = mocker.patch("agentcache.compaction.live.time.monotonic", return_value=1_000.0)
    said: list[str] = []
    live = compactor(claude([]), Compaction(large=None, keep=1), say=said.append)
    results = [log_of(n, 60) for n in range(5)]
    warm = live(offered(claude(results)))
    clock.return_value += 301

    cold = live(offered(claude([*results, "x"])))

    assert not warm.changed
    assert [d.reason for d in cold.new] == ["cold"] * 5
    assert "step 1" in said[0]
    assert "No provider holds the prefix" in said[0]


def test_thinking_that_is_sent_back_keeps_what_stands_before_it() -> None:
    wish = Compaction(large=None, high=3_000, low=1_000, keep=1)
    request = offered(claude([log_of(n, 60) for n in range(8)]))
    thinks = {"type": "thinking", "thinking": "so", "signature": "s"}
    request["messages"][-2]["content"].insert(0, thinks)
    plain = {**request, "model": "claude-haiku-4-5"}
    freed = {**request, "thinking": {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}}

    held = compact(request, compaction=wish)

    assert not held.moved
    assert "drop_block" in held.why
    assert compact(plain, compaction=wish).moved
    assert compact(freed, compaction=wish).moved


class Broken(MemoryStore):
    def put(self, contents, decisions=()):
        raise OSError("disk full")


def test_what_cannot_be_kept_is_not_replaced(caplog) -> None:
    said: list[str] = []
    live = compactor(chat([]), Compaction(), Broken(), say=said.append)
    request = offered(chat([log_of(1, 900)]))
    with caplog.at_level(logging.ERROR):
        assert live(request).request is request
        assert live(request).request is request
    assert len(said) == 1
    assert "as long as its store fails (disk full)" in said[0]


class Once(MemoryStore):
    """Fails at its first write."""

    failed = False

    def put(self, contents, decisions=()):
        if not self.failed:
            self.failed = True
            raise OSError("locked")
        return super().put(contents, decisions)


def test_a_store_that_comes_back_is_used_again_and_the_move_is_told(mocker) -> None:
    clock = mocker.patch("agentcache.compaction.live.time.monotonic", return_value=1_000.0)
    live = compactor(chat([]), Compaction(), Once())
    request = offered(chat([log_of(1, 900)]))
    assert live(request).request is request
    assert live(request).request is request  # it is left in peace
    clock.return_value += 31

    late = live(request)

    assert late.changed
    assert "could not keep before" in late.moved


def test_a_step_of_another_conversation_moves_nothing_before_bound_thinking() -> None:
    live = compactor(claude([]), Compaction(large=None, high=3_000, low=1_000, keep=1))
    results = [log_of(n, 60) for n in range(8)]

    def mine(*more: str) -> dict[str, Any]:
        request = offered(claude([*results[:2], *more]))
        thinks = {"type": "thinking", "thinking": "so", "signature": "s"}
        request["messages"][5]["content"].insert(0, thinks)
        return request

    first = live(mine("mine"), "fork")
    assert live(offered(claude(results)), "parent").moved

    after = live(mine("mine", "more"), "fork")

    assert after.request["messages"][:6] == first.request["messages"][:6]
    assert not after.moved


def test_an_original_that_was_dropped_is_kept_again_where_it_is_at_hand() -> None:
    store = MemoryStore(cap=3_000)
    requests = [offered(chat([log_of(n, 900)])) for n in range(4)]
    made = [compactor(chat([]), Compaction(), store)(one) for one in requests]
    name = made[0].new[0].content_id
    assert store.get(name) is None

    again = compactor(chat([]), Compaction(), store)(requests[0])

    assert again.changed
    assert recall(store, {"id": name}) == log_of(0, 900)


def test_who_has_tools_and_cannot_recall_is_named_once() -> None:
    said: list[str] = []
    live = compactor(chat([]), Compaction(), say=said.append)
    own = {"type": "function", "function": {"name": "grep"}}
    for _ in range(2):
        live({**chat([log_of(1, 900)]), "tools": [own]}, "clerk")
    assert len(said) == 1
    assert "'clerk' has tools" in said[0]


def test_a_call_that_forces_one_of_them_keeps_the_tools_of_its_conversation() -> None:
    live = compactor(chat([]), Compaction())
    own = {"type": "function", "function": {"name": "grep", "parameters": {}}}
    forced = {"type": "function", "function": {"name": "grep"}}
    first = live({**chat(["x"]), "tools": [own]}, recalls=True)
    then = live({**chat(["x"]), "tools": [own], "tool_choice": forced}, recalls=True)
    assert first.request["tools"] == then.request["tools"]
    many = [{**own, "n": n} for n in range(127)]
    assert len(live({**chat(["y"]), "tools": many}, recalls=True).request["tools"]) == 127


@pytest.mark.parametrize("wire", LOOPS)
def test_inputs_images_and_reasoning_are_compacted_when_asked(wire) -> None:
    long = "x = 1\n" * 900
    request = LOOPS[wire](["ok", "ok", "ok", "ok"])
    spoken = json.dumps(request).replace(
        '{\\"n\\": 0}', json.dumps(json.dumps({"text": long}))[1:-1]
    )
    spoken = spoken.replace('"input": {"n": 0}', f'"input": {json.dumps({"text": long})}')
    request = json.loads(spoken)
    wish = Compaction(also=("input",), keep=1, high=1_000, low=100)

    made = compact(request, compaction=wish)

    assert [d.kind for d in made.new] == ["input"]
    assert made.moved
    assert "[compacted tool input" in json.dumps(made.request)
    assert long not in str(made.request)
    assert not compact(request, compaction=Compaction(keep=1, high=1_000, low=100)).new
    again = compact(made.request, made.log, compaction=wish)
    assert again.request == made.request


def test_an_image_is_replaced_once_it_was_seen() -> None:
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "A" * 9_000},
    }
    request = claude(["ok", "ok", "ok"])
    request["messages"][2]["content"][0]["content"] = [{"type": "text", "text": "shot"}, picture]
    wish = Compaction(also=("image",), keep=1, high=1_000, low=100)

    made = compact(request, compaction=wish, calls_left=50)

    (decision,) = made.new
    held = made.request["messages"][2]["content"][0]["content"]
    assert held[0] == {"type": "text", "text": "shot"}
    assert held[1] == {"type": "text", "text": decision.text}
    store = MemoryStore()
    store.put(made.originals)
    assert json.loads(recall(store, {"id": decision.content_id})) == picture
    newest = claude(["ok"])
    newest["messages"][2]["content"][0]["content"] = [picture]
    assert not compact(newest, compaction=wish).new


def test_reasoning_that_is_sent_back_as_text_is_replaced_when_stale() -> None:
    request = chat(["ok", "ok", "ok"])
    request["messages"][2]["reasoning_content"] = "hmm " * 2_000

    made = compact(request, compaction=Compaction(also=("reasoning",), keep=1, high=1_000, low=9))

    assert [d.kind for d in made.new] == ["reasoning"]
    assert made.request["messages"][2]["reasoning_content"].startswith("[compacted reasoning")


def test_a_chained_request_is_left_alone() -> None:
    request = {**offered(LOOPS["openai.responses"]([log_of(1, 900)])), "previous_response_id": "r"}
    assert (
        Compactor(Compaction(), MemoryStore(), dialect("openai.responses"), rule_for("gpt-6-luna"))(
            request
        ).request
        is request
    )
