"""Read an Anthropic Messages request."""

from dataclasses import replace
from typing import Any

from agentcache.loopback.drafting import Draft, Piece, anthropic_ttl, media, spell, tools
from agentcache.loopback.prompt import Block, Prompt, marked, seal
from agentcache.loopback.tokens import Tokenizer
from agentcache.loopback.tool_changes import expanded_messages
from agentcache.loopback.values import Family
from agentcache.loopback.wire import Refusal, dumps, entries, mapping, same_json

__all__ = ["messages_prompt"]

_MOST_MARKS = 4
_MEDIA = ("image", "document")
_THINKING = ("thinking", "redacted_thinking")
_THINKING_HEADS = tuple(f"<|{kind}|>" for kind in _THINKING)


def messages_prompt(
    body: dict[str, Any], family: Family, min_tokens: int, tokenize: Tokenizer
) -> Prompt:
    """Render tools, system, messages; raise Refusal for a bad request."""
    if not entries(body.get("messages")):
        raise Refusal("messages: at least one message is required")
    _refuse_bad_prewarm(body)
    offered = entries(body.get("tools"))
    marks = [_mark(tool, f"tools.{i}") for i, tool in enumerate(offered)]
    blocks = tools(offered, tokenize, marks)
    blocks += _seal("system", _system_settings(body))
    blocks += _system(body, tokenize)
    blocks += _seal("messages", _message_settings(body))
    for index, message in enumerate(expanded_messages(body)):
        draft = _draft(message, f"messages.{index}")
        blocks += spell("messages", draft, tokenize, None, "")
    blocks = _with_automatic(blocks, body)
    _refuse_bad_marks(blocks)
    ttl_s = float("inf") if family == "engine" else 1800.0
    if family != "anthropic":
        blocks = [replace(block, mark_ttl_s=None) for block in blocks]
    return Prompt(tuple(blocks), min_tokens, ttl_s, implicit=False)


def _seal(level: str, settings: dict[str, Any]) -> list[Block]:
    shown = {key: value for key, value in settings.items() if value}
    return [seal(f"{level}:{dumps(shown)}")] if shown else []


def _system_settings(body: dict[str, Any]) -> dict[str, Any]:
    """Return what invalidates system and messages but leaves the tools readable."""
    speed = body.get("speed")
    config = mapping(body.get("output_config"))
    return {
        "speed": None if speed == "standard" else speed,
        "format": config.get("format") or body.get("output_format"),
        "citations": '"citations":{"enabled":true}' in dumps(body["messages"]),
    }


def _message_settings(body: dict[str, Any]) -> dict[str, Any]:
    """Return what invalidates the messages only."""
    choice = mapping(body.get("tool_choice"))
    thinking = mapping(body.get("thinking"))
    effort = mapping(body.get("output_config")).get("effort")
    whole = dumps([body.get("system"), body["messages"]])
    return {
        "tool_choice": None if choice == {"type": "auto"} else choice,
        "thinking": None if thinking.get("type") == "disabled" else thinking,
        "effort": None if effort == "high" else effort,  # the default, stated or not
        "images": '"type":"image"' in whole,
    }


def _system(body: dict[str, Any], tokenize: Tokenizer) -> list[Block]:
    system = body.get("system")
    parts = [{"type": "text", "text": system}] if isinstance(system, str) else entries(system)
    if not parts:
        return []
    pieces = tuple(_piece(mapping(part), f"system.{i}") for i, part in enumerate(parts))
    return spell("system", Draft("system", "<|system|>", pieces), tokenize, None, "")


def _draft(message: dict[str, Any], where: str) -> Draft:
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else entries(content)
    pieces: list[Piece] = []
    before = None
    for index, part in enumerate(map(mapping, parts)):
        kind = part.get("type")
        piece = _piece(part, f"{where}.content.{index}")
        # A run of tool_use (or of tool_result) blocks is one look-back position.
        same_run = kind == before and kind in ("tool_use", "tool_result")
        pieces.append(replace(piece, joined=same_run))
        before = kind
    role = str(message.get("role"))
    return Draft(role, f"<|{role}|>", tuple(pieces))


def _piece(part: dict[str, Any], where: str) -> Piece:
    kind = part.get("type")
    ttl_s = _mark(part, where)
    if kind == "text":
        text = str(part.get("text") or "")
        if ttl_s is not None and not text:
            raise Refusal(f"{where}: cache_control cannot be set for empty text blocks")
        return Piece(text, ttl_s)
    if kind in _MEDIA:
        return media(part, ttl_s)
    if kind in _THINKING and ttl_s is not None:
        raise Refusal(f"{where}.{kind}.cache_control: Extra inputs are not permitted")
    if kind == "tool_use":
        head = f"<|call {part.get('id')} {part.get('name')}|>"
        return Piece(head + dumps(part.get("input")), ttl_s)
    if kind == "tool_result":
        return Piece(_result(part), ttl_s)
    return Piece(f"<|{kind}|>" + same_json(part, ("cache_control",)), ttl_s)


def _result(part: dict[str, Any]) -> str:
    content = part.get("content")
    flag = " error" if part.get("is_error") else ""
    head = f"<|result {part.get('tool_use_id')}{flag}|>"
    if isinstance(content, str):
        return head + content
    inner = [mapping(each) for each in entries(content)]
    return head + "\n".join(
        str(each["text"]) if each.get("type") == "text" else media(each).text for each in inner
    )


def _mark(part: object, where: str) -> float | None:
    return anthropic_ttl(mapping(part).get("cache_control"), where)


def _with_automatic(blocks: list[Block], body: dict[str, Any]) -> list[Block]:
    """Put the mark of a top-level `cache_control` on the last block that can hold one."""
    ttl_s = _mark(body, "request")
    last = next((i for i in reversed(range(len(blocks))) if _cacheable(blocks[i])), None)
    if ttl_s is None or last is None:
        return blocks
    own = blocks[last].mark_ttl_s
    if own is not None and own != ttl_s:
        raise Refusal("cache_control: the last block already has a cache_control with another ttl")
    if own is None and len(marked(blocks)) >= _MOST_MARKS:
        raise Refusal("A maximum of 4 blocks with cache_control may be provided. Found 5.")
    return [*blocks[:last], replace(blocks[last], mark_ttl_s=ttl_s), *blocks[last + 1 :]]


def _cacheable(block: Block) -> bool:
    thinking = block.text.removeprefix("<|assistant|>").startswith(_THINKING_HEADS)
    return block.section != "params" and bool(block.tokens) and not thinking


def _refuse_bad_marks(blocks: list[Block]) -> None:
    marks = marked(blocks)
    if len(marks) > _MOST_MARKS:
        raise Refusal(
            f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}."
        )
    lifetimes = [blocks[mark].mark_ttl_s or 0.0 for mark in marks]
    if lifetimes != sorted(lifetimes, reverse=True):
        raise Refusal(
            "cache_control: a ttl='1h' block must not come after a ttl='5m' block "
            "(blocks are processed in the order tools, system, messages)"
        )


def _refuse_bad_prewarm(body: dict[str, Any]) -> None:
    """Refuse what cannot go with `max_tokens: 0`."""
    if body.get("max_tokens") != 0:
        return
    bad = {
        "stream": bool(body.get("stream")),
        "thinking": mapping(body.get("thinking")).get("type") == "enabled",
        "output_config.format": bool(mapping(body.get("output_config")).get("format")),
        "tool_choice": mapping(body.get("tool_choice")).get("type") in ("any", "tool"),
    }
    for name, found in bad.items():
        if found:
            raise Refusal(f"{name}: not supported with max_tokens 0")
