"""`agentcache rules`: the table of all rows, and all that applies to one model."""

import json
import subprocess
import sys

import pytest

from agentcache import cli
from agentcache.rules import all_rules, rule_by_id


@pytest.fixture
def shown(capsys, monkeypatch):
    """Run the command in 80 columns; return what it printed."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> str:
        assert cli.main(["rules", *words]) == 0
        return capsys.readouterr().out

    return run


def joined(text: str) -> str:
    return " ".join(text.split())


def test_the_table_shows_every_row_or_the_vendors_it_stands_for(shown) -> None:
    text = shown()

    for rule in all_rules():
        group = rule.id.partition("/")[0] + "/" + rule.like.partition("-")[0] + "*"
        assert f"\n{group if rule.like else rule.id}  " in text
    assert f"{len(all_rules())} rows" in text


def test_the_table_says_how_a_row_caches_what_it_costs_and_its_date(shown) -> None:
    lines = shown().splitlines()
    figures = lines[lines.index("anthropic-512  Anthropic Claude with a minimum of 512 tokens") + 1]

    assert joined(figures) == "breakpoint 512 5m, 1h 1.25x, 2x 0.1x 2026-11 -"
    at = next(n for n, line in enumerate(lines) if line.startswith("openai-6.1 "))
    assert lines[at + 1].split()[-1] == "prompt_cache_key"


def test_the_table_of_one_provider_shows_its_rows_one_by_one(shown) -> None:
    text = shown("--provider", "azure")

    assert "azure/openai-breakpoint" in text
    assert "bedrock" not in text


def test_the_table_of_one_row_shows_that_row(shown) -> None:
    assert shown("--provider", "anthropic-4096").count("breakpoint") == 1


def test_claude_haiku_5_5(shown) -> None:
    text = joined(shown("claude-haiku-5-5"))

    assert "claude-haiku-5-5 gets anthropic-512 " in text
    assert "Decided by the name: the name begins as anthropic's models do." in text
    assert "cache_control, at most 4 in a request; a read looks back at most 20 positions" in text
    assert "512 tokens; a shorter prefix is not cached" in text
    assert "5m: 300 s from the start of the last request that used it; a write costs 1.25x" in text
    assert "1h: 3,600 s from" in text
    assert "0.1x of a fresh input token" in text
    assert "tool_choice, disable_parallel_tool_use: tools and system stay cached" in text
    assert "max_tokens: 0" in text
    assert "B 2026-09 lifetime 5m or 1h" in text
    assert "Open questions - " in text


def test_gpt_6_luna(shown) -> None:
    text = joined(shown("gpt-6-luna"))

    assert "gpt-6-luna gets openai-breakpoint " in text
    assert "only what an earlier request wrote at a mark, exactly up to there" in text
    assert "12h: 43,200 s from its last use; a write costs 2.5x; only with openai.respo" in text
    assert "field in the body prompt_cache_key: one id for all forks of a parent" in text
    assert 'also send {"prompt_cache_options": {"mode": "explicit"}}' in text
    assert "Look-up window" in text


def test_an_unknown_model_is_told_the_safe_denominator_and_how_to_name_a_provider(shown) -> None:
    text = joined(shown("my-model", "--base-url", "http://localhost:8000/v1"))

    assert "my-model gets unknown " in text
    assert "Decided by nothing: no row names 'my-model' at localhost." in text
    assert "the safe common denominator applies (no marks, no extra parameters" in text
    assert "name them with --provider" in text
    assert "llama.cpp" in text


def test_a_host_decides(shown) -> None:
    text = joined(shown("grok-4", "--base-url", "https://api.x.ai/v1"))

    assert "Decided by the host: api.x.ai is a host of xai." in text
    assert "header x-grok-conv-id" in text
    assert "openai.responses field in the body prompt_cache_key" in text


def test_a_provider_decides(shown) -> None:
    text = joined(shown("my-model", "--provider", "sglang-router"))

    assert "Decided by the provider: provider='sglang-router' was given." in text
    assert "affinity none is sent" in text
    assert "nothing is sent. Name sglang-router-sticky" in text


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_every_row_can_be_shown_within_80_columns(rule, shown) -> None:
    text = shown("some-model", "--provider", rule.id)

    assert max(map(len, text.splitlines())) <= 80
    assert joined(text).count("Sources (A read or run") == 1
    assert bool(rule.open_questions) == ("Open questions" in text)


def test_the_table_as_json_holds_every_row(shown) -> None:
    rows = json.loads(shown("--json"))

    assert [row["id"] for row in rows] == [rule.id for rule in all_rules()]


def test_one_model_as_json_says_what_decided_and_holds_the_whole_row(shown) -> None:
    found = json.loads(shown("gpt-6-luna", "--json"))

    assert (found["model"], found["by"]) == ("gpt-6-luna", "name")
    assert found["rule"] == rule_by_id("openai-breakpoint").model_dump(mode="json")


def test_an_unknown_provider_is_one_line_naming_those_there_are(capsys) -> None:
    assert cli.main(["rules", "gpt-4o", "--provider", "acme"]) == 2
    assert "provider='acme' is not in the rules. Known: anthropic" in capsys.readouterr().err


def test_an_unknown_provider_is_refused_for_the_table_too(capsys) -> None:
    assert cli.main(["rules", "--provider", "acme"]) == 2
    assert "provider='acme'" in capsys.readouterr().err


def test_an_endpoint_without_a_model_is_refused_with_the_cure(capsys) -> None:
    assert cli.main(["rules", "--base-url", "https://api.x.ai/v1"]) == 2
    assert "agentcache rules MODEL --base-url URL" in capsys.readouterr().err


def test_piped_there_is_no_colour_and_nothing_is_cut() -> None:
    done = subprocess.run(
        [sys.executable, "-Im", "agentcache.cli", "rules", "claude-haiku-5-5"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    assert "anthropic-512" in done.stdout


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = [sys.executable, "-m", "agentcache.cli", "rules", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == b"[\n"
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141
