"""Summaries of a provider's own in a conversation: they stand for what was said before them.

Anthropic: a content block `compaction`; without content it is one that failed, and stands for
nothing (anthropic 2.12, types/beta/beta_compaction_block_param.py). OpenAI Responses: an input item
`compaction` (openai 3.54, types/responses/response_compaction_item_param.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agentcache.breaks.edits import failed
from agentcache.breaks.found import Found
from agentcache.breaks.messages import Message, parts_of
from agentcache.breaks.values import CacheBreak
from agentcache.dialects import Dialect
from agentcache.dialects.base import is_json, is_list, role_of, strip_marks

__all__ = ["in_summaries", "is_summary", "without_summed"]

_NOTE: Final = "The provider's own summary stands for what was said before it."
_SYSTEM: Final = ("system", "developer")


def in_summaries(
    wire: Dialect, before: Sequence[Message], after: Sequence[Message]
) -> Found | None:
    """A summary that the later messages hold and the earlier ones do not.

    What stood before it may be gone, or be sent once more: the provider leaves it out.
    """
    rows = ((m.number, each) for m in reversed(after) for each in _in_row(wire, m.sent))
    number, summary = next(rows, (0, None))
    if summary is None or any(summary in _in_row(wire, m.sent) for m in before):
        return None
    return Found("compaction", "messages", f"{wire.messages_key}[{number}]", note=_NOTE)


def is_summary(found: Found | CacheBreak) -> bool:
    """Whether a summary of the provider's own was found, and not one of the program's."""
    return found.kind == "compaction" and found.note == _NOTE


def without_summed(
    wire: Dialect, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The earlier request without what its summary stands for, where the later one dropped that.

    OpenAI's guide on compaction says that a program may.
    """
    lead, rows = _rows(wire, after)
    summary = next(_in_row(wire, rows[lead]), None) if lead < len(rows) else None
    if summary is None:
        return before
    lead, rows = _rows(wire, before)
    at = next((n for n, row in enumerate(rows) if summary in _in_row(wire, row)), lead)
    return before if at <= lead else {**before, wire.messages_key: [*rows[:lead], *rows[at:]]}


def _rows(wire: Dialect, request: Mapping[str, Any]) -> tuple[int, list[Any]]:
    """How many system messages lead, and all messages."""
    held: Any = request.get(wire.messages_key)
    rows: list[Any] = held if is_list(held) else []
    return next((n for n, r in enumerate(rows) if role_of(r) not in _SYSTEM), len(rows)), rows


def _in_row(wire: Dialect, row: Any) -> Iterator[Any]:
    """The summaries in a message, or the one that it is, without marks."""
    for part in (row, *parts_of(row)):
        if is_json(part) and part.get("type") == "compaction" and not failed(part):
            yield strip_marks(part, wire.mark_key)[0]
