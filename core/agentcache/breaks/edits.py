"""What a provider did to a conversation on its own side, by its own word.

Anthropic, beta: `context_management.applied_edits` in a message, or in the last `message_delta` of
a stream; `compaction` blocks, and rows of that type in `usage.iterations`
(anthropic 2.12, types/beta/beta_context_management_response.py, beta_compaction_block.py).
OpenAI Responses: `compaction` items in the output (openai 3.54, response_compaction_item.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.dialects.base import is_json, is_list

__all__ = ["Edit", "edits_in", "failed", "field_of", "joined", "note_of"]

_COMPACTION: Final = "compaction"
_TELL: Final = (
    *("context_management", "content", "output", "usage"),
    *("content_block", "delta", "item"),  # in a stream
)
_CLEARED: Final = (("cleared_tool_uses", "tool use"), ("cleared_thinking_turns", "thinking turn"))


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit that was applied: the API's name for it, what it did, and to how many tokens."""

    type: str
    did: str
    tokens: int | None = None

    def __str__(self) -> str:
        """What it did."""
        return self.did if self.tokens is None else f"{self.did} (about {self.tokens:,} tokens)"


def edits_in(answer: Any) -> tuple[Edit, ...]:
    """The edits that an answer, or a piece of one, tells of, be it JSON or an SDK's object."""
    said = _said(answer)
    if not said:
        return ()
    held = said.get("context_management")
    made = [_edit(row) for row in _rows(field_of(held, "applied_edits"))]
    cleared = tuple(edit for edit in made if edit is not None)
    return (*cleared, Edit(_COMPACTION, "compacted the context")) if _summed(said) else cleared


def joined(before: Sequence[Edit], now: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits of two pieces of one answer; of one type, what was said last."""
    return tuple({edit.type: edit for edit in (*before, *now)}.values())


def note_of(edits: Sequence[Edit]) -> str:
    """The edits in a sentence."""
    did = " and ".join(map(str, edits))
    return f"The provider {did} at this call: {', '.join(edit.type for edit in edits)}."


def _said(answer: Any) -> dict[str, Any]:
    """What of an answer may tell of edits. Most pieces of a stream hold little of it."""
    extra: Any = getattr(answer, "__pydantic_extra__", None) or {}
    held: Any = answer if is_json(answer) else getattr(answer, "__dict__", {})
    found = ((name, held.get(name, extra.get(name))) for name in _TELL)
    return {name: value for name, value in found if value is not None}


def _edit(row: Any) -> Edit | None:
    """An edit; None for one that cleared nothing."""
    tokens = _count(field_of(row, "cleared_input_tokens"))
    counts = [(_count(field_of(row, name)) or 0, what) for name, what in _CLEARED]
    told = [f"{n:,} {what}{'s' * (n > 1)}" for n, what in counts if n]
    if not told and not tokens:
        return None
    return Edit(str(field_of(row, "type")), f"cleared {' and '.join(told) or 'context'}", tokens)


def _summed(said: Mapping[str, Any]) -> bool:
    """Whether a summary was made; Anthropic's without content is one that failed."""
    blocks = [*_rows(said.get("content")), *_rows(said.get("output"))]
    blocks += [said[name] for name in ("content_block", "delta", "item") if name in said]
    kinds = ((field_of(block, "type"), block) for block in blocks)
    sums = [block for kind, block in kinds if kind in (_COMPACTION, "compaction_delta")]
    if sums:
        return any(not failed(block) for block in sums)
    rows = _rows(field_of(said["usage"], "iterations")) if "usage" in said else []
    return any(field_of(row, "type") == _COMPACTION for row in rows)


def failed(block: Any) -> bool:
    """Whether a summary is none: Anthropic's is null where it failed, OpenAI's is encrypted."""
    if field_of(block, "content") is not None:
        return False
    empty = "content" in block if isinstance(block, Mapping) else hasattr(block, "content")
    return empty or field_of(block, "encrypted_content") is None


def field_of(held: Any, name: str) -> Any:
    """A field of an answer, be it JSON or an SDK's object; None where there is none."""
    return held.get(name) if isinstance(held, Mapping) else getattr(held, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _rows(value: Any) -> list[Any]:
    return value if is_list(value) else []


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
