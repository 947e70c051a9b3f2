"""A provider that clears or compacts the context by itself: the ledger and recordings know it."""

import json
import re
from typing import Any

import pytest

import agentcache
from agentcache import recordings
from agentcache.breaks import Lookout, Seen
from agentcache.dialects import dialect
from agentcache.loopback import Answer, ToolCall, serve
from agentcache.rules import rule_for
from agentcache.usage import Usage

anthropic = pytest.importorskip("anthropic")

MODEL = "claude-haiku-5-5"
BETA = "context-management-2025-06-27"
TOOL = {"name": "search", "input_schema": {"type": "object", "properties": {}}}
EDITS = {
    "edits": [
        {
            "type": "clear_tool_uses_20250919",
            "trigger": {"type": "input_tokens", "value": 3000},
            "keep": {"type": "tool_uses", "value": 1},
        }
    ]
}
RULES = "Mind the rules. " * 300


def request(messages: list[Any]) -> dict[str, Any]:
    return {
        "model": MODEL,
        "max_tokens": 50,
        "system": RULES,
        "tools": [TOOL],
        "messages": messages,
        "cache_control": {"type": "ephemeral"},
        "context_management": EDITS,
    }


def once(client: Any, body: dict[str, Any], how: str) -> Any:
    if how == "stream":
        with client.beta.messages.stream(**body, betas=[BETA]) as stream:
            return stream.get_final_message()
    if how == "raw":
        raw = client.beta.messages.with_raw_response.create(**body, betas=[BETA])
        return raw.parse()
    return client.beta.messages.create(**body, betas=[BETA])


def loop(client: Any, how: str) -> list[Any]:
    """A loop of tool calls, until the provider clears results; the answers."""
    messages: list[Any] = [{"role": "user", "content": "Go."}]
    answers = []
    for n in range(5):
        answer = once(client, request(messages), how)
        answers.append(answer)
        result = {"type": "tool_result", "tool_use_id": answer.content[-1].id}
        messages += [
            {"role": "assistant", "content": [block.to_dict() for block in answer.content]},
            {"role": "user", "content": [{**result, "content": f"fact {n} " * 300}]},
        ]
    return answers


@pytest.fixture
def provider():
    with serve(script=lambda turn: Answer(tool_calls=(ToolCall("search"),))) as running:
        yield running


@pytest.fixture
def client(provider):
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("how", ["create", "stream", "raw"])
def test_a_miss_after_tool_results_were_cleared_is_told_as_compaction(client, how) -> None:
    found: list[agentcache.CacheBreak] = []
    agentcache.observe(client, on_break=found.append)

    answers = loop(client, how)

    told = [edit for a in answers for edit in a.context_management.applied_edits]
    assert told
    assert [b.kind for b in found] == ["compaction"] * len(told)
    for broke, edit in zip(found, told, strict=True):
        uses, tokens = edit.cleared_tool_uses, edit.cleared_input_tokens
        assert broke.note == (
            f"The provider cleared {uses} tool use{'s' * (uses > 1)} (about {tokens:,} tokens) at "
            f"this call: clear_tool_uses_20250919."
        )
        assert (broke.source, broke.section, broke.path) == ("vendor", "messages", "messages")
        assert broke.tokens_lost


@pytest.mark.parametrize("streamed", [False, True])
def test_a_recording_of_it_tells_the_same(client, tmp_path, streamed) -> None:
    messages: list[Any] = [{"role": "user", "content": "Go."}]
    rows = []
    for n in range(5):
        rows.append(taped(client, request(messages), stream=streamed))
        name = re.findall(r"toolu_\w+", rows[-1]["response"]["body"]["string"])[0]
        use = {"type": "tool_use", "id": name, "name": "search", "input": {}}
        result = {"type": "tool_result", "tool_use_id": name, "content": f"fact {n} " * 300}
        messages += [
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ]
    (tmp_path / "tape.json").write_text(json.dumps({"interactions": rows}))

    found = recordings.read(tmp_path / "tape.json").breaks()

    assert {b.kind for b in found} == {"compaction"}
    assert all("The provider cleared" in b.note for b in found)


