"""Responses: parameters, headers, time and usage."""

from typing import Any

from .editing import Json, cut, within
from .pair import Expect, Pair
from .prose_code import BRIEF, NOTES, PERSONA_ANALYST, PERSONA_WRITER
from .prose_desk import SUPPORT
from .responses import desk, fork, tail, trunk, user

SHORT = "You answer customers of Harbor & Pine."


def _two(
    name: str, a: Json, b: Json, expect: Expect, *, model: str = "gpt-6-luna", **options: Any
) -> Pair:
    """The next turn of the conversation; only these parameters differ."""
    before, after = within(desk(5, model=model), **a), within(desk(9, model=model), **b)
    return Pair(f"responses: {name}", "openai.responses", before, after, expect, options)


def _param(name: str, param: str, a: Any, b: Any) -> Pair:
    """The next turn; a parameter that renders differs."""
    expect = Expect("param", "params", param=param, relation="follows", level="all")
    return _two(name, {} if a is None else {param: a}, {param: b}, expect)


def _verdict(**fields: str) -> Json:
    properties = {key: {"type": kind} for key, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": [*fields]}
    return {"format": {"type": "json_schema", "name": "verdict", "schema": schema}}


def used(total: int, cached: int, written: int | None = 0) -> Json:
    """What the provider reports of a call."""
    return {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": 112,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": total + 112,
    }


def _fork(name: str, persona: str) -> Json:
    """A fork of one marked parent that is asked once."""
    said = [*trunk(marked=True), tail(name, persona, "Write two paragraphs about returns.")]
    return fork(said, prompt_cache_options={"mode": "explicit"})


def _crew(persona: str, task: str) -> Json:
    """An agent of a crew that nobody forked: its own instructions, the brief in its task."""
    asked = f"Current Task: {task}\n\nThis is the context you're working with:\n{BRIEF}\n\n{NOTES}"
    return {"model": "gpt-6-luna", "instructions": persona, "input": [user(asked)]}


PARAMS = (
    _two(
        "an alias gave way to a dated snapshot",
        {"model": "gpt-4.1"},
        {"model": "gpt-4.1-2025-04-14"},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
    _two(
        "a smaller model took over",
        {"model": "gpt-6.1-sol"},
        {"model": "gpt-6-luna"},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
    _param("the reasoning effort was raised", "reasoning", {"effort": "low"}, {"effort": "medium"}),
    _param("another verbosity", "text", {"verbosity": "medium"}, {"verbosity": "low"}),
    _param(
        "a field was added to the output schema",
        "text",
        _verdict(queue="string"),
        _verdict(queue="string", urgent="boolean"),
    ),
    _param("parallel tool calls were switched off", "parallel_tool_calls", None, False),
    _param("another service tier", "service_tier", "auto", "priority"),
    _param("truncation was allowed", "truncation", "disabled", "auto"),
    _param(
        "compaction sets in earlier",
        "context_management",
        [{"type": "compaction", "compact_threshold": 120000}],
        [{"type": "compaction", "compact_threshold": 60000}],
    ),
    _two(
        "another effort and another date: the effort renders first",
        {"reasoning": {"effort": "high"}, "instructions": f"{SUPPORT}\n\nDate: 2026-11-23"},
        {"reasoning": {"effort": "low"}, "instructions": f"{SUPPORT}\n\nDate: 2026-11-24"},
        Expect("param", "params", param="reasoning", relation="follows"),
    ),
    _two(
        "the temperature and the date changed: the date is the cause",
        {"temperature": 0.2, "instructions": f"{SUPPORT}\n\nDate: 2026-11-23"},
        {"temperature": 0.9, "instructions": f"{SUPPORT}\n\nDate: 2026-11-24"},
        Expect("timestamp", "system", "instructions", offset=5502, relation="follows"),
        model="gpt-4.1-mini",
    ),
    Pair(
        "responses: a chain of response ids goes on, but the instructions have a new time",
        "openai.responses",
        within(
            desk(1, system=f"Time: 09:14\n\n{SUPPORT}"),
            previous_response_id="resp_68f19c01",
            input=[user("Is it still under warranty?")],
        ),
        within(
            desk(1, system=f"Time: 09:16\n\n{SUPPORT}"),
            previous_response_id="resp_68f19c44",
            input=[user("And the bulb?")],
        ),
        Expect("timestamp", "system", "instructions", offset=10),
    ),
)

HEADERS = (
    _two(
        "another prompt_cache_key",
        {"prompt_cache_key": "desk-v12"},
        {"prompt_cache_key": "desk-v13"},
        Expect("affinity", "headers", "prompt_cache_key", relation="follows"),
    ),
    _two(
        "the prompt_cache_key was left out",
        {"prompt_cache_key": "desk-v12"},
        {},
        Expect("affinity", "headers", "prompt_cache_key", relation="follows"),
        model="gpt-4.1-mini",
    ),
    _two(
        "another x-session-affinity header at Fireworks",
        {"extra_headers": {"x-session-affinity": "3b1f"}},
        {"extra_headers": {"x-session-affinity": "c07d"}},
        Expect("affinity", "headers", relation="follows"),
        model="accounts/fireworks/models/glm-4p6",
        provider="fireworks",
    ),
)

TIME_AND_USAGE = (
    _two(
        "idle over lunch, for two hours",
        {},
        {},
        Expect("ttl_expired", "time", relation="follows"),
        idle_s=7200,
    ),
    Pair(
        "responses: two forks sent at once, both wrote the trunk",
        "openai.responses",
        _fork("analyst", PERSONA_ANALYST),
        _fork("writer", PERSONA_WRITER),
        Expect("concurrent_cold", "time", relation="sibling"),
        {"idle_s": 0.05, "before_usage": used(3310, 0, 3190), "after_usage": used(3305, 0, 3190)},
    ),
    _two(
        "nothing changed, yet nothing was read fifty seconds later",
        {},
        {},
        Expect("evicted", "usage", relation="follows"),
        idle_s=50,
        before_usage=used(2690, 0, 2681),
        after_usage=used(3119, 0, 3110),
    ),
    _two(
        "a server that reports no details",
        {},
        {},
        Expect("usage_unreported", "usage", relation="follows"),
        model="Qwen/Qwen3-32B",
        provider="vllm",
        after_usage={"input_tokens": 3119, "output_tokens": 71, "total_tokens": 3190},
    ),
    Pair(
        "responses: a prompt too short to be cached",
        "openai.responses",
        cut(desk(4, system=SHORT), "tools"),
        cut(desk(5, system=SHORT), "tools"),
        Expect("below_minimum", "usage", relation="follows"),
        {"idle_s": 9, "before_usage": used(402, 0), "after_usage": used(431, 0)},
    ),
    Pair(
        "responses: two agents that nobody forked",
        "openai.responses",
        _crew(PERSONA_ANALYST, "Compare both investments over seven years."),
        _crew(PERSONA_WRITER, "Write the recommendation."),
        Expect("text_edit", "system", "instructions", offset=8, relation="replaces"),
    ),
)

PAIRS = (*PARAMS, *HEADERS, *TIME_AND_USAGE)
