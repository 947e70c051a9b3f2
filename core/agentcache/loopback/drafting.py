"""Turn messages of any API into blocks: what the three request readers share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentcache.loopback.prompt import Block, Boundary, Section, write
from agentcache.loopback.tokens import Token, Tokenizer
from agentcache.loopback.wire import Refusal, digest, dumps, mapping, same_json

__all__ = [
    "MARKS",
    "Draft",
    "Piece",
    "anthropic_ttl",
    "endings",
    "media",
    "openai_ttl",
    "spell",
    "tools",
]

MARKS = ("cache_control", "prompt_cache_breakpoint")
_MEDIA_TOKENS = 256
_OPENAI_TTL = {"30m": 1800.0, "12h": 43200.0}
_ANTHROPIC_TTL = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, slots=True)
class Piece:
    """One content part: its text, the mark on it, and how many tokens if not the text's."""

    text: str
    ttl_s: float | None = None
    fixed_tokens: int = 0
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """One message: who speaks (`kind`), how it begins, and its parts."""

    kind: str
    head: str
    pieces: tuple[Piece, ...]


def media(part: object, ttl_s: float | None = None) -> Piece:
    """Stand for an image, file or sound: the same payload gives the same text and tokens."""
    return Piece(f"<|media:{digest(same_json(part, MARKS))}|>", ttl_s, _MEDIA_TOKENS)


def spell(
    section: Section, draft: Draft, tokenize: Tokenizer, boundary: Boundary | None, end: str
) -> list[Block]:
    """Write one message; its last block holds the end of the message."""
    pieces = draft.pieces or (Piece(""),)
    blocks: list[Block] = []
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        before, after = draft.head if index == 0 else "", end if last else ""
        inner: Sequence[Token] = (piece.text,) * piece.fixed_tokens or tokenize(piece.text)
        tokens = (*tokenize(before), *inner, *tokenize(after))
        ending = boundary if last else None
        text = before + piece.text + after
        blocks.append(Block(section, text, tokens, piece.ttl_s, ending, piece.joined))
    return blocks


def endings(kinds: Sequence[str]) -> list[Boundary | None]:
    """Return which messages implicit caching may end at.

    A user message, the last of a run of tool results, the last of the leading run of
    system and developer messages.
    """
    leading = next((i for i, kind in enumerate(kinds) if kind != "system"), len(kinds))
    found: list[Boundary | None] = []
    for index, kind in enumerate(kinds):
        run_goes_on = kinds[index + 1 : index + 2] == ["tool"]
        if index == leading - 1:
            found.append("initial")
        else:
            eligible = kind == "user" or (kind == "tool" and not run_goes_on)
            found.append("message" if eligible else None)
    return found


def tools(
    offered: Iterable[Any], tokenize: Tokenizer, marks: Sequence[float | None]
) -> list[Block]:
    """Write tool definitions as received; deferred ones stay outside the prefix."""
    blocks: list[Block] = []
    for tool, ttl_s in zip(offered, marks, strict=True):
        if not mapping(tool).get("defer_loading"):
            block = write("tools", "<|tool|>" + same_json(tool, MARKS), tokenize)
            blocks.append(Block(block.section, block.text, block.tokens, ttl_s))
    return blocks


def openai_ttl(mark: object, default: float, *, long_ttl: bool) -> float:
    """Return the lifetime a `prompt_cache_breakpoint` or `prompt_cache_options` asks for."""
    ttl = mapping(mark).get("ttl")
    if ttl is None:
        return default
    if ttl not in _OPENAI_TTL or (ttl == "12h" and not long_ttl):
        raise Refusal(f"Invalid prompt cache ttl: {dumps(ttl)}.", param="prompt_cache_options.ttl")
    return _OPENAI_TTL[ttl]


def anthropic_ttl(control: object, where: str) -> float | None:
    """Return the lifetime a `cache_control` asks for, None where there is none."""
    if control is None:
        return None
    found = mapping(control)
    ttl = found.get("ttl") or "5m"
    if found.get("type") != "ephemeral" or ttl not in _ANTHROPIC_TTL:
        raise Refusal(f"{where}.cache_control: {dumps(control)} is not a known cache control")
    return _ANTHROPIC_TTL[ttl]
