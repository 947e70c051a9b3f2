"""What a provider did to a conversation on its own side: by its word, and by its own summaries."""

from types import SimpleNamespace
from typing import Any

import pytest

from agentcache import CacheBreak, find_break
from agentcache.breaks.edits import Edit, edits_in
from agentcache.breaks.vendors import Verdict, heard, merged, unasked, verdict_in

MISS = CacheBreak(relation="follows", section="usage", path="usage", kind="evicted", source="usage")
USES = {"type": "clear_tool_uses_20250919", "cleared_tool_uses": 3, "cleared_input_tokens": 4200}
TURNS = {"type": "clear_thinking_20251015", "cleared_thinking_turns": 1, "cleared_input_tokens": 90}
CLEARED = Edit("clear_tool_uses_20250919", "cleared 3 tool uses", 4200)
SUMMED = Edit("compaction", "compacted the context")
NOTE = (
    "The provider cleared 3 tool uses (about 4,200 tokens) at this call: clear_tool_uses_20250919."
)


def applied(*edits: dict[str, Any]) -> dict[str, Any]:
    return {"context_management": {"applied_edits": list(edits)}}


SAID = {
    "anthropic clears tool uses": (applied(USES), [str(CLEARED)]),
    "and thinking": (
        applied(USES, TURNS),
        [str(CLEARED), "cleared 1 thinking turn (about 90 tokens)"],
    ),
    "an edit of a kind to come": (
        applied({"type": "clear_images_20270101", "cleared_input_tokens": 5}),
        ["cleared context (about 5 tokens)"],
    ),
    "an edit that cleared nothing": (
        applied({**USES, "cleared_tool_uses": 0, "cleared_input_tokens": 0}),
        [],
    ),
    "anthropic's summary": ({"content": [{"type": "compaction", "content": "So far."}]}, ["x"]),
    "a summary that failed": (
        {
            "content": [{"type": "compaction", "content": None}],
            "usage": {"iterations": [{"type": "compaction"}]},
        },
        [],
    ),
    "a summary in a stream": (
        {"delta": {"type": "compaction_delta", "content": "So far."}},
        ["x"],
    ),
    "a summary that usage alone tells of": (
        {"usage": {"iterations": [{"type": "compaction"}, {"type": "message"}]}},
        ["x"],
    ),
    "openai's item": ({"output": [{"type": "compaction", "encrypted_content": "gA"}]}, ["x"]),
    "openai's item in a stream": (
        {"item": {"type": "compaction", "encrypted_content": "gA"}},
        ["x"],
    ),
    "an answer without edits": (
        {"content": [{"type": "text", "text": "Hi"}], "usage": {"iterations": None}},
        [],
    ),
    "no edits applied": (applied(), []),
    "none asked for": ({"context_management": None}, []),
    "another api's": ({"choices": [{"message": {"content": "Hi"}}], "delta": "text"}, []),
}


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(each) for key, each in value.items()})
    return [as_object(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", SAID)
def test_what_was_edited_is_read_from_json_and_from_objects(case) -> None:
    answer, told = SAID[case]
    told = [str(SUMMED)] if told == ["x"] else told

    assert [str(edit) for edit in edits_in(answer)] == told
    assert [str(edit) for edit in edits_in(as_object(answer))] == told


def test_anthropics_own_types_tell_it() -> None:
    beta = pytest.importorskip("anthropic.types.beta")
    counts = {"input_tokens": 1, "output_tokens": 1}
    held = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": counts}
    block = {"type": "compaction", "content": "So far."}
    made = beta.BetaMessage.model_validate(
        {**held, **applied(USES), "content": [block], "stop_reason": "end_turn"}
    )
    piece = beta.BetaRawMessageDeltaEvent.model_validate(
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 1}, **applied(USES)}
    )

    assert edits_in(made) == (CLEARED, SUMMED)
    assert edits_in(piece) == (CLEARED,)


def test_openais_own_types_tell_it() -> None:
    responses = pytest.importorskip("openai.types.responses")
    if not hasattr(responses, "ResponseCompactionItem"):
        pytest.skip("openai is older than compaction")
    item = responses.ResponseCompactionItem.model_validate(
        {"id": "cmp_1", "type": "compaction", "encrypted_content": "gA"}
    )

    assert edits_in(SimpleNamespace(output=[item])) == (SUMMED,)
    assert edits_in(SimpleNamespace(type="response.output_item.done", item=item)) == (SUMMED,)


