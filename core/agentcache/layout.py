"""Fork layout: the same request, re-laid behind a shared prefix. Pure; nothing is sent here.

    [union of tools][shared system][shared context] ^mark [who you are, your task] [your own loop]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from agentcache.dialects import Dialect, Json, Parts
from agentcache.dialects.base import strip_marks
from agentcache.marks import as_parts, mark_part, roll
from agentcache.rules import Rule

__all__ = ["Tail", "Trunk", "lay", "lift", "trunk_texts"]


@dataclass(frozen=True, slots=True)
class Trunk:
    """What all forks share: `tools` as wire dicts, the `system` text, `context` texts in order."""

    tools: tuple[Json, ...]
    system: str
    context: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tail:
    """What one fork adds: its `name`, its own `system` texts verbatim, and `lines` about tools."""

    name: str
    system: tuple[str, ...]
    lines: tuple[str, ...] = ()

    def text(self) -> str:
        """The tail as the model reads it."""
        own = "\n\n".join(self.system)
        body = f'<agent name="{self.name}">\n{own}\n</agent>' if own else ""
        return "\n\n".join(piece for piece in (body, *self.lines) if piece)


def trunk_texts(context: Sequence[str]) -> tuple[str, ...]:
    """The context texts as they stand in the trunk, numbered so that a tail can refer to them."""
    return tuple(
        f'<shared_context id="{n}">\n{text}\n</shared_context>' for n, text in enumerate(context, 1)
    )


def lift(text: str, context: Sequence[str]) -> str:
    """Replace every verbatim copy of a shared context in `text` by a reference to the trunk."""
    for n, shared in enumerate(context, 1):
        if shared and shared in text:
            text = text.replace(shared, f"[shared_context {n}, given above]")
    return text


def lay(
    dialect: Dialect, rule: Rule, trunk: Trunk, parts: Parts, tail: Tail, *, mark: Json, loops: bool
) -> Json:
    """Write a fork's request. `parts` is the original request; `mark` is empty for no marks."""
    own = [_clean(dialect, _lifted(m, trunk.context)) for m in parts.messages]
    text = tail.text()
    tail_parts: list[Json] = [{"type": dialect.text_type, "text": text}] if text else []
    system, lead = _trunk_parts(dialect, trunk, mark)
    opening = [*lead, *tail_parts]
    if opening and own and own[0].get("role") == "user":
        first = as_parts(dialect, own.pop(0))
        opening += cast("list[Json]", first.get("content") or [])
        messages = ({**first, "content": opening}, *own)
    elif opening:
        messages = ({"role": "user", "content": opening}, *own)
    else:
        messages = tuple(own)
    if mark and loops:
        messages = roll(dialect, rule, messages, mark, spent=1)
    return dialect.join(parts.rest, trunk.tools, system, messages)


def _trunk_parts(dialect: Dialect, trunk: Trunk, mark: Json) -> tuple[list[Json], list[Json]]:
    """The shared text as (system parts, parts that open the first user message), marked once."""

    def part(text: str, kind: str) -> Json:
        return {"type": kind, "text": text}

    system = [part(trunk.system, dialect.text_type)] if trunk.system else []
    lead = [part(text, dialect.text_type) for text in trunk_texts(trunk.context)]
    if dialect.context_in == "system":
        system, lead = [*system, *lead], []
    last = lead or system
    if last and mark:
        last[-1] = mark_part(dialect, last[-1], mark)
    return system, lead


def _lifted(message: Json, context: Sequence[str]) -> Json:
    """Only what the program itself said is lifted; model answers and tool results stay as sent."""
    content = message.get("content")
    if not context or message.get("role") not in ("user", "system", "developer"):
        return message
    if isinstance(content, str):
        return {**message, "content": lift(content, context)}
    if not isinstance(content, list):
        return message
    found = cast("list[Json]", content)
    return {**message, "content": [_lifted_part(p, context) for p in found]}


def _lifted_part(part: Json, context: Sequence[str]) -> Json:
    text: Any = part.get("text")
    return {**part, "text": lift(text, context)} if isinstance(text, str) else part


def _clean(dialect: Dialect, message: Mapping[str, Any]) -> Json:
    """Drop marks the framework put into what is now a tail: they would pay for one-off writes."""
    content = message.get("content")
    if not isinstance(content, list):
        return dict(message)
    found = cast("list[Json]", content)
    return {**message, "content": [strip_marks(p, dialect.mark_key)[0] for p in found]}
