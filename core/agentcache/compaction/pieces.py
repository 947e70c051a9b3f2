"""The pieces of a request that can be compacted: where they stand, what they hold."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, cast, get_args

from agentcache.blocks import dumps, estimate_tokens
from agentcache.compaction.extracts import placeholder
from agentcache.dialects import Json
from agentcache.dialects.base import is_json, is_list

__all__ = ["KINDS", "Kind", "Piece", "calls_in", "is_said", "pieces_in", "replaced", "tokens_of"]

Kind = Literal["result", "input", "image", "reasoning"]
"""What a tool answered; what it was called with; a picture; what a model wrote for itself."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_ITEMS: Final = ("function_call_output", "custom_tool_call_output")
_TEXTS: Final = ("text", "input_text", "output_text")
_IMAGES: Final = ("image_url", "image", "input_image")
_REASONING: Final = ("reasoning_content", "reasoning")
_SAID: Final = ("assistant", "function_call", "reasoning", "custom_tool_call")
_WORTH: Final = 0.75
"""A placeholder is at most this share of what it stands for."""
_LONG: Final = 16_384
_SAMPLES: Final = 8
_SAMPLE: Final = 512
"""Characters: a text that is longer is weighed by samples of it."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One piece: `row` is its message, `place` leads from there to the value that is replaced.

    `text` is all that it says; what cannot be replaced has none. `held` is that value.
    """

    kind: Kind
    row: int
    place: tuple[str | int, ...]
    call_id: str
    tool: str
    text: str | None
    held: Any

    @property
    def exact(self) -> str:
        """The value as it is kept: a text behind "=", anything else as JSON."""
        return f"={self.held}" if isinstance(self.held, str) else dumps(self.held)

    @cached_property
    def content_id(self) -> str:
        """Names the content: the same on any machine."""
        exact = ("=", self.held) if isinstance(self.held, str) else (dumps(self.held),)
        return _digest([self.tool, "\x1f", *exact])

    @cached_property
    def name(self) -> str:
        """Names this piece in its conversation, where the same content may come again."""
        kind = [self.kind] * (self.kind != "result")
        return _digest(["\x1f".join([self.call_id, self.content_id, *kind])])

    @cached_property
    def tokens(self) -> int:
        """What it weighs, estimated."""
        if self.kind == "image":  # as base64, which no model reads as text
            return min(tokens_of(self.exact), _IMAGE)
        return tokens_of(self.text or "")

    def said(self, *, brief: bool) -> str:
        """The placeholder that would stand for it."""
        return self._brief if brief else self._full

    @cached_property
    def _brief(self) -> str:
        told = (self.content_id, self.tool, self.text or "")
        return placeholder(*told, brief=True, kind=self.kind)

    @cached_property
    def _full(self) -> str:
        return placeholder(self.content_id, self.tool, self.text or "", kind=self.kind)

    def shrinks(self, said: str) -> bool:
        """Whether a placeholder is shorter by enough."""
        return len(said) <= _WORTH * len(self.text or "")


_IMAGE: Final = 1_600
"""Tokens that a picture costs at most, on Anthropic's scale."""


def _digest(parts: Iterable[str]) -> str:
    """Of these texts as one; a long one is not copied for it."""
    made = hashlib.blake2b(digest_size=8)
    for part in parts:
        made.update(part.encode("utf-8", "surrogatepass"))
    return made.hexdigest()


def tokens_of(text: str) -> int:
    """Estimate the tokens of a text; of a very long one by samples."""
    if len(text) <= _LONG:
        return estimate_tokens(text)
    step = (len(text) - _SAMPLE) // (_SAMPLES - 1)
    drawn = "".join(text[n * step : n * step + _SAMPLE] for n in range(_SAMPLES))
    return round(estimate_tokens(drawn) * len(text) / len(drawn))


def is_said(row: object) -> bool:
    """Whether a model wrote this message."""
    return is_json(row) and str(row.get("role", row.get("type", ""))) in _SAID


def calls_in(row: object) -> Iterator[tuple[str, str]]:
    """The id of each tool call in a message, and the tool's name."""
    if not is_json(row):
        return
    for _place, call_id, tool, _held in _called(row):
        yield call_id, tool


def pieces_in(
    n: int, row: object, names: Mapping[str, str], kinds: Sequence[Kind]
) -> Iterator[Piece]:
    """What a message holds of these kinds; `names` are those of the tools, by the call's id."""
    if not is_json(row):
        return
    for place, call_id, held in _results(row):
        yield Piece("result", n, place, call_id, names.get(call_id, ""), _text(held), held)
    for kind in kinds:
        if kind != "result":
            yield from _OTHERS[kind](n, row)


def _inputs(n: int, row: Json) -> Iterator[Piece]:
    for place, call_id, tool, held in _called(row):
        text = held if isinstance(held, str) else dumps(held)
        yield Piece("input", n, place, call_id, tool, text, held)