def test_edits_are_said_unasked() -> None:
    verdict = verdict_in({"diagnostics": None, **applied(USES)})

    assert verdict == Verdict("Anthropic", edits=(CLEARED,))
    assert unasked(verdict) == Verdict("Anthropic", known=False, asked=False, edits=(CLEARED,))
    assert unasked(verdict_in(applied(USES))) == unasked(verdict)
    assert unasked(Verdict("Anthropic")) is None
    assert unasked(None) is None


def test_the_pieces_of_a_stream_are_heard_together() -> None:
    asked = {"diagnostics": {"cache_miss_reason": {"type": "messages_changed"}}}
    verdict: Verdict | None = None
    for piece in ({}, asked, {"delta": {"type": "text_delta"}}, applied(TURNS), applied(USES)):
        verdict = heard(verdict, piece)

    assert verdict is not None
    assert (verdict.reason, verdict.asked) == ("messages_changed", True)
    assert [edit.type for edit in verdict.edits] == [TURNS["type"], USES["type"]]


@pytest.mark.parametrize("kind", ["evicted", "rate_overflow"])
def test_a_miss_without_another_cause_is_explained_by_what_was_cleared(kind) -> None:
    miss = MISS.model_copy(update={"kind": kind, "tokens_lost": 900, "agent": "clerk"})

    found = merged(miss, unasked(verdict_in(applied(USES))), agent="clerk", extends=True)

    assert found is not None
    assert (found.kind, found.section, found.path) == ("compaction", "messages", "messages")
    assert (found.source, found.level, found.tokens_lost) == ("vendor", "messages", 900)
    assert (found.note, found.vendor) == (NOTE, "")
    assert NOTE in str(found)
    assert CacheBreak.model_validate_json(found.model_dump_json()) == found


def test_another_cause_stays_what_it_was() -> None:
    told = unasked(verdict_in(applied(USES)))
    expired = MISS.model_copy(update={"kind": "ttl_expired", "section": "time"})
    edited = CacheBreak(relation="follows", section="system", path="system", kind="timestamp")

    assert merged(expired, told, agent="a", extends=True) == expired
    assert merged(edited, told, agent="a", extends=True) == edited
    assert merged(None, told, agent="a", extends=True) is None


def test_a_diagnosis_stands_beside_it() -> None:
    miss = {"type": "cache_miss", "reason": "context_compacted", "cache_missed_tokens": 700}
    item = {"type": "compaction", "encrypted_content": "gA"}
    verdict = verdict_in({"prompt_cache_diagnostics": miss, "output": [item]})

    for miss_told in (MISS, None):
        found = merged(miss_told, verdict, agent="a", extends=True)
        assert found is not None
        assert (found.kind, found.path) == ("compaction", "input")
        assert "context_compacted" in found.vendor


RULES = [{"type": "text", "text": "Mind the rules. " * 400}]
TALK = [
    {"role": "user", "content": "Where is order 17? " * 40},
    {"role": "assistant", "content": "On its way. " * 40},
    {"role": "user", "content": "Since when?"},
]
BLOCK = {"type": "compaction", "content": "Order 17 is on its way."}
ANSWER = {"role": "assistant", "content": [BLOCK, {"type": "text", "text": "Since Monday."}]}
NEXT = {"role": "user", "content": "Who packed it?"}


def claude(*messages: dict[str, Any]) -> dict[str, Any]:
    """A request whose last message is marked."""
    last = messages[-1]
    parts = last["content"]
    parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
    marked = {**parts[-1], "cache_control": {"type": "ephemeral"}}
    said = [*messages[:-1], {**last, "content": [*parts[:-1], marked]}]
    return {"model": "claude-haiku-5-5", "max_tokens": 9, "system": RULES, "messages": said}


LOOP = [
    {"role": "user", "content": "Where is order 17? " * 40},
    {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "On its way. " * 40},
    {"role": "user", "content": "Since when?"},
]
ITEM = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAABo"}
ASKED = {"role": "user", "content": "Who packed it?"}


