"""Anthropic Messages: parameters and headers."""

from typing import Any

from .claude import desk
from .editing import Json, within
from .pair import Expect, Pair

FAST = {"anthropic-beta": "fine-grained-tool-streaming-2025-05-14"}
LONG = {"anthropic-beta": "fine-grained-tool-streaming-2025-05-14,context-1m-2025-08-07"}


def _two(
    name: str, a: Json, b: Json, expect: Expect, *, model: str = "claude-haiku-5-5", **options: Any
) -> Pair:
    """The next turn of the conversation; only these parameters differ."""
    before, after = within(desk(5, model=model), **a), within(desk(9, model=model), **b)
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, expect, options)


def _param(
    name: str, param: str, a: Any, b: Any, *, level: str | None = None, model: str | None = None
) -> Pair:
    """The next turn; a parameter differs that somebody froze."""
    expect = Expect("param", "params", param=param, relation="follows", level=level)
    was = {} if a is None else {param: a}
    return _two(name, was, {param: b}, expect, model=model or "claude-haiku-5-5")


def _thinks(budget: int) -> Json:
    return {"type": "enabled", "budget_tokens": budget}


def _answers(**fields: str) -> Json:
    properties = {key: {"type": kind} for key, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": [*fields]}
    return {"format": {"type": "json_schema", "schema": schema}}


PARAMS = (
    _two(
        "an alias gave way to a dated snapshot",
        {"model": "claude-sonnet-4-5"},
        {"model": "claude-sonnet-4-5-20250929"},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
    _two(
        "a larger model took over",
        {"model": "claude-haiku-5-5"},
        {"model": "claude-sonnet-5-5"},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
    _param(
        "a tool must be called: only the messages are lost",
        "tool_choice",
        {"type": "auto"},
        {"type": "any"},
        level="messages",
        model="claude-sonnet-4-6",
    ),
    _param(
        "a certain tool must be called, where nothing was said before",
        "tool_choice",
        None,
        {"type": "tool", "name": "escalate"},
        level="messages",
        model="claude-sonnet-5",
    ),
    _param(
        "parallel calls were switched off: only the messages are lost",
        "tool_choice",
        {"type": "auto"},
        {"type": "auto", "disable_parallel_tool_use": True},
        level="messages",
    ),
    _param(
        "a larger budget for thinking",
        "thinking",
        _thinks(1024),
        _thinks(1536),
        model="claude-sonnet-4-6",
    ),
    _param(
        "thinking was switched on",
        "thinking",
        {"type": "disabled"},
        {"type": "adaptive"},
        model="claude-sonnet-5",
    ),
    _param("another effort", "output_config", {"effort": "low"}, {"effort": "medium"}),
    _param(
        "a field was added to the output schema",
        "output_config",
        _answers(queue="string"),
        _answers(queue="string", urgent="boolean"),
    ),
    _param("fast mode was switched on", "speed", None, "fast", model="claude-opus-5"),
    _param(
        "context editing clears earlier",
        "context_management",
        {
            "edits": [
                {"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 9}}
            ]
        },
        {
            "edits": [
                {"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}
            ]
        },
    ),
    _two(
        "the model changed and so did tool_choice: the model comes first",
        {"model": "claude-haiku-5-5", "tool_choice": {"type": "auto"}},
        {"model": "claude-sonnet-5", "tool_choice": {"type": "any"}},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
)

HEADERS = (
    _two(
        "a beta was added to the header",
        {"extra_headers": FAST},
        {"extra_headers": LONG},
        Expect("beta_headers", "headers", relation="follows"),
    ),
    _two(
        "the beta header was left out",
        {"extra_headers": LONG},
        {},
        Expect("beta_headers", "headers", relation="follows"),
        model="claude-sonnet-4-6",
    ),
    _two(
        "another list of betas",
        {"betas": ["context-management-2025-06-27"]},
        {"betas": ["context-management-2025-06-27", "compact-2026-09-04"]},
        Expect("beta_headers", "headers", "betas", relation="follows"),
    ),
    _two(
        "another x-session-affinity header at Fireworks",
        {"headers": {"x-session-affinity": "worker-2"}},
        {"headers": {"x-session-affinity": "worker-5"}},
        Expect("affinity", "headers", relation="follows"),
        model="accounts/fireworks/models/kimi-k2-instruct",
        provider="fireworks",
    ),
)

PAIRS = (*PARAMS, *HEADERS)
