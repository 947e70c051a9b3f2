"""A provider that clears tool results by itself, over its real SDK: ledger and recordings know."""

import json
import re
from typing import Any

import pytest

import agentcache
from agentcache import recordings
from agentcache.loopback import Answer, ToolCall, serve

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


def test_a_ledger_that_is_judged_anew_keeps_what_was_heard(client, tmp_path) -> None:
    ledger = agentcache.Ledger(tmp_path / "run.jsonl", content=True)
    agentcache.observe(client, ledger=ledger)
    loop(client, "create")

    again = recordings.read(tmp_path / "run.jsonl").breaks("anthropic")

    assert again
    assert [b.kind for b in again] == [b.kind for b in ledger.breaks]
    assert {b.kind for b in again} == {"compaction"}