def items(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"model": "gpt-6-luna", "instructions": "Mind the rules. " * 400, "input": list(rows)}


COMPACTED = {
    "sent behind all that was said": (claude(*TALK), claude(*TALK, ANSWER, NEXT), "messages[3]"),
    "sent in its place": (claude(*TALK), claude(ANSWER, NEXT), "messages[0]"),
    "a second one": (
        claude(ANSWER, NEXT),
        claude({**ANSWER, "content": [{**BLOCK, "content": "Packed."}]}, NEXT),
        "messages[0]",
    ),
    "openai, behind all items": (items(*LOOP), items(*LOOP, ITEM, ASKED), "input[4]"),
    "openai, in their place": (items(*LOOP), items(ITEM, ASKED), "input[0]"),
    "openai, as /responses/compact gives it": (
        items(*LOOP),
        items(LOOP[0], LOOP[3], ITEM, ASKED),
        "input[2]",
    ),
}


@pytest.mark.parametrize("case", COMPACTED)
def test_a_summary_of_the_providers_is_told_where_it_comes_in(case) -> None:
    before, after, path = COMPACTED[case]

    found = find_break(before, after)

    assert found is not None
    assert (found.kind, found.path, found.section) == ("compaction", path, "messages")
    assert "The provider's own summary stands for what was said before it." in str(found)


FAILED = {"role": "assistant", "content": [{"type": "compaction", "content": None}]}
MARKED = [{**RULES[0], "cache_control": {"type": "ephemeral"}}]
SILENT = {
    "the talk goes on behind it": (
        claude(*TALK, ANSWER, NEXT),
        claude(*TALK, ANSWER, NEXT, {"role": "assistant", "content": "Somebody."}, NEXT),
    ),
    "what it stands for is dropped later": (
        claude(*TALK, ANSWER, NEXT),
        claude(ANSWER, NEXT, {"role": "assistant", "content": "Somebody."}, NEXT),
    ),
    "openai's, dropped later": (
        items(*LOOP, ITEM, ASKED),
        items(ITEM, ASKED, {"role": "assistant", "content": "Somebody."}, ASKED),
    ),
    "one that failed": (claude(*TALK), claude(*TALK, FAILED, NEXT)),
    "only the system text was ever written": (
        {**claude(*TALK), "system": MARKED, "messages": TALK},
        {**claude(*TALK), "system": MARKED, "messages": [*TALK, ANSWER, NEXT]},
    ),
}


@pytest.mark.parametrize("case", SILENT)
def test_what_a_summary_leaves_readable_is_silent(case) -> None:
    before, after = SILENT[case]

    assert find_break(before, after) is None


def test_an_edit_behind_a_summary_is_still_told() -> None:
    later = {"role": "assistant", "content": "Somebody in Utrecht."}
    thanks = {"role": "user", "content": "Thank them."}
    other = {"role": "user", "content": "Who packed it, and when?"}

    found = find_break(
        claude(*TALK, ANSWER, NEXT, later, thanks), claude(ANSWER, other, later, thanks)
    )

    assert found is not None
    assert (found.kind, found.path) == ("message_edited", "messages[1].content")


def test_find_break_reads_the_whole_answer() -> None:
    before, after = claude(*TALK), claude(*TALK, {"role": "assistant", "content": "Monday."}, NEXT)
    wrote = {"input_tokens": 9, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 2400}
    missed = {"input_tokens": 9, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 900}
    hit = {"input_tokens": 9, "cache_read_input_tokens": 2400, "cache_creation_input_tokens": 20}

    plain = find_break(before, after, before_usage=wrote, after_answer={"usage": missed})
    found = find_break(
        before, after, before_usage=wrote, after_answer={"usage": missed, **applied(USES)}
    )
    read = find_break(
        before, after, before_usage=wrote, after_answer={"usage": hit, **applied(USES)}
    )

    assert plain is not None
    assert plain.kind == "evicted"
    assert found is not None
    assert (found.kind, found.note, found.tokens_lost) == ("compaction", NOTE, plain.tokens_lost)
    assert read is None
