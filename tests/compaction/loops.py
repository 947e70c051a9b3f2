"""A tool loop as each API writes it: what was called, and what came back."""

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
ASKED = "Find out why the build fails."


def chat(results: Sequence[str], *, last: bool = True) -> Json:
    rows: list[Json] = [{"role": "system", "content": "You fix builds."}]
    rows += [{"role": "user", "content": ASKED}]
    for n, text in enumerate(results):
        inner = {"name": f"tool{n % 3}", "arguments": f'{{"n": {n}}}'}
        call = {"id": f"c{n}", "type": "function", "function": inner}
        rows += [{"role": "assistant", "content": None, "tool_calls": [call]}]
        if last or n < len(results) - 1:
            rows += [{"role": "tool", "tool_call_id": f"c{n}", "content": text}]
    return {"model": "gpt-4.1-mini", "messages": rows}


def responses(results: Sequence[str]) -> Json:
    rows: list[Json] = [{"role": "user", "content": ASKED}]
    for n, text in enumerate(results):
        call = {"type": "function_call", "call_id": f"c{n}", "name": f"tool{n % 3}"}
        rows += [{**call, "arguments": f'{{"n": {n}}}'}]
        rows += [{"type": "function_call_output", "call_id": f"c{n}", "output": text}]
    return {"model": "gpt-6-luna", "instructions": "You fix builds.", "input": rows}


def claude(results: Sequence[str]) -> Json:
    rows: list[Json] = [{"role": "user", "content": ASKED}]
    for n, text in enumerate(results):
        used = {"type": "tool_use", "id": f"c{n}", "name": f"tool{n % 3}", "input": {"n": n}}
        part = {"type": "tool_result", "tool_use_id": f"c{n}", "content": text}
        rows += [{"role": "assistant", "content": [used]}, {"role": "user", "content": [part]}]
    return {"model": "claude-haiku-5-5", "max_tokens": 99, "system": "Fix.", "messages": rows}


def converse(results: Sequence[str]) -> Json:
    rows: list[Json] = [{"role": "user", "content": [{"text": ASKED}]}]
    for n, text in enumerate(results):
        used = {"toolUse": {"toolUseId": f"c{n}", "name": f"tool{n % 3}", "input": {"n": n}}}
        told = {"toolResult": {"toolUseId": f"c{n}", "content": [{"text": text}]}}
        rows += [{"role": "assistant", "content": [used]}, {"role": "user", "content": [told]}]
    return {"modelId": "anthropic.claude-haiku-4-5", "messages": rows, "inferenceConfig": {}}


LOOPS: dict[str, Callable[[Sequence[str]], Json]] = {
    "openai.chat": chat,
    "openai.responses": responses,
    "anthropic.messages": claude,
    "bedrock.converse": converse,
}


def log_of(n: int, lines: int = 300) -> str:
    """A test log that fails in its middle."""
    rows = [f"tests/test_{n}_{k}.py::test_case_{k} PASSED in {k % 7}.{n} s" for k in range(lines)]
    rows[lines // 2] = f"tests/test_{n}.py::test_it FAILED: AssertionError: {n} != {n + 1}"
    return "\n".join(rows)
