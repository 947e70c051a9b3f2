"""Read an OpenAI Responses request."""

from typing import Any

from agentcache.loopback.drafting import MARKS, Draft, Piece, endings, media, spell, tools
from agentcache.loopback.openai_options import (
    Options,
    mark_ttl,
    options,
    params,
    refuse_mark,
    refuse_tool_marks,
)
from agentcache.loopback.prompt import Block, Prompt, Section
from agentcache.loopback.tokens import Tokenizer
from agentcache.loopback.values import Family
from agentcache.loopback.wire import Refusal, entries, mapping, same_json, text_in

__all__ = ["CALLS", "RESULTS", "input_items", "output_schema", "responses_prompt"]

_MEDIA = ("input_image", "input_file", "input_audio")
CALLS = ("function_call", "custom_tool_call")
RESULTS = ("function_call_output", "custom_tool_call_output")


def input_items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the input as items; a plain string is one user message."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [mapping(item) for item in entries(given)]


def responses_prompt(
    body: dict[str, Any], family: Family, min_tokens: int, tokenize: Tokenizer
) -> Prompt:
    """Render parameters, tools, instructions, items; raise Refusal for a bad request."""
    instructions = body.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise Refusal("Invalid type for 'instructions': expected a string.", param="instructions")
    chosen = options(body, family, long_ttl=True)
    rendered = {
        "schema": mapping(body.get("text")).get("format") if output_schema(body) else None,
        "effort": mapping(body.get("reasoning")).get("effort"),
        "verbosity": mapping(body.get("text")).get("verbosity"),
    }
    offered = entries(body.get("tools"))
    blocks = params(body, family, rendered, tokenize)
    blocks += tools(offered, tokenize, refuse_tool_marks(offered, chosen))
    drafts = [Draft("system", "<|instructions|>", (Piece(instructions),))] if instructions else []
    drafts += [_draft(item, chosen, f"input[{i}]") for i, item in enumerate(input_items(body))]
    blocks += _spelled(drafts, tokenize)
    return Prompt(tuple(blocks), min_tokens, chosen.ttl_s, chosen.implicit)


def _spelled(drafts: list[Draft], tokenize: Tokenizer) -> list[Block]:
    ends = endings([draft.kind for draft in drafts])
    blocks: list[Block] = []
    started = False
    for draft, end in zip(drafts, ends, strict=True):
        started = started or draft.kind != "system"
        section: Section = "messages" if started else "system"
        blocks += spell(section, draft, tokenize, end, "<|end|>")
    return blocks


def _draft(item: dict[str, Any], chosen: Options, where: str) -> Draft:
    kind = str(item.get("type") or "message")
    if kind == "message":
        role = str(item.get("role"))
        pieces = _pieces(
            item.get("content"), chosen, f"{where}.content", allowed=role != "assistant"
        )
        return Draft("system" if role == "developer" else role, f"<|{role}|>", pieces)
    if kind in CALLS:
        head = f"<|call {item.get('call_id')} {item.get('name')}|>"
        given = str(item.get("arguments") or item.get("input") or "")
        return Draft("assistant", head, (Piece(given),))
    if kind in RESULTS:
        pieces = _pieces(item.get("output"), chosen, f"{where}.output", allowed=True)
        return Draft("tool", f"<|result {item.get('call_id')}|>", pieces)
    refuse_mark(item, where)
    if kind == "additional_tools":
        return Draft("other", "<|additional_tools|>", _added(item, chosen, where))
    shown = same_json(item, ("id", "status"))
    return Draft("other", f"<|{kind}|>", (Piece(shown),))


def _pieces(content: object, chosen: Options, where: str, *, allowed: bool) -> tuple[Piece, ...]:
    if isinstance(content, str):
        return (Piece(content),)
    found: list[Piece] = []
    for index, part in enumerate(map(mapping, entries(content))):
        ttl_s = mark_ttl(part, chosen, f"{where}[{index}]", allowed=allowed)
        plain = part.get("type") not in _MEDIA
        found.append(Piece(text_in([part]), ttl_s) if plain else media(part, ttl_s))
    return tuple(found)


def _added(item: dict[str, Any], chosen: Options, where: str) -> tuple[Piece, ...]:
    """Write tools as pieces of the item that adds them; deferred ones stay outside."""
    for name, kind in (("role", str), ("tools", list)):
        if not isinstance(item.get(name), kind):
            raise Refusal(f"Missing required parameter: '{where}.{name}'.", param=f"{where}.{name}")
    if item["role"] != "developer":
        raise Refusal(
            f"Invalid value: '{item['role']}'. Supported values are: 'developer'.",
            param=f"{where}.role",
        )
    refuse_tool_marks(item["tools"], chosen, f"{where}.tools")
    shown = (tool for tool in entries(item["tools"]) if not mapping(tool).get("defer_loading"))
    return tuple(Piece("<|tool|>" + same_json(tool, MARKS)) for tool in shown)


def output_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the output schema in force: a later `configuration_update` item wins."""
    asked = mapping(mapping(body.get("text")).get("format"))
    if asked.get("type") == "json_object":
        return {"type": "object"}
    return mapping(asked.get("schema")) or None
