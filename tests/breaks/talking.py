"""Conversations drawn at random, and how each API writes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
RULES = "You answer in writing, and you promise nothing that the tools have not confirmed. " * 60


@dataclass(frozen=True)
class Talk:
    """A system text, shared context, and steps: what a user asked, what the model answered."""

    system: str
    trunk: str
    steps: tuple[tuple[str, str], ...]


def talks() -> st.SearchStrategy[Talk]:
    """Conversations of five steps over a long shared text."""
    said = st.text(min_size=1, max_size=40)
    texts = st.lists(said, min_size=10, max_size=10, unique=True)
    steps = texts.map(lambda held: tuple(zip(held[::2], held[1::2], strict=True)))
    return st.builds(Talk, said.map(lambda text: f"{text}\n{RULES}"), said, steps)


def _said(talk: Talk, steps: int) -> list[tuple[str, str]]:
    told = [("user", talk.trunk), ("assistant", "Understood.")]
    for asked, answered in talk.steps[:steps]:
        told += [("user", asked), ("assistant", answered)]
    return told[:-1]


def _chat(talk: Talk, steps: int, *, mark: bool) -> Json:
    rows = [{"role": "system", "content": talk.system}]
    rows += [{"role": role, "content": text} for role, text in _said(talk, steps)]
    model = "gpt-4.1-mini" if mark else "gpt-6-luna"
    return {"model": model, "messages": rows}


def _responses(talk: Talk, steps: int, *, mark: bool) -> Json:
    types = {"user": "input_text", "assistant": "output_text"}
    rows: list[Json] = [
        {"role": role, "content": [{"type": types[role], "text": text}]}
        for role, text in _said(talk, steps)
    ]
    if mark:
        for row in (rows[0], rows[-1]):
            row["content"][0]["prompt_cache_breakpoint"] = {"mode": "explicit"}
    return {"model": "gpt-6-luna", "instructions": talk.system, "input": rows}


def _claude(talk: Talk, steps: int, *, mark: bool) -> Json:
    rows: list[Json] = [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in _said(talk, steps)
    ]
    system: Json = {"type": "text", "text": talk.system, "cache_control": {"type": "ephemeral"}}
    if mark:
        rows[-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "system": [system],
        "messages": rows,
    }


def _converse(talk: Talk, steps: int, *, mark: bool) -> Json:
    point = {"cachePoint": {"type": "default"}}
    rows: list[Json] = [
        {"role": role, "content": [{"text": text}]} for role, text in _said(talk, steps)
    ]
    if mark:
        rows[-1]["content"].append(point)
    return {
        "modelId": "anthropic.claude-haiku-4-5-20251001-v1:0",
        "system": [{"text": talk.system}, point],
        "messages": rows,
    }


DIALECTS: dict[str, Callable[..., Json]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _claude,
    "bedrock.converse": _converse,
}
