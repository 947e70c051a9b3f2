"""Fork layout: the same request, re-laid behind a shared prefix. Pure; nothing is sent here.

[union of tools][shared system][shared context] ^mark [who you are, your task] [your own loop]
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcache.dialects import Dialect, Json, Parts
from agentcache.dialects.base import is_json, is_list, role_of, strip_marks
from agentcache.marks import mark_part, roll
from agentcache.rules import Rule

__all__ = ["Tail", "Trunk", "lay", "lift", "trunk_texts"]


@dataclass(frozen=True, slots=True)
class Trunk:
    """What all forks share: `tools` as wire dicts, the `system` text, `context` texts in order.

    `before` is how many context texts there were before the latest growth.
    """

    tools: tuple[Json, ...]
    system: str
    context: tuple[str, ...]
    before: int | None = None


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
    """Replace every verbatim copy of a shared context in `text` by a reference to the trunk.

    A context shorter than the reference stays where it is.
    """
    found: dict[str, str] = {}
    for n, shared in enumerate(context, 1):
        reference = f"[shared_context {n}, given above]"
        if len(shared) > len(reference) and shared in text:
            found.setdefault(shared, reference)
    if not found:
        return text
    longest_first = sorted(found, key=len, reverse=True)
    # In one pass, so that no reference is searched for the next context.
    return re.sub("|".join(map(re.escape, longest_first)), lambda m: found[m.group()], text)


def lay(
    dialect: Dialect, rule: Rule, trunk: Trunk, parts: Parts, tail: Tail, *, mark: Json, loops: bool
) -> Json:
    """Write a fork's request. `parts` is the original request; `mark` is empty for no marks."""
    own = [_lifted(m, trunk.context) for m in parts.messages]
    if mark:
        own = [_clean(dialect, m) for m in own]
    text = tail.text()
    opening: list[Json] = [{"type": dialect.text_type, "text": text}] if text else []
    system, lead, spent = _trunk_parts(dialect, trunk, mark)
    if rule.new_message:
        messages = [*dialect.opened(lead, ()), *dialect.opened(opening, own)]
    else:
        messages = dialect.opened([*lead, *opening], own)
    if mark and loops:
        messages = roll(dialect, rule, messages, mark, spent=spent)
    return dialect.join(parts.rest, trunk.tools, system, messages)


def _trunk_parts(dialect: Dialect, trunk: Trunk, mark: Json) -> tuple[list[Json], list[Json], int]:
    """The shared text as (system parts, parts that open the first user message, marks spent).

    The last part is marked, and so is the one that was the last before the trunk grew: where only
    marks are read, a fork of the longer trunk would not find the shorter one otherwise.
    """
    texts = [trunk.system] if trunk.system else []
    head = len(texts)
    texts += trunk_texts(trunk.context)
    parts: list[Json] = [{"type": dialect.text_type, "text": text} for text in texts]
    ends = {len(parts)} if trunk.before is None else {len(parts), head + trunk.before}
    ends = {end for end in ends if mark and end > 0}
    for end in ends:
        parts[end - 1] = mark_part(dialect, parts[end - 1], mark)
    if dialect.context_in == "system":
        return parts, [], len(ends)
    return parts[:head], parts[head:], len(ends)


def _lifted(message: Json, context: Sequence[str]) -> Json:
    """Only what the program itself said is lifted; model answers and tool results stay as sent."""
    content: Any = message.get("content")
    if not context or role_of(message) not in ("user", "system", "developer"):
        return message
    if isinstance(content, str):
        return {**message, "content": lift(content, context)}
    if not is_list(content):
        return message
    return {**message, "content": [_lifted_part(p, context) for p in content]}


def _lifted_part(part: Any, context: Sequence[str]) -> Any:
    text: Any = part.get("text") if is_json(part) else None
    return {**part, "text": lift(text, context)} if isinstance(text, str) else part


def _clean(dialect: Dialect, message: Mapping[str, Any]) -> Json:
    """Drop marks the framework put into what is now a tail: they would pay for one-off writes."""
    content: Any = message.get("content")
    if not is_list(content):
        return dict(message)
    bare = [strip_marks(p, dialect.mark_key)[0] for p in content]
    return {**message, "content": [_clean(dialect, p) if is_json(p) else p for p in bare]}
