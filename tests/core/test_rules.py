"""The rules table: dated rows with sources, and which row a model gets."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.dialects import DIALECTS
from agentcache.errors import OptionError
from agentcache.rulebook import _raw, _resolved, read_rows
from agentcache.rules import Affinity, Rule, all_rules, match_rule, rule_by_id, rule_for

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
    "gpt-4.1-mini": "openai-4.1",
    "o3": "openai-4.1",
    "o4-mini": "openai-4.1",
    "o3-mini": "openai-4o",
    "o1": "openai-4o",
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
    "claude-mythos-5-1": "anthropic-512",
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
    "anthropic.claude-haiku-4-5-20251001-v1:0": "bedrock/anthropic-4096",
    "us.anthropic.claude-sonnet-5-5": "bedrock/anthropic-512-low",
    "global.anthropic.claude-opus-4-7-v1:0": "bedrock-opus-4.7",
    "anthropic.claude-opus-4-20250514-v1:0": "bedrock-before-4.5",
    "apac.anthropic.claude-sonnet-4-20250514-v1:0": "bedrock-before-4.5",
    "anthropic.claude-sonnet-4-5-20250929-v1:0": "bedrock/anthropic-1024",
    "anthropic.claude-opus-4-8": "bedrock/anthropic-1024",
    "anthropic.claude-3-5-haiku-20241022-v1:0": "bedrock-haiku-3.5",
    "anthropic.claude-3-7-sonnet-20250219-v1:0": "bedrock/anthropic",
    "bedrock/converse/eu.anthropic.claude-opus-5": "bedrock/anthropic-512",
    "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-opus-5": (
        "bedrock/anthropic-512"
    ),
    "amazon.nova-pro-v1:0": "bedrock-nova-pro",
    "us.amazon.nova-lite-v1:0": "bedrock-nova",
    "openai.gpt-5.6-sol": "bedrock-openai-breakpoint",
    "bedrock/meta.llama4": "bedrock-unlisted",
    "gemini/gemini-3.5-flash": "gemini-3",
    "gemini-2.5-pro": "gemini-2.5",
    "models/gemini-4-argon": "gemini-4",
    "gemini-2.0-flash": "gemini",
    "vertex_ai/gemini-3.1-pro-preview": "vertex/gemini-3",
    "vertex_ai/claude-opus-5-5@20261001": "vertex-claude/anthropic-512-low",
    "azure/gpt-4o": "azure/openai-4o",
    "deepseek-flash": "deepseek-flash",
    "deepseek-v4-pro": "deepseek-v4-pro",
    "deepseek/deepseek-chat": "deepseek",
    "grok-4.5": "xai",
    "xai/grok-4": "xai",
    "mistral-large-latest": "mistral",
    "kimi-k3": "moonshot-k3",
    "kimi-k2.5": "moonshot",
    "qwen3-max": "qwen",
    "dashscope/qwen-plus": "qwen",
    "glm-5.2": "zai",
    "groq/llama-3.3-70b-versatile": "groq",
    "fireworks_ai/accounts/fireworks/models/kimi-k3": "fireworks",
    "accounts/fireworks/models/deepseek-v4-flash": "fireworks",
    "together_ai/meta-llama/llama-4": "together",
    "cerebras/gpt-oss-120b": "cerebras",
    "openrouter/anthropic/claude-haiku-4.5": "openrouter-claude/anthropic-4096",
    "openrouter/openai/gpt-5.6-sol": "openrouter-openai-breakpoint",
    "openrouter/openai/gpt-4o-mini": "openrouter/openai-4o",
    "openrouter/deepseek/deepseek-chat": "openrouter-unlisted",
    "databricks/databricks-claude-sonnet-4-5": "databricks-claude",
    "ollama/llama3": "ollama",
    "hosted_vllm/qwen3-8b": "vllm",
    # A name alone is not enough where the weights are open, or where it is Ollama's tag.
    "deepseek-ai/DeepSeek-V3": "unknown",
    "Qwen/Qwen3-8B": "unknown",
    "moonshotai/Kimi-K2-Instruct": "unknown",
    "google/gemma-3-27b-it": "unknown",
    "qwen2.5:7b": "unknown",
    "gpt-oss:20b": "unknown",
}

AT = {
    ("https://api.openai.com/v1", "gpt-6-luna"): "openai-breakpoint",
    ("https://api.openai.com/v1", "gpt-4-turbo"): "openai",
    ("https://api.anthropic.com", "claude-haiku-5-5"): "anthropic-512",
    ("https://acme.openai.azure.com/openai/v1/", "gpt-6.1-sol"): "azure/openai-6.1",
    ("https://acme.openai.azure.com/openai/v1/", "our-deployment"): "azure-unlisted",
    ("https://acme.services.ai.azure.com/openai/v1/", "gpt-5.6-sol"): "azure/openai-breakpoint",
    ("https://acme.services.ai.azure.com/anthropic", "claude-opus-5"): "foundry/anthropic-512",
    ("https://bedrock-runtime.us-east-1.amazonaws.com", "us.anthropic.claude-haiku-5-5"): (
        "bedrock/anthropic-512"
    ),
    ("https://bedrock-runtime.us-east-1.amazonaws.com", "meta.llama4"): "bedrock-unlisted",
    ("https://generativelanguage.googleapis.com/v1beta", "gemini-3.8-flash"): "gemini-3",
    ("https://us-east5-aiplatform.googleapis.com", "claude-opus-4-7"): (
        "vertex-claude/anthropic-2048"
    ),
    ("https://aiplatform.googleapis.com", "gemini-2.5-flash"): "vertex/gemini-2.5",
    ("https://aiplatform.googleapis.com", "llama-4"): "vertex-unlisted",
    ("https://api.deepseek.com", "deepseek-reasoner"): "deepseek",
    ("https://api.deepseek.com/anthropic", "claude-haiku-5-5"): "deepseek",
    ("https://api.x.ai/v1", "grok-4"): "xai",
    ("https://api.mistral.ai/v1", "open-mixtral"): "mistral",
    ("https://api.moonshot.ai/v1", "kimi-k3"): "moonshot-k3",
    ("https://api.moonshot.cn/v1", "moonshot-v1-8k"): "moonshot",
    ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen-plus"): "qwen",
    ("https://dashscope.aliyuncs.com/compatible-mode/v1", "glm-4.6"): "qwen-512",
    ("https://api.groq.com/openai/v1", "openai/gpt-oss-120b"): "groq",
    ("https://api.fireworks.ai/inference/v1", "accounts/x/models/y"): "fireworks",
    ("https://api.together.xyz/v1", "Qwen/Qwen3-8B"): "together",
    ("https://api.together.ai/v1", "deepseek-ai/DeepSeek-V3"): "together",
    ("https://api.cerebras.ai/v1", "gpt-oss-120b"): "cerebras",
    ("https://openrouter.ai/api/v1", "anthropic/claude-sonnet-4.5"): (
        "openrouter-claude/anthropic-1024"
    ),
    ("https://openrouter.ai/api/v1", "x-ai/grok-4"): "openrouter-unlisted",
    ("https://api.z.ai/api/paas/v4", "glm-5"): "zai",
    ("https://acme.cloud.databricks.com/serving-endpoints", "databricks-claude-opus-5"): (
        "databricks-claude"
    ),
    ("https://acme.cloud.databricks.com/serving-endpoints", "our-endpoint"): "databricks",
    ("https://acme.snowflakecomputing.com/api/v2/cortex/v1", "openai-gpt-4.1"): "snowflake-openai",
    ("https://acme.snowflakecomputing.com/api/v2/cortex/v1", "claude-4-sonnet"): "snowflake-claude",
    ("https://acme.snowflakecomputing.com/api/v2/cortex/v1", "mistral-large2"): "snowflake",
    ("https://ai-gateway.vercel.sh/v1", "anthropic/claude-opus-5"): "vercel-claude",
    ("https://ai-gateway.vercel.sh/v1", "openai/gpt-6-luna"): "vercel-openai-breakpoint",
    ("https://ai-gateway.vercel.sh/v1", "zai/glm-5"): "vercel",
    ("https://api.cloudflare.com/client/v4/accounts/1/ai/v1", "@cf/x/y"): "cloudflare",
    ("api.deepseek.com/v1", "deepseek-chat"): "deepseek",
    # A server of one's own: open weights are nobody's, gpt-* and claude-* come from a proxy.
    ("http://localhost:8000/v1", "deepseek-v3"): "unknown",
    ("http://localhost:8000/v1", "deepseek/deepseek-chat"): "unknown",
    ("localhost:8000/v1", "mistral-large-latest"): "unknown",
    ("http://10.0.0.7/v1", "groq/llama"): "unknown",
    ("http://[::1", "gemini-2.5-pro"): "unknown",
    ("http://localhost:4000", "us.anthropic.claude-haiku-5-5"): "anthropic-512",
    ("http://localhost:4000", "gpt-6-luna"): "openai-breakpoint",
    ("http://localhost:4000", "openai/gpt-4o"): "openai-4o",
    ("https://api.deepseek.com.evil.example", "deepseek-chat"): "unknown",
    ("https://evil.example/api.deepseek.com", "deepseek-chat"): "unknown",
}

PROVIDERS = [
    "anthropic",
    "openai",
    "azure",
    "azure_openai",
    "foundry",
    "bedrock",
    "aws",
    "vertex",
    "vertex_ai",
    "gemini",
    "google",
    "deepseek",
    "xai",
    "x-ai",
    "mistral",
    "moonshot",
    "kimi",
    "qwen",
    "dashscope",
    "zai",
    "groq",
    "fireworks",
    "fireworks_ai",
    "together",
    "cerebras",
    "openrouter",
    "databricks",
    "snowflake",
    "vercel",
    "cloudflare",
    "llama.cpp",
    "ollama",
    "vllm",
    "hosted_vllm",
    "sglang",
    "tensorrt-llm",
    "trtllm",
    "lmcache",
    "sglang-router",
    "vllm-router",
    "production-stack",
    "llm-d",
    "ray-serve",
    "dynamo",
    "litellm",
    "litellm-router",
    "unknown",
]


@pytest.mark.parametrize(("model", "row"), ROWS.items())
def test_a_model_gets_its_row(model, row) -> None:
    assert rule_for(model).id == row


@pytest.mark.parametrize(("at", "row"), AT.items())
def test_an_endpoint_gets_its_row(at, row) -> None:
    url, model = at

    assert rule_for(model, url).id == row


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_and_engine_can_be_named(provider) -> None:
    rule = rule_for("some-model", provider=provider)

    assert provider in (rule.provider, *rule.aliases)


@every_rule
def test_every_row_can_be_had_by_its_id_or_is_its_providers_broadest(rule) -> None:
    named = rule_for("some-model", provider=rule.id)

    assert rule.id in (named.id, named.provider)


@every_rule
def test_a_row_that_only_its_host_or_provider_may_choose_is_never_chosen_by_a_name(rule) -> None:
    ours = [r for r in all_rules() if r.by_name == "anywhere"]

    assert rule.by_name != "anywhere" or rule.provider in ("openai", "anthropic", "llama.cpp")
    for url in ("http://localhost:8000/v1", "https://llm.example.com"):
        for model in ("deepseek-v3", "qwen3-8b", "glm-5", "grok-1", "kimi-k2", f"x/{rule.id}"):
            assert rule_for(model, url) in (*ours, rule_by_id("unknown"))


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_model_at_any_endpoint_has_a_row(model, url) -> None:
    assert match_rule(model, url).rule in all_rules()


@every_rule
def test_no_host_is_shared_by_two_vendors_but_microsofts(rule) -> None:
    for host in rule.hosts:
        there = {r.provider for r in all_rules() if host in r.hosts}
        assert there in ({rule.provider}, {"azure", "foundry"})


@pytest.mark.parametrize(
    ("asked", "by", "why"),
    [
        (("gpt-4o", "", "vllm"), "provider", "provider='vllm' was given"),
        (("m", "https://api.x.ai/v1", None), "host", "api.x.ai is a host of xai"),
        (("groq/m", "", None), "name", "the name's prefix 'groq' is groq"),
        (("gpt-4o", "", None), "name", "the name begins as openai's models do"),
        (("m", "http://localhost:1", None), "unknown", "no row names 'm' at localhost"),
        (("m", "", None), "unknown", "no row names 'm'"),
    ],
)
def test_a_match_says_what_decided(asked, by, why) -> None:
    found = match_rule(*asked)

    assert (found.by, found.why) == (by, why)


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
    assert len(set(rule.varies)) == len(rule.varies)


@every_rule
def test_no_parameter_must_be_equal_and_may_vary(rule) -> None:
    assert not set(rule.freeze) & set(rule.varies)
    assert not set(rule.messages_level) & {*rule.freeze, *rule.varies}


@every_rule
def test_what_a_wire_renders_is_frozen_unless_the_row_lets_it_vary(rule) -> None:
    for dialect in DIALECTS.values():
        frozen = rule.frozen(dialect.rendered)
        assert set(frozen) == {*rule.freeze, *dialect.rendered} - set(rule.varies)
        assert frozen[: len(rule.freeze)] == rule.freeze
        assert len(set(frozen)) == len(frozen)


def test_an_engine_lets_the_output_schema_vary_and_openai_does_not() -> None:
    rendered = DIALECTS["openai.chat"].rendered

    assert "response_format" not in rule_by_id("vllm").frozen(rendered)
    assert "response_format" not in rule_by_id("llama.cpp").frozen(rendered)
    assert "response_format" in rule_by_id("openai-prefix").frozen(rendered)
    assert "response_format" in rule_by_id("unknown").frozen(rendered)


def test_a_lever_says_how_a_frozen_parameter_may_change_behind_the_fork_point() -> None:
    assert "tool_addition" in rule_for("claude-opus-5-5").levers["tools"]
    assert "configuration_update" in rule_for("gpt-6-luna").levers["reasoning"]


AFFINITIES = {
    ("openai-prefix", "openai.chat"): ("body", "prompt_cache_key"),
    ("azure/openai-breakpoint", "openai.responses"): ("body", "prompt_cache_key"),
    ("mistral", "openai.chat"): ("body", "prompt_cache_key"),
    ("moonshot-k3", "openai.chat"): ("body", "prompt_cache_key"),
    ("fireworks", "openai.chat"): ("body", "prompt_cache_key"),
    ("xai", "openai.chat"): ("header", "x-grok-conv-id"),
    ("xai", "openai.responses"): ("body", "prompt_cache_key"),
    ("openrouter-unlisted", "openai.chat"): ("body", "session_id"),
    ("openrouter-claude/anthropic", "anthropic.messages"): ("body", "session_id"),
    ("cloudflare", "openai.chat"): ("header", "x-session-affinity"),
    ("sglang-router-sticky", "openai.chat"): ("header", "x-smg-routing-key"),
    ("vllm-router-sticky", "openai.chat"): ("header", "x-session-id"),
    ("ray-serve-sticky", "openai.chat"): ("header", "x-session-id"),
    ("litellm-router-sticky", "openai.chat"): ("body", "metadata.session_id"),
    ("dynamo-sticky", "openai.chat"): ("body", "agent_context.session_id"),
}
NO_AFFINITY = [
    "anthropic",
    "deepseek",
    "groq",
    "together",
    "cerebras",
    "gemini",
    "vllm",
    "sglang",
    "llama.cpp",
    "sglang-router",
    "vllm-router",
    "production-stack",
    "llm-d",
    "ray-serve",
    "dynamo",
    "litellm-router",
    "vercel",
    "unknown",
]


@pytest.mark.parametrize(("at", "sent"), AFFINITIES.items())
def test_what_keeps_forks_together_is_chosen_by_row_and_wire(at, sent) -> None:
    row, dialect = at
    affinity = rule_by_id(row).affinity_for(dialect)

    assert affinity is not None
    assert (affinity.kind, affinity.name) == sent


@pytest.mark.parametrize("row", NO_AFFINITY)
def test_a_router_that_finds_the_prefix_itself_is_sent_nothing(row) -> None:
    rule = rule_by_id(row)

    assert all(rule.affinity_for(name) is None for name in DIALECTS)
    assert "router" not in row or "nothing is sent" in rule.routing


def test_an_affinity_that_names_its_wires_is_sent_on_no_other() -> None:
    only = Affinity(kind="header", name="x-a", dialects=("openai.chat",))
    rule = rule_by_id("unknown").model_copy(update={"affinity": only})

    assert rule.affinity_for("openai.chat") == only
    assert rule.affinity_for("openai.responses") is None


@pytest.mark.parametrize(
    ("name", "body", "placed"),
    [
        ("key", {"a": 1}, {"a": 1, "key": "id"}),
        ("key", {"key": "mine"}, {"key": "mine"}),
        ("m.key", {"a": 1}, {"a": 1, "m": {"key": "id"}}),
        ("m.key", {"m": {"b": 2}}, {"m": {"b": 2, "key": "id"}}),
        ("m.key", {"m": {"key": "mine"}}, {"m": {"key": "mine"}}),
        ("m.key", {"m": "text"}, {"m": "text"}),
        ("m.n.key", {}, {"m": {"n": {"key": "id"}}}),
    ],
)
def test_an_affinity_id_goes_where_its_path_says_and_replaces_nothing(name, body, placed) -> None:
    before = {**body}

    assert Affinity(kind="body", name=name).placed(body, "id") == placed
    assert body == before


def test_a_header_changes_no_body() -> None:
    assert Affinity(kind="header", name="x-a").placed({"a": 1}, "id") == {"a": 1}


def test_bedrock_takes_a_mark_of_its_own_and_anthropics() -> None:
    rule = rule_for("us.anthropic.claude-haiku-5-5")

    assert rule.takes_mark("cachePoint")
    assert rule.takes_mark("cache_control")
    assert not rule.takes_mark("prompt_cache_breakpoint")
    assert not rule_for("x", provider="vllm").takes_mark("")


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


def test_sources_and_open_questions_of_an_extended_row_add_up_each_once() -> None:
    own, base = rule_by_id("openai-6.1"), rule_by_id("openai-breakpoint")

    assert own.sources[1:] == base.sources
    assert set(own.open_questions) == set(base.open_questions)


@every_rule
def test_a_source_or_a_question_stands_in_a_row_once(rule) -> None:
    assert len({source.model_dump_json() for source in rule.sources}) == len(rule.sources)
    assert len(set(rule.open_questions)) == len(rule.open_questions)


@every_rule
def test_a_row_that_stands_for_another_vendors_names_it_and_has_its_figures(rule) -> None:
    if "/" in rule.id:
        other = rule_by_id(rule.like)
        assert rule.id.endswith(f"/{rule.like}")
        assert rule.provider != other.provider
        figures = ("models", "matching", "min_tokens", "read_multiplier", "readable")
        assert [getattr(rule, f) for f in figures] == [getattr(other, f) for f in figures]


def test_azure_does_not_offer_the_long_lifetime() -> None:
    assert [ttl.name for ttl in rule_by_id("azure/openai-6.1").ttls] == ["30m"]


def test_bedrock_offers_an_hour_to_the_newer_claudes_only() -> None:
    names = [
        [ttl.name for ttl in rule_for(f"anthropic.{model}").ttls]
        for model in ("claude-sonnet-4-20250514-v1:0", "claude-sonnet-4-5-20250929-v1:0")
    ]

    assert names == [["5m"], ["5m", "1h"]]


def test_a_provider_with_an_explicit_form_names_its_row() -> None:
    rows = [rule_by_id(rule.explicit) for rule in all_rules() if rule.explicit]

    assert {row.id for row in rows} == {
        "bedrock-nova-explicit",
        "gemini-explicit",
        "qwen-explicit",
        "vertex-gemini-explicit",
    }
    assert all(row.matching in ("handle", "breakpoint") for row in rows)
    assert all(bool(row.handle) == (row.matching == "handle") for row in all_rules())


def test_the_rulebook_is_the_same_each_time_and_the_unknown_row_comes_last() -> None:
    assert read_rows() == read_rows()
    assert [row["id"] for row in read_rows()] == [rule.id for rule in all_rules()]
    assert all_rules()[-1].id == "unknown"


def test_the_row_that_the_documentation_adds_is_a_valid_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    row = json.loads(page.partition("```json")[2].partition("```")[0])
    rule = Rule.model_validate(_resolved(row, {row["id"]: row for row in _raw()}))

    assert (rule.min_tokens, rule.ttl.seconds, rule.known) == (256, 300, True)
    assert rule.sources[0].grade == "B"


def test_a_mark_is_never_asked_of_a_claude_whose_host_is_not_known_to_take_it() -> None:
    for row in ("databricks-claude", "snowflake-claude", "vercel-claude"):
        rule = rule_by_id(row)
        assert (rule.matching, rule.marks) == ("breakpoint", False)


def test_a_rule_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        rule_for("gpt-6-luna").min_tokens = 0


def test_the_unknown_row_asks_for_nothing_a_provider_could_refuse() -> None:
    rule = rule_for("somebody-else")

    assert not rule.known
    assert (rule.marks, rule.affinity, rule.single_shot, rule.billed) == (False, None, {}, False)


def test_a_row_that_knows_nothing_is_as_careful_as_the_unknown_one() -> None:
    careful = rule_by_id("unknown")
    fields = ("matching", "marks", "single_shot", "billed", "min_tokens", "ttls", "readable")
    guesses = [rule for rule in all_rules() if not rule.known]

    assert {"unknown", "openai", "azure-unlisted", "databricks", "snowflake"} <= {
        rule.id for rule in guesses
    }
    for rule in guesses:
        assert [getattr(rule, f) for f in fields] == [getattr(careful, f) for f in fields]


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
    mocker.patch("agentcache.rules.all_rules", return_value=(hosted, *all_rules()))

    assert rule_for("gpt-4o", url).id == row