def _pictures(n: int, row: Json) -> Iterator[Piece]:
    """Images in results, which have no text then, and in what the user says."""
    for place, _call_id, held in _results(row):
        yield from _images(n, place, held if is_list(held) else [])
    content: Any = row.get("content")
    if row.get("role") == "user" and is_list(content):
        yield from _images(n, ("content",), content)


def _thoughts(n: int, row: Json) -> Iterator[Piece]:
    """Reasoning as text: Anthropic signs its blocks, and OpenAI ties its items to calls."""
    for key in _REASONING if row.get("role") == "assistant" else ():
        if isinstance(row.get(key), str) and row[key]:
            yield Piece("reasoning", n, (key,), "", "", row[key], row[key])


_OTHERS: Final[dict[Kind, Callable[[int, Json], Iterator[Piece]]]] = {
    "input": _inputs,
    "image": _pictures,
    "reasoning": _thoughts,
}


def _results(row: Json) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    """Where each result stands, for which call, and its content."""
    if row.get("role") == "tool":
        yield ("content",), str(row.get("tool_call_id", "")), row.get("content")
    elif row.get("type") in _ITEMS:
        yield ("output",), str(row.get("call_id", "")), row.get("output")
    content: Any = row.get("content")
    for at, part in enumerate(content if is_list(content) else []):
        if not is_json(part):
            continue
        if part.get("type") == "tool_result":
            yield ("content", at, "content"), str(part.get("tool_use_id", "")), part.get("content")
        told: Any = part.get("toolResult")
        if is_json(told):
            yield (
                ("content", at, "toolResult", "content"),
                str(told.get("toolUseId", "")),
                told.get("content"),
            )


def _called(row: Json) -> Iterator[tuple[tuple[str | int, ...], str, str, Any]]:
    """Where the input of each call stands, its id, the tool's name, and that input."""
    if "call_id" in row and "name" in row:
        key = "input" if row.get("type") == "custom_tool_call" else "arguments"
        yield (key,), str(row["call_id"]), str(row["name"]), row.get(key)
    calls: Any = row.get("tool_calls")
    for at, call in enumerate(calls if is_list(calls) else []):
        kind = "custom" if is_json(call) and "custom" in call else "function"
        inner: Any = call.get(kind) if is_json(call) else None
        if is_json(inner):
            key = "input" if kind == "custom" else "arguments"
            place = ("tool_calls", at, kind, key)
            yield place, str(call.get("id")), str(inner.get("name")), inner.get(key)
    content: Any = row.get("content")
    for at, part in enumerate(content if is_list(content) else []):
        if is_json(part) and part.get("type") == "tool_use":
            yield (
                ("content", at, "input"),
                str(part.get("id")),
                str(part.get("name")),
                part["input"],
            )
        used: Any = part.get("toolUse") if is_json(part) else None
        if is_json(used):
            deep = ("content", at, "toolUse", "input")
            yield deep, str(used.get("toolUseId")), str(used.get("name")), used.get("input")


def _images(n: int, place: tuple[str | int, ...], content: list[Any]) -> Iterator[Piece]:
    for at, part in enumerate(content):
        if is_json(part) and (part.get("type") in _IMAGES or set(part) == {"image"}):
            yield Piece("image", n, (*place, at), "", "", dumps(part), part)


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not is_list(content) or not content:
        return None
    texts = [_part_text(part) for part in content]
    return None if None in texts else "\n".join(cast("list[str]", texts))


def _part_text(part: Any) -> str | None:
    if not is_json(part):
        return None
    if part.get("type") in _TEXTS or set(part) == {"text"}:
        return str(part.get("text", ""))
    return dumps(part["json"]) if set(part) == {"json"} else None


def replaced(row: Json, texts: Sequence[tuple[Piece, str]]) -> Json:
    """A message with other texts for some of its pieces; nothing of it is changed in place."""
    for piece, text in texts:
        row = _set(row, piece.place, _as(piece, text))
    return row


def _set(held: Any, place: tuple[str | int, ...], value: Any) -> Any:
    if not place:
        return value
    first, *rest = place
    made: Any = list(held) if is_list(held) else dict(held)
    made[first] = _set(made[first], tuple(rest), value)
    return made


def _as(piece: Piece, text: str) -> Any:
    """A text in the form of the value that it stands for."""
    held = piece.held
    if piece.kind == "image":
        typed = {"image_url": "text", "image": "text", "input_image": "input_text"}
        kind = typed.get(str(held.get("type")))
        return {"type": kind, "text": text} if kind else {"text": text}
    if piece.kind == "input":
        as_json = {"compacted": text}
        if is_json(held):
            return as_json
        return text if piece.place[-1] == "input" else dumps(as_json)
    if "toolResult" in piece.place:  # Bedrock's content is a list of blocks
        return [{"text": text}]
    return [{**held[-1], "text": text}] if is_list(held) else text  # it may carry a mark
