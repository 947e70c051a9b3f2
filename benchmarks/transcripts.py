"""Sessions and tool-loop transcripts to measure with: made up, and the same every time."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import agentcache
from agentcache.blocks import estimate_tokens
from agentcache.rules import rule_for

__all__ = ["MODELS", "grown", "request", "session", "text_of"]

MODELS = {"gpt-6-luna": "openai.chat", "claude-haiku-5-5": "anthropic.messages"}
_WORDS = re.findall(
    r"\S+",
    "the fleet shop battery price month board record a of and to in for with is was not 12 48 "
    "turnaround controller supplier reviewed contract Utrecht Hamburg (s3) margin, delivery.",
)
_TOOLS = ("search", "read", "write")


def text_of(tokens: int, seed: int) -> str:
    """A text of about so many tokens."""
    words = random.Random(seed)  # made up, not secret
    text = " ".join(words.choice(_WORDS) for _ in range(tokens))
    return text[: len(text) * tokens // estimate_tokens(text)]


def session(model: str, context_tokens: int = 6000) -> agentcache.Session:
    """Freeze a parent with a shared text and three tools."""
    rule = rule_for(model)
    parent = agentcache.freeze(
        MODELS[model],
        rule,
        agentcache.CacheDomain(rule.provider, model),
        system="You are one of a team.",
        context=[text_of(context_tokens, 0)],
        tools=_tools(model),
        params={"model": model},
    )
    return agentcache.Session(parent)


def request(model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """An agent's request as its framework builds it: all its dicts are new at every call."""
    me = "You are Researcher. Thorough.\nYour goal: facts"
    body: dict[str, Any] = {"model": model, "temperature": 0.5, "tools": _tools(model)}
    if MODELS[model] == "anthropic.messages":
        return {**body, "max_tokens": 1000, "system": me, "messages": _copied(messages)}
    return {**body, "messages": [{"role": "system", "content": me}, *_copied(messages)]}


def grown(model: str, turns: int, tokens: int) -> Iterator[list[dict[str, Any]]]:
    """A tool loop's messages, before each of its calls; each result is about `tokens` long."""
    said: list[dict[str, Any]] = [{"role": "user", "content": "Find what fleets need."}]
    for n in range(turns):
        said += _turn(MODELS[model], f"call_{n}", text_of(tokens, n + 1))
        yield said


def _turn(wire: str, call: str, result: str) -> list[dict[str, Any]]:
    asked = {"query": f"turnaround of {call}"}
    if wire == "anthropic.messages":
        use = {"type": "tool_use", "id": call, "name": "search", "input": asked}
        told = {"type": "tool_result", "tool_use_id": call, "content": result}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [told]}]
    function = {"name": "search", "arguments": json.dumps(asked)}
    made = {"id": call, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": call, "content": result},
    ]


def _tools(model: str) -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    about = [{"name": name, "description": f"To {name} the records."} for name in _TOOLS]
    if MODELS[model] == "anthropic.messages":
        return [{**one, "input_schema": schema} for one in about]
    return [{"type": "function", "function": {**one, "parameters": schema}} for one in about]


def _copied(value: Any) -> Any:
    """New dicts and lists around the same strings."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
