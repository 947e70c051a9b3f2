"""Chat Completions: parameters and headers."""

from typing import Any

from .chat import code, desk
from .editing import within
from .pair import Expect, Pair
from .prose_code import CODER
from .prose_desk import SUPPORT
from .toolbox import Json


def _two(
    name: str, a: Json, b: Json, expect: Expect, *, model: str = "gpt-4.1-mini", **options: Any
) -> Pair:
    """The next turn of the conversation; only these parameters differ."""
    before, after = desk(5, model=model), desk(9, model=model)
    return Pair(
        f"chat: {name}", "openai.chat", within(before, **a), within(after, **b), expect, options
    )


def _verdict(**fields: str) -> Json:
    properties = {key: {"type": kind} for key, kind in fields.items()}
    schema = {"type": "object", "properties": properties, "required": [*fields]}
    return {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}


PARAMS = (
    _two(
        "an alias gave way to a dated snapshot",
        {"model": "gpt-4.1-mini"},
        {"model": "gpt-4.1-mini-2025-04-14"},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
    _two(
        "another model of the same family",
        {"model": "gpt-6-luna"},
        {"model": "gpt-6-astra"},
        Expect("model", "params", "model", param="model", relation="follows", level="all"),
    ),
    _two(
        "the reasoning effort was raised",
        {"reasoning_effort": "low"},
        {"reasoning_effort": "high"},
        Expect("param", "params", param="reasoning_effort", relation="follows", level="all"),
        model="gpt-6-luna",
    ),
    _two(
        "a verbosity was set",
        {},
        {"verbosity": "low"},
        Expect("param", "params", param="verbosity", relation="follows", level="all"),
        model="gpt-5.6-luna",
    ),
    _two(
        "a field was added to the output schema",
        {"response_format": _verdict(queue="string")},
        {"response_format": _verdict(queue="string", urgent="boolean")},
        Expect("param", "params", param="response_format", relation="follows", level="all"),
    ),
    _two(
        "parallel tool calls were switched off",
        {"parallel_tool_calls": True},
        {"parallel_tool_calls": False},
        Expect("param", "params", param="parallel_tool_calls", relation="follows", level="all"),
    ),
    _two(
        "another service tier",
        {"service_tier": "default"},
        {"service_tier": "flex"},
        Expect("param", "params", param="service_tier", relation="follows", level="all"),
        model="gpt-6-luna",
    ),
    _two(
        "thinking switched off in the chat template of vLLM",
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"chat_template_kwargs": {"enable_thinking": False}},
        Expect("param", "params", param="chat_template_kwargs", relation="follows", level="all"),
        model="Qwen/Qwen3-32B",
        provider="vllm",
    ),
    Pair(
        "chat: Gemini thinks harder in the middle of a long loop",
        "openai.chat",
        code(16, model="gemini-2.5-flash", reasoning_effort="low"),
        code(17, model="gemini-2.5-flash", reasoning_effort="high"),
        Expect("param", "params", param="reasoning_effort", relation="follows", level="all"),
    ),
    Pair(
        "chat: Gemini: the date in the prompt of a long loop",
        "openai.chat",
        code(17, model="gemini-2.5-flash", system=f"Date: 2026-11-23\n\n{CODER}"),
        code(19, model="gemini-2.5-flash", system=f"Date: 2026-11-24\n\n{CODER}"),
        Expect("timestamp", "system", "messages[0].content", offset=15, relation="follows"),
    ),
    Pair(
        "chat: the model changed, and so did the date: the model comes first",
        "openai.chat",
        desk(5, model="gpt-4.1-mini", system=f"{SUPPORT}\n\nDate: 2026-11-23"),
        desk(9, model="gpt-4o-mini", system=f"{SUPPORT}\n\nDate: 2026-11-24"),
        Expect("model", "params", "model", param="model", relation="follows"),
    ),
    Pair(
        "chat: another effort and another prompt: the effort renders first",
        "openai.chat",
        desk(5, model="gpt-6-luna", reasoning_effort="low"),
        desk(9, model="gpt-6-luna", reasoning_effort="medium", system=f"{SUPPORT}\n\nBe brief."),
        Expect("param", "params", param="reasoning_effort", relation="follows"),
    ),
)

HEADERS = (
    _two(
        "another prompt_cache_key",
        {"prompt_cache_key": "desk-eu-1"},
        {"prompt_cache_key": "desk-eu-2"},
        Expect("affinity", "headers", "prompt_cache_key", relation="follows"),
    ),
    _two(
        "a prompt_cache_key per request",
        {"prompt_cache_key": "req-0d4c5f"},
        {"prompt_cache_key": "req-8a31b2"},
        Expect("affinity", "headers", "prompt_cache_key", relation="follows"),
        model="gpt-6-luna",
    ),
    _two(
        "another x-session-affinity header at Fireworks",
        {"extra_headers": {"x-session-affinity": "worker-1"}},
        {"extra_headers": {"x-session-affinity": "worker-7"}},
        Expect("affinity", "headers", relation="follows"),
        model="accounts/fireworks/models/kimi-k2-instruct",
        provider="fireworks",
    ),
    _two(
        "another user at Fireworks, where it picks the replica",
        {"user": "u-1842"},
        {"user": "u-2077"},
        Expect("affinity", "headers", "user", relation="follows"),
        model="accounts/fireworks/models/kimi-k2-instruct",
        provider="fireworks",
    ),
    _two(
        "another conversation id in Grok's header",
        {"extra_headers": {"x-grok-conv-id": "conv-5501"}},
        {"extra_headers": {"x-grok-conv-id": "conv-5502"}},
        Expect("affinity", "headers", relation="follows"),
        model="grok-4",
    ),
)

PAIRS = (*PARAMS, *HEADERS)
