"""Agents without a framework, for tests of wrapped clients: what they ask, and what was sent."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import anthropic
import openai

import agentcache
from agentcache import loopback
from agentcache.blocks import Block
from agentcache.dialects import dialect_of

from .conftest import opened

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)
WAYS = ("chat", "responses", "messages")
ROLES = {"researcher": ("search",), "analyst": ("search",), "writer": ()}


def client_of(provider: loopback.Loopback, way: str, *, is_async: bool = False) -> Any:
    if way == "messages":
        made = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
        return opened(made(base_url=provider.url, api_key="x", max_retries=0))
    asynchronous = openai.AsyncOpenAI if is_async else openai.OpenAI
    return opened(asynchronous(base_url=provider.openai_url, api_key="x", max_retries=0))


def tool(way: str, name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    told = {"name": name, "description": f"The {name} of the house."}
    if way == "messages":
        return {**told, "input_schema": schema}
    if way == "responses":
        return {"type": "function", **told, "parameters": schema}
    return {"type": "function", "function": {**told, "parameters": schema}}


def asked(way: str, role: str, tools: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """What one agent asks, the brief pasted into its task."""
    system, said = f"You are the {role}.", [{"role": "user", "content": f"{BRIEF}\n\nBe {role}."}]
    offered = {"tools": [tool(way, name) for name in tools]} if tools else {}
    if way == "chat":
        lead = {"role": "system", "content": system}
        return {"model": "gpt-6-luna", "messages": [lead, *said], **offered, **more}
    if way == "responses":
        head = {"model": "gpt-6-luna", "instructions": system}
        return {**head, "input": said, **offered, **more}
    head = {"model": "claude-haiku-5-5", "max_tokens": 99, "system": system}
    return {**head, "messages": said, **offered, **more}


def of(client: Any, way: str) -> Any:
    return client.chat.completions if way == "chat" else getattr(client, way)


def call(client: Any, way: str, role: str, tools: Sequence[str] = (), **more: Any) -> Any:
    answer = of(client, way).create(**asked(way, role, tools, **more))
    if not more.get("stream"):
        return answer
    with answer as stream:
        return list(stream)


async def acall(client: Any, way: str, role: str, tools: Sequence[str] = (), **more: Any) -> Any:
    answer = await of(client, way).create(**asked(way, role, tools, **more))
    if not more.get("stream"):
        return answer
    async with answer as stream:
        return [piece async for piece in stream]


def bodies(provider: loopback.Loopback) -> list[dict[str, Any]]:
    return [json.loads(r.raw) for r in provider.log if r.api != "other"]


def blocks_of(body: dict[str, Any]) -> list[bytes]:
    return [b.identity for b in dialect_of(body).blocks(body) if b.section != "free"]


def parent_of(client: Any) -> list[bytes]:
    held: Sequence[Block] = agentcache.session(client).parent.blocks()
    return [b.identity for b in held]


def texts_in(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return " ".join(texts_in(v) for v in value.values())
    return " ".join(map(texts_in, value)) if isinstance(value, list) else ""


def agentcache_calls(client: Any) -> Sequence[Any]:
    return vars(client)["request"].watch.attachment.ledger.calls


def result(way: str, number: int) -> list[dict[str, Any]]:
    """A call of a tool, and what it gave: some 1,500 tokens."""
    text = f"Result {number}. " + " ".join(f"row {number}.{n}: {n * 7919 % 97}" for n in range(400))
    name = f"call_{number}"
    if way == "messages":
        use = {"type": "tool_use", "id": name, "name": "search", "input": {}}
        gave = {"type": "tool_result", "tool_use_id": name, "content": text}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [gave]}]
    if way == "responses":
        head = {"type": "function_call", "call_id": name}
        return [
            {**head, "name": "search", "arguments": "{}"},
            {"type": "function_call_output", "call_id": name, "output": text},
        ]
    made = {"id": name, "type": "function", "function": {"name": "search", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": name, "content": text},
    ]


def counted(way: str) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True}} if way == "chat" else {}