def taped(client: Any, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    """One interaction of a cassette."""
    raw = client.beta.messages.with_raw_response.create(**body, betas=[BETA], stream=stream)
    asked, answer = raw.http_response.request, raw.http_response
    sent = {"method": "POST", "uri": str(asked.url), "body": asked.read().decode()}
    said = {"string": answer.read().decode()}
    return {"request": sent, "response": {"status": {"code": answer.status_code}, "body": said}}


def claude(*said: dict[str, Any], **more: Any) -> dict[str, Any]:
    system = [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}]
    return {"model": MODEL, "max_tokens": 9, "system": system, "messages": list(said), **more}


def run_of(outputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Two runs of LangSmith's: the second missed what the first wrote."""
    wrote = {"input_tokens": 3000, "input_token_details": {"cache_read": 0, "cache_creation": 2900}}
    missed = {"input_tokens": 3000, "input_token_details": {"cache_read": 0}}
    ask = {"role": "user", "content": "a"}
    told = [{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    calls = [(claude(ask), wrote, {}), (claude(ask, *told), missed, outputs)]
    return [
        {
            "id": str(n),
            "run_type": "llm",
            "inputs": body,
            "outputs": {"usage_metadata": used, **more},
            "start_time": f"2026-11-23T14:{n:02}:00Z",
            "end_time": f"2026-11-23T14:{n:02}:01Z",
        }
        for n, (body, used, more) in enumerate(calls)
    ]


APPLIED = {
    "applied_edits": [
        {"type": "clear_thinking_20251015", "cleared_thinking_turns": 2, "cleared_input_tokens": 80}
    ]
}
KEPT = {
    "by a wrapper": {"context_management": APPLIED},
    "by langchain": {
        "generations": [
            [{"message": {"kwargs": {"response_metadata": {"context_management": APPLIED}}}}]
        ]
    },
    "beside langchain's": {"llm_output": {"context_management": APPLIED}},
}


@pytest.mark.parametrize("where", KEPT)
def test_runs_of_langsmith_tell_it(tmp_path, where) -> None:
    rows = run_of(KEPT[where])
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, rows)))

    found = recordings.read(tmp_path / "runs.jsonl").breaks()

    assert [(b.kind, b.source) for b in found] == [("compaction", "vendor")]
    assert found[0].note == (
        "The provider cleared 2 thinking turns (about 80 tokens) at this call: "
        "clear_thinking_20251015."
    )


def test_a_ledger_that_is_judged_anew_keeps_what_was_heard(client, tmp_path) -> None:
    ledger = agentcache.Ledger(tmp_path / "run.jsonl", content=True)
    agentcache.observe(client, ledger=ledger)
    loop(client, "create")

    again = recordings.read(tmp_path / "run.jsonl").breaks("anthropic")

    assert again
    assert [b.kind for b in again] == [b.kind for b in ledger.breaks]
    assert {b.kind for b in again} == {"compaction"}


BLOCK = {"type": "compaction", "content": "Order 17 is on its way."}
SUMMED = {"role": "assistant", "content": [BLOCK, {"type": "text", "text": "Since Monday."}]}
SAID = [
    {"role": "user", "content": "Where is order 17? " * 40},
    {"role": "assistant", "content": "On its way. " * 40},
    {"role": "user", "content": "Since when?"},
]
NEXT = {"role": "user", "content": [{"type": "text", "text": "Who packed it?"}]}
COMPACTED = {"behind what was said": [*SAID, SUMMED, NEXT], "in its place": [SUMMED, NEXT]}


@pytest.mark.parametrize("where", COMPACTED)
def test_a_summary_that_comes_into_a_conversation_is_told_as_it_happens(where) -> None:
    lookout = Lookout()
    requests = [
        claude(*said, cache_control={"type": "ephemeral"}) for said in (SAID, COMPACTED[where])
    ]
    found = [
        lookout.judged(
            Seen(
                dialect("anthropic.messages"),
                rule_for(MODEL),
                "clerk",
                body,
                {},
                Usage(2500, 0 if n == 0 else 900, 2400 if n == 0 else 0),
                10.0 * n,
                10.0 * n + 1,
                n,
            )
        )[0]
        for n, body in enumerate(requests)
    ]

    assert found[0] is None
    assert found[1] is not None
    assert (found[1].kind, found[1].section) == ("compaction", "messages")
