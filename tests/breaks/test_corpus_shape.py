"""The corpus of request pairs itself: whole, unambiguous, and of requests that could be sent."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from agentcache.blocks import dumps, estimate_tokens
from agentcache.dialects import dialect_of
from agentcache.rules import match_rule

from .corpus import KINDS, LEVELS, PAIRS, RELATIONS, SECTIONS, Pair

SHORT = {
    "openai.chat": "chat: ",
    "openai.responses": "responses: ",
    "anthropic.messages": "anthropic: ",
}
CANNOT = {
    ("openai.chat", "beta_headers"): "no header of this API changes what is cached",
    ("openai.responses", "beta_headers"): "no header of this API changes what is cached",
    ("openai.chat", "rate_overflow"): "needs the rate of many calls; a pair shows none",
    ("openai.responses", "rate_overflow"): "needs the rate of many calls; a pair shows none",
    ("anthropic.messages", "rate_overflow"): "needs the rate of many calls; a pair shows none",
}
OPTIONS = {"provider", "idle_s", "before_usage", "after_usage"}
TEXT_SECTIONS = {"system", "messages", "tools"}
BROKEN = [pair for pair in PAIRS if pair.expect]
HEALTHY = [pair for pair in PAIRS if pair.expect is None]
GROUP_OF = {kind: group for group, kinds in KINDS.items() for kind in kinds}


def found_at(request: Any, path: str) -> Any:
    """What stands at a path, or None."""
    for key in re.findall(r"[^.\[\]]+", path):
        if isinstance(request, list):
            request = dict(enumerate(request)).get(int(key))
        else:
            request = (request or {}).get(key)
    return request


def first_difference(a: str, b: str) -> int:
    return next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def marks_in(request: Any) -> int:
    if isinstance(request, list):
        return sum(map(marks_in, request))
    if not isinstance(request, dict):
        return 0
    return ("cache_control" in request) + sum(map(marks_in, request.values()))


def messages_of(request: dict[str, Any]) -> list[Any]:
    return request.get("messages", request.get("input"))


def names(pairs: Iterable[Pair]) -> list[str]:
    return [pair.name for pair in pairs]


def test_names_are_unique_and_say_their_dialect() -> None:
    assert [name for name, n in Counter(names(PAIRS)).items() if n > 1] == []
    assert names(p for p in PAIRS if not p.name.startswith(SHORT[p.dialect])) == []


def test_there_are_enough_pairs_of_all_sorts() -> None:
    dialects = Counter(pair.dialect for pair in PAIRS)

    assert set(dialects) == set(SHORT)
    assert min(dialects.values()) >= 100
    assert len(HEALTHY) >= 80
    assert len({pair.before["model"] for pair in PAIRS}) >= 20
    assert sum(len(messages_of(pair.after)) >= 30 for pair in PAIRS) >= 10


@pytest.mark.parametrize("dialect", SHORT)
def test_every_kind_occurs_in_every_dialect_where_it_can(dialect: str) -> None:
    covered = {pair.expect.kind for pair in BROKEN if pair.dialect == dialect}

    assert covered <= set(GROUP_OF)
    assert set(GROUP_OF) - covered == {kind for wire, kind in CANNOT if wire == dialect}


def test_expectations_use_the_words_of_the_contract() -> None:
    for pair in BROKEN:
        expect, group = pair.expect, GROUP_OF[pair.expect.kind]
        assert expect.section in SECTIONS, pair.name
        assert expect.section in (TEXT_SECTIONS if group == "text" else {group}), pair.name
        assert expect.relation in {None, *RELATIONS}, pair.name
        assert expect.level in {None, *LEVELS}, pair.name
        assert (expect.param is not None) == (group == "params"), pair.name
        assert expect.path or expect.offset is None, pair.name


def test_a_path_leads_to_what_differs() -> None:
    for pair in BROKEN:
        path = pair.expect.path or pair.expect.param
        before, after = (found_at(request, path or "") for request in (pair.before, pair.after))
        if pair.expect.kind == "mark_missing":
            assert path is None or before is not None, pair.name
        elif path:
            assert dumps(before) != dumps(after), pair.name


def test_an_offset_is_that_of_the_first_character_that_differs() -> None:
    for pair in BROKEN:
        if pair.expect.offset is not None:
            before, after = (found_at(r, pair.expect.path) for r in (pair.before, pair.after))
            assert first_difference(before, after) == pair.expect.offset, pair.name


def test_pairs_are_plain_json_of_their_dialect() -> None:
    for pair in PAIRS:
        for request in (pair.before, pair.after):
            text = json.dumps(request, allow_nan=False)
            assert json.dumps(json.loads(text)) == text, pair.name
            assert dialect_of(request).name == pair.dialect, pair.name
        json.dumps(pair.options, allow_nan=False)
        assert set(pair.options) <= OPTIONS, pair.name


def test_the_two_requests_of_a_break_differ() -> None:
    assert names(p for p in BROKEN if json.dumps(p.before) == json.dumps(p.after)) == []


def test_what_was_sent_first_is_long_enough_to_be_cached() -> None:
    for pair in PAIRS:
        rule = match_rule(pair.before["model"], "", pair.options.get("provider")).rule
        tokens = estimate_tokens(dumps(pair.before))
        if pair.expect and pair.expect.kind == "below_minimum":
            assert tokens < 0.8 * rule.min_tokens, pair.name
        elif "short conversation" not in pair.name:
            assert tokens > 1.3 * rule.min_tokens, pair.name


def test_anthropic_requests_carry_at_most_four_marks() -> None:
    for pair in PAIRS:
        if pair.dialect == "anthropic.messages":
            most = 5 if pair.expect and pair.expect.kind == "too_many_marks" else 4
            assert marks_in(pair.before) <= 4, pair.name
            assert marks_in(pair.after) <= most, pair.name
