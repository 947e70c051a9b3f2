"""The rules table: dated rows with sources, and which row a model gets."""

import re

import pytest

from agentcache.errors import OptionError
from agentcache.rules import all_rules, rule_by_id, rule_for

every_rule = pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)

ROWS = {
    "gpt-6-luna": "openai-breakpoint",
    "gpt-6-astra": "openai-breakpoint",
    "gpt-6.2-sol": "openai-breakpoint",
    "gpt-5.6-sol": "openai-breakpoint",
    "gpt-5.10": "openai-breakpoint",
    "gpt-6.1-terra": "openai-6.1",
    "gpt-5.5": "openai-5.5",
    "gpt-5.5-pro": "openai-5.5",
    "gpt-5": "openai-prefix",
    "gpt-5-mini": "openai-prefix",
    "gpt-5.4-nano": "openai-prefix",
    "o3": "openai-prefix",
    "gpt-4.1-mini": "openai-4.1",
    "gpt-4o-mini": "openai-4o",
    "openai/gpt-4o": "openai-4o",
    "GPT-4o": "openai-4o",
    "gpt-4-turbo": "unknown",
    "gpt-3.5-turbo": "unknown",
    "gpt-oss-120b": "unknown",
    "gpt-daybreak-1": "unknown",
    "claude-haiku-5-5": "anthropic-512",
    "anthropic/claude-haiku-5-5": "anthropic-512",
    "claude-opus-5": "anthropic-512",
    "claude-fable-5": "anthropic-512",
    "claude-opus-5-5": "anthropic-512-low",
    "claude-sonnet-5-5": "anthropic-512-low",
    "claude-fable-5-1": "anthropic-512-lowest",
    "claude-mythos-5-2": "anthropic-512-lowest",
    "claude-sonnet-5": "anthropic-1024",
    "claude-sonnet-4-5-20250929": "anthropic-1024",
    "claude-opus-4-1": "anthropic-1024",
    "claude-opus-4-20250514": "anthropic-1024",
    "claude-opus-4-8": "anthropic-1024",
    "claude-opus-4-7": "anthropic-2048",
    "claude-3-5-haiku-latest": "anthropic-2048",
    "claude-opus-4-6": "anthropic-4096",
    "claude-haiku-4-5": "anthropic-4096",
    "claude-3-opus": "anthropic",
    "agentcache-agent": "llama.cpp",
    "llama-4-scout": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize(("model", "row"), ROWS.items())
def test_a_model_gets_its_row(model, row) -> None:
    assert rule_for(model).id == row


@every_rule
def test_every_row_has_sources_with_a_place_a_date_and_a_grade(rule) -> None:
    assert rule.sources
    for source in rule.sources:
        assert source.what
        assert source.where
        assert re.fullmatch(r"20\d\d(-\d\d(-\d\d)?)?", source.date)
        assert source.grade in "ABC"  # D is memory, and may not stand in the table


@every_rule
def test_every_row_freezes_model_and_tools_once(rule) -> None:
    assert {"model", "tools"} <= set(rule.freeze)
    assert len(set(rule.freeze)) == len(rule.freeze)


@every_rule
def test_every_row_with_marks_says_how_many_and_under_which_key(rule) -> None:
    assert rule.marks == bool(rule.mark_key) == bool(rule.marks_max) == bool(rule.lookback)


@every_rule
def test_every_row_has_figures_that_can_be(rule) -> None:
    assert rule.min_tokens >= 0
    assert rule.granularity >= 1
    assert 0 < rule.read_multiplier <= 1
    assert all(ttl.seconds > 0 and ttl.write_multiplier >= 1 for ttl in rule.ttls)


def test_every_row_has_an_id_of_its_own() -> None:
    ids = [rule.id for rule in all_rules()]

    assert len(set(ids)) == len(ids)


def test_every_model_pattern_is_a_valid_expression() -> None:
    assert all(re.compile(pattern) for rule in all_rules() for pattern in rule.models)


def test_a_row_that_extends_another_has_its_values_and_its_own() -> None:
    low, base = rule_by_id("anthropic-512-low"), rule_by_id("anthropic-1024")

    assert (low.marks_max, low.ttls, low.sources) == (base.marks_max, base.ttls, base.sources)
    assert (low.min_tokens, base.min_tokens) == (512, 1024)


def test_a_rule_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        rule_for("gpt-6-luna").min_tokens = 0


def test_the_unknown_row_asks_for_nothing_a_provider_could_refuse() -> None:
    rule = rule_for("somebody-else")

    assert not rule.known
    assert (rule.marks, rule.affinity, rule.single_shot, rule.billed) == (False, None, {}, False)


def test_a_named_provider_decides_over_the_models_name() -> None:
    assert rule_for("gpt-4o", provider="llama.cpp").id == "llama.cpp"


def test_a_named_provider_with_several_rows_is_narrowed_by_the_model() -> None:
    assert rule_for("claude-opus-4-7", provider="anthropic").id == "anthropic-2048"


def test_a_row_can_be_named_by_its_id() -> None:
    assert rule_for("my-model", provider="anthropic-1024").id == "anthropic-1024"


def test_an_unknown_provider_is_refused_naming_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"provider='acme' is not in the rules.*anthropic.*vllm"):
        rule_for("gpt-4o", provider="acme")


def test_an_unknown_row_is_refused_naming_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"No caching rule 'acme'.*llama\.cpp"):
        rule_by_id("acme")


@pytest.mark.parametrize(
    ("url", "row"),
    [
        ("https://inference.example.com/v1", "hosted"),
        ("https://eu.inference.example.com/v1", "hosted"),
        ("https://notinference.example.com/v1", "openai-4o"),
        ("", "openai-4o"),
    ],
)
def test_an_endpoints_host_decides_over_the_models_name(mocker, url, row) -> None:
    hosted = rule_by_id("vllm").model_copy(
        update={"id": "hosted", "hosts": ("inference.example.com",)}
    )
    mocker.patch("agentcache.rules.all_rules", return_value=(*all_rules(), hosted))

    assert rule_for("gpt-4o", url).id == row
