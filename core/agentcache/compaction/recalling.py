"""recall_result: the tool by which a model asks for what a placeholder stands for."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from agentcache.compaction.compacting import RECALL
from agentcache.compaction.patterns import UnsearchableError, searchable
from agentcache.compaction.stores import ContentStore
from agentcache.dialects import Json
from agentcache.dialects.base import is_list
from agentcache.errors import OptionError

__all__ = ["RECALL_SAYS", "recall", "recall_tool"]

RECALL_SAYS: Final = (
    "Read a tool result that was compacted, by the id in its placeholder: all of it, some of its "
    "lines, or the lines that match a pattern."
)
_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The id in the placeholder."},
        "lines": {"type": "string", "description": "First and last line, such as 10-40."},
        "pattern": {"type": "string", "description": "A regular expression, to find lines by."},
    },
    "required": ["id"],
}
_LINES: Final = re.compile(r"\s*(\d{1,9})\s*([-:]\s*(\d{1,9})?\s*)?")
_MOST: Final = 200
_DIALECTS: Final = ("openai.chat", "openai.responses", "anthropic.messages", "bedrock.converse")


class _RefusedError(ValueError):
    """A wish that cannot be met, with the cure."""


def recall_tool(dialect: str) -> Json:
    """The tool as an API has it: `openai.chat`, `openai.responses`, `anthropic.messages`.

    Or `bedrock.converse`. It belongs to the tools from the first call on: offering it later would
    move the prefix.

    Raises:
        OptionError: no such dialect.

    """
    told = {"name": RECALL, "description": RECALL_SAYS}
    if dialect == "anthropic.messages":
        return {**told, "input_schema": _SCHEMA}
    if dialect == "openai.responses":
        return {"type": "function", **told, "parameters": _SCHEMA}
    if dialect == "bedrock.converse":
        return {"toolSpec": {**told, "inputSchema": {"json": _SCHEMA}}}
    if dialect == "openai.chat" or dialect.startswith("openai.chat."):  # as a text wire says it
        return {"type": "function", "function": {**told, "parameters": _SCHEMA}}
    raise OptionError(f"dialect {dialect!r} does not exist. Choose one of {', '.join(_DIALECTS)}.")


def recall(store: ContentStore, arguments: Mapping[str, Any] | str) -> str:
    """What the tool answers; a wish that cannot be met is answered with the cure, not raised.

    Arguments may be JSON, as Chat and Responses hand them over.
    """
    try:
        asked = _read(arguments)
        text = _kept(store, str(asked.get("id") or "").strip())
        lines, pattern = asked.get("lines"), asked.get("pattern")
        if not lines and not pattern:
            return text
        rows = _between(list(enumerate(text.split("\n"), 1)), lines)
        return _told(*_like(rows, pattern))
    except _RefusedError as error:
        return f"Error: {error}"
    except Exception:  # noqa: BLE001 - the host goes on, whatever a model may have sent
        return "Error: these arguments cannot be read. Give id, and lines or pattern as text."


def _read(arguments: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError) as error:
        raise _RefusedError("the arguments are no JSON. Give an object with id.") from error
    if not isinstance(found, Mapping):
        raise _RefusedError("the arguments are no JSON object. Give an object with id.")
    return cast("Mapping[str, Any]", found)


def _kept(store: ContentStore, name: str) -> str:
    if not name:
        raise _RefusedError("id is missing. Give the id in the placeholder.")
    try:
        held = store.get(name)
        text = held if held is None else _text(held)
    except Exception as error:  # whatever a store raises, the agent goes on
        raise _RefusedError(
            f"result {name!r:.100} cannot be read now. Call its tool again."
        ) from error
    if text is None:
        raise _RefusedError(f"no result {name!r:.100} is kept. Call its tool again.")
    return text


def _between(rows: list[tuple[int, str]], lines: Any) -> list[tuple[int, str]]:
    if not lines:
        return rows
    asked = _LINES.fullmatch(str(lines))
    if asked is None:
        raise _RefusedError(
            f"lines={lines!r:.60}: give the first and the last line, such as 10-40, or 10-."
        )
    first = int(asked[1])
    last = int(asked[3]) if asked[3] else len(rows) if asked[2] else first
    if asked[3] and last < first:
        raise _RefusedError(f"lines={lines!r:.60} runs backwards: give {last}-{first}.")
    return [row for row in rows if first <= row[0] <= last]


def _like(rows: list[tuple[int, str]], pattern: Any) -> tuple[list[tuple[int, str]], str]:
    """The lines that match, and what there is to say about the search."""
    if not pattern:
        return rows, ""
    try:
        search = searchable(str(pattern))
        found = search.among(rows)
    except UnsearchableError as error:
        raise _RefusedError(f"pattern={str(pattern)!r:.100} {error}.") from error
    cut = any(len(line) > search.reach for _, line in rows)
    return found, f"\n[only the first {search.reach} characters of a line were searched]" * cut


def _told(rows: list[tuple[int, str]], note: str) -> str:
    more = f"\n[{len(rows) - _MOST:,} more lines]" if len(rows) > _MOST else ""
    said = (
        "\n".join(f"{n}: {line}" for n, line in rows[:_MOST]) if rows else "No line is like that."
    )
    return said + more + note


def _text(held: str) -> str:
    return held[1:] if held.startswith("=") else _said(json.loads(held))


def _said(content: Any) -> str:
    if not is_list(content):  # a tool's input, or an image: as it was, in JSON
        return content if isinstance(content, str) else json.dumps(content)
    parts = [part.get("text", part.get("json")) for part in content]
    return "\n".join(p if isinstance(p, str) else json.dumps(p) for p in parts)
