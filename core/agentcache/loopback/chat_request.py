"""Read a Chat Completions request."""

from typing import Any

from agentcache.loopback.drafting import Draft, Piece, endings, media, spell, tools
from agentcache.loopback.openai_options import Options, mark_ttl, options, params, refuse_tool_marks
from agentcache.loopback.prompt import Block, Prompt, Section
from agentcache.loopback.tokens import Tokenizer
from agentcache.loopback.values import Family
from agentcache.loopback.wire import Refusal, dumps, entries, mapping, text_in

__all__ = ["KINDS", "chat_prompt", "output_schema"]

_MEDIA = ("image_url", "input_audio", "file")
KINDS = {"developer": "system", "system": "system", "function": "tool"}


def chat_prompt(
    body: dict[str, Any], family: Family, min_tokens: int, tokenize: Tokenizer
) -> Prompt:
    """Render parameters, tools, then messages in order; raise Refusal for a bad request."""
    messages = entries(body.get("messages"))
    if not messages:
        raise Refusal("Invalid 'messages': empty array.", param="messages")
    chosen = options(body, family, long_ttl=False)
    rendered = {
        "schema": output_schema(body),
        "effort": body.get("reasoning_effort"),
        "verbosity": body.get("verbosity"),
    }
    offered = entries(body.get("tools"))
    blocks = params(body, family, rendered, tokenize)
    blocks += tools(offered, tokenize, refuse_tool_marks(offered, chosen))
    blocks += _messages(messages, chosen, tokenize)
    return Prompt(tuple(blocks), min_tokens, chosen.ttl_s, chosen.implicit)


def _messages(messages: list[Any], chosen: Options, tokenize: Tokenizer) -> list[Block]:
    drafts = [_draft(mapping(each), chosen, f"messages[{i}]") for i, each in enumerate(messages)]
    ends = endings([draft.kind for draft in drafts])
    blocks: list[Block] = []
    started = False
    for draft, end in zip(drafts, ends, strict=True):
        started = started or draft.kind != "system"
        section: Section = "messages" if started else "system"
        blocks += spell(section, draft, tokenize, end, "<|end|>")
    return blocks


def _draft(message: dict[str, Any], chosen: Options, where: str) -> Draft:
    role = str(message.get("role"))
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else entries(content)
    pieces = [
        _piece(mapping(part), chosen, f"{where}.content[{i}]", allowed=role != "assistant")
        for i, part in enumerate(parts)
    ]
    pieces += [_call(mapping(call)) for call in entries(message.get("tool_calls"))]
    if message.get("function_call"):
        pieces.append(Piece("<|call|>" + dumps(message["function_call"])))
    names = [str(message[key]) for key in ("name", "tool_call_id") if message.get(key)]
    return Draft(KINDS.get(role, role), f"<|{' '.join([role, *names])}|>", tuple(pieces))


def _piece(part: dict[str, Any], chosen: Options, where: str, *, allowed: bool) -> Piece:
    ttl_s = mark_ttl(part, chosen, where, allowed=allowed)
    if part.get("type") in _MEDIA:
        return media(part, ttl_s)
    return Piece(text_in([part]), ttl_s)


def _call(call: dict[str, Any]) -> Piece:
    function = mapping(call.get("function"))
    head = f"<|call {call.get('id')} {function.get('name')}|>"
    return Piece(head + str(function.get("arguments") or ""))


def output_schema(body: dict[str, Any]) -> Any:
    asked = mapping(body.get("response_format"))
    if asked.get("type") == "json_schema":
        return asked.get("json_schema")
    return {"type": "object"} if asked.get("type") == "json_object" else None
