"""What a provider says of a miss, beside what the bytes say."""

from types import SimpleNamespace

import pytest

from agentcache import CacheBreak
from agentcache.breaks.vendors import Verdict, asking, merged, verdict_in
from agentcache.rules import rule_for

TIME = CacheBreak(relation="follows", section="system", path="system", kind="timestamp")
MISS = CacheBreak(relation="follows", section="usage", path="usage", kind="evicted", source="usage")


def told(found: CacheBreak | None, verdict: Verdict, *, extends: bool = True) -> CacheBreak | None:
    return merged(found, verdict, agent="clerk", extends=extends)


def test_claude_is_asked_with_the_parents_id_and_null_at_first() -> None:
    rule = rule_for("claude-haiku-5-5")

    made = [asking(rule, "anthropic.messages", {"model": "m"}, name) for name in ("", "msg_1")]

    assert [m["diagnostics"] for m in made] == [
        {"previous_message_id": None},
        {"previous_message_id": "msg_1"},
    ]


def test_responses_are_asked_beside_the_programs_own_options() -> None:
    body = {"prompt_cache_options": {"mode": "explicit"}}

    made = asking(rule_for("gpt-6-luna"), "openai.responses", body, "resp_1")

    assert made["prompt_cache_options"] == {"mode": "explicit", "comparison_response_id": "resp_1"}
    assert asking(rule_for("gpt-6-luna"), "openai.responses", body, "") == body
    assert body == {"prompt_cache_options": {"mode": "explicit"}}


@pytest.mark.parametrize(
    ("model", "dialect"),
    [
        ("gpt-6-luna", "openai.chat"),
        ("gpt-4.1-mini", "openai.responses"),
        ("bedrock/anthropic.claude-haiku-4-5", "bedrock.converse"),
        ("bedrock/anthropic.claude-haiku-4-5", "anthropic.messages"),
        ("azure/gpt-6-luna", "openai.responses"),
    ],
)
def test_others_are_not_asked(model, dialect) -> None:
    assert asking(rule_for(model), dialect, {"model": model}, "id_1") == {"model": model}


def test_verdicts_are_read_from_json_and_from_sdk_objects() -> None:
    miss = {"type": "cache_miss", "reason": "tools_changed", "cache_missed_tokens": 9}
    reason = {"type": "system_changed", "cache_missed_input_tokens": 7}
    held = SimpleNamespace(
        model_fields_set={"diagnostics"},
        diagnostics=SimpleNamespace(cache_miss_reason=SimpleNamespace(**reason)),
    )

    assert verdict_in({"prompt_cache_diagnostics": miss}) == Verdict("OpenAI", "tools_changed", 9)
    assert verdict_in({"prompt_cache_diagnostics": {"type": "cache_hit"}}) == Verdict("OpenAI")
    assert verdict_in(held) == Verdict("Anthropic", "system_changed", 7)
    assert verdict_in({"diagnostics": None}) == Verdict("Anthropic")
    unknown_to_it = SimpleNamespace(
        model_fields_set={"id"}, model_extra={"diagnostics": None}, diagnostics=None
    )
    assert verdict_in(unknown_to_it) == Verdict("Anthropic")
    for unknown in (
        {"diagnostics": {"cache_miss_reason": None}},
        {"diagnostics": {"cache_miss_reason": {"type": "unavailable"}}},
        {"prompt_cache_diagnostics": {"type": "comparison_response_not_found"}},
    ):
        found = verdict_in(unknown)
        assert found is not None
        assert not found.known
    for silent in ({}, {"id": "msg_1"}, None, SimpleNamespace(id="msg_1")):
        assert verdict_in(silent) is None


def test_agreement_and_disagreement_are_said() -> None:
    same = told(TIME, Verdict("Anthropic", "system_changed", 900))
    other = told(TIME, Verdict("Anthropic", "tools_changed", 900))
    none = told(TIME, Verdict("OpenAI"))
    nothing = told(TIME, Verdict("OpenAI", known=False))

    assert same is not None
    assert same.vendor == "Anthropic says the same: system_changed, about 900 tokens."
    assert [b.vendor for b in (other, none, nothing) if b] == [
        "Anthropic disagrees: tools_changed, about 900 tokens.",
        "OpenAI disagrees: it saw no change.",
        "OpenAI gave no verdict.",
    ]
    assert {b.kind for b in (same, other, none, nothing) if b} == {"timestamp"}


def test_a_miss_that_bytes_cannot_explain_is_the_vendors_to_explain() -> None:
    found = told(MISS, Verdict("OpenAI", "service_tier_changed", 1200))

    assert found is not None
    assert (found.kind, found.path, found.source) == ("param", "service_tier", "vendor")
    assert found.tokens_lost == 1200


def test_a_healthy_fork_stays_silent_though_its_messages_differ() -> None:
    for reason in ("messages_changed", "input_changed"):
        assert told(None, Verdict("Anthropic", reason, 50), extends=False) is None
    assert told(None, Verdict("Anthropic")) is None
    assert told(None, Verdict("Anthropic", known=False)) is None


def test_what_only_the_provider_saw_is_a_break_of_its_own() -> None:
    found = told(None, Verdict("OpenAI", "model_changed", 800), extends=False)

    assert found is not None
    assert (found.kind, found.section, found.source) == ("param", "params", "vendor")
    assert "OpenAI says model_changed" in str(found)
    assert CacheBreak.model_validate_json(found.model_dump_json()) == found
