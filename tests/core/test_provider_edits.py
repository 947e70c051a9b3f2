"""A provider that clears or compacts the context by itself: what usage and recordings say of it."""

import json
from typing import Any

import pytest

from agentcache import recordings
from agentcache.breaks import Lookout, Seen
from agentcache.dialects import dialect
from agentcache.prints import Printer
from agentcache.rules import rule_for
from agentcache.sdk.answers import Tally
from agentcache.usage import Usage

MODEL = "claude-haiku-5-5"
RULES = "Mind the rules. " * 300


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


BLOCK = {"type": "compaction", "content": "Order 17 is on its way."}
SUMMED = {"role": "assistant", "content": [BLOCK, {"type": "text", "text": "Since Monday."}]}
SAID = [
    {"role": "user", "content": "Where is order 17? " * 40},
    {"role": "assistant", "content": "On its way. " * 40},
    {"role": "user", "content": "Since when?"},
]
NEXT = {"role": "user", "content": [{"type": "text", "text": "Who packed it?"}]}
COMPACTED = {"behind what was said": [*SAID, SUMMED, NEXT], "in its place": [SUMMED, NEXT]}


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("where", COMPACTED)
def test_a_summary_that_comes_into_a_conversation_is_told_as_it_happens(where, forked) -> None:
    wire, lookout, prints = dialect("anthropic.messages"), Lookout(), Printer()
    found = []
    for n, said in enumerate((SAID, COMPACTED[where])):
        body = claude(*said, cache_control={"type": "ephemeral"})
        used = Usage(2500, 900, 0) if n else Usage(2500, 0, 2400)
        times = (10.0 * n, 10.0 * n + 1)
        sent = prints(wire.hashed(body))
        seen = Seen(wire, rule_for(MODEL), "clerk", body, {}, used, *times, n, forked, sent)
        found.append(lookout.judged(seen)[0])

    assert found[0] is None
    assert found[1] is not None
    assert (found[1].kind, found[1].section) == ("compaction", "messages")


def rows(*types: str) -> list[dict[str, Any]]:
    """A row for each of these types, each of other counts."""
    return [
        {
            "type": kind,
            "input_tokens": 10 + n,
            "cache_read_input_tokens": 200 + n,
            "cache_creation_input_tokens": 3000 + n,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 3000 + n,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": 40_000 + n,
            **({} if kind == "compaction" else {"model": MODEL}),
        }
        for n, kind in enumerate(types)
    ]


ROWS = {
    "compacted before it answered": ("compaction", "message"),
    "compacted twice between server tools": ("message", "compaction", "message", "compaction"),
    "an advisor was asked": ("message", "advisor_message", "message"),
    "another model served it": ("message", "fallback_message"),
    "it was told to compact only": ("compaction",),
}
APART = ("compaction", "advisor_message")


@pytest.mark.parametrize("case", ROWS)
def test_what_a_compaction_used_is_counted_and_what_totals_hold_is_counted_once(case) -> None:
    beta = pytest.importorskip("anthropic.types.beta")
    iterations = rows(*ROWS[case])
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    held = [row for row in iterations if row["type"] not in APART]
    totals = {n: sum(row[n] for row in held) for n in (*names, "output_tokens")}
    said = beta.BetaUsage.model_validate({**totals, "iterations": iterations})

    usage = Usage.from_payload(said.model_dump())

    every = [sum(row[name] for row in iterations) for name in names]
    assert usage.input_tokens == sum(every)
    assert [usage.fresh_tokens, usage.cached_tokens, usage.cache_write_tokens] == every
    assert usage.output_tokens == sum(row["output_tokens"] for row in iterations)


def test_a_stream_tells_of_a_compaction_in_its_last_event() -> None:
    beta = pytest.importorskip("anthropic.types.beta")
    compaction, message = rows("compaction", "message")
    counts = {k: v for k, v in message.items() if k not in ("type", "cache_creation")}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
    event = {"type": "message_start", "message": {**start, "usage": {**counts, "output_tokens": 1}}}
    block = {"type": "compaction_delta", "content": "So far."}
    delta = {"type": "content_block_delta", "index": 0, "delta": block}
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    used = {**counts, "iterations": [compaction, message]}
    tally = Tally()

    tally.notice(beta.BetaRawMessageStartEvent.model_validate(event))
    tally.notice(beta.BetaRawContentBlockDeltaEvent.model_validate(delta))
    tally.notice(beta.BetaRawMessageDeltaEvent.model_validate({**last, "usage": used}))

    assert tally.usage.input_tokens == 3210 + 3213
    assert tally.usage.cached_tokens == 200 + 201
    assert tally.verdict is not None
    assert [edit.type for edit in tally.verdict.edits] == ["compaction"]


def test_openai_counts_a_compaction_as_it_counts_an_answer() -> None:
    responses = pytest.importorskip("openai.types.responses")
    if not hasattr(responses, "CompactedResponse"):
        pytest.skip("openai is older than compaction")
    details = {"cached_tokens": 1024, "cache_write_tokens": 256}
    counts = {"input_tokens": 1500, "output_tokens": 90, "total_tokens": 1590}
    counts |= {"output_tokens_details": {"reasoning_tokens": 0}}
    item = {"id": "cmp_1", "type": "compaction", "encrypted_content": "gA"}
    answer = responses.CompactedResponse.model_validate(
        {
            "id": "resp_1",
            "object": "response.compaction",
            "created_at": 1,
            "output": [item],
            "usage": {**counts, "input_tokens_details": details},
        }
    )
    tally = Tally()
    tally.notice(answer)

    assert tally.usage == Usage(1500, 1024, 256, 90)
    assert tally.usage.fresh_tokens == 220
    assert tally.verdict is not None
    assert [edit.type for edit in tally.verdict.edits] == ["compaction"]
