"""recall_result: the tool by which a model asks for what a placeholder stands for."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from agentcache.compaction.compacting import RECALL
from agentcache.compaction.stores import ContentStore
from agentcache.dialects import Json
from agentcache.dialects.base import is_list

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
_LINES: Final = re.compile(r"\s*(\d+)\s*(?:[-:]\s*(\d+)\s*)?")
_MOST: Final = 200


def recall_tool(dialect: str) -> Json:
    """The tool as an API has it: `openai.chat`, `openai.responses`, `anthropic.messages`.

    It belongs to the tools from the first call on: offering it later would move the prefix.
    """
    told = {"name": RECALL, "description": RECALL_SAYS}
    if dialect == "anthropic.messages":
        return {**told, "input_schema": _SCHEMA}
    if dialect == "openai.responses":
        return {"type": "function", **told, "parameters": _SCHEMA}
    if dialect == "bedrock.converse":
        return {"toolSpec": {**told, "inputSchema": {"json": _SCHEMA}}}
    return {"type": "function", "function": {**told, "parameters": _SCHEMA}}


def recall(store: ContentStore, arguments: Mapping[str, Any]) -> str:
    """What the tool answers; a wish that cannot be met is answered with the cure, not raised."""
    held = store.get(str(arguments.get("id", "")).strip())
    if held is None:
        return f"Error: no result {arguments.get('id')!r} is kept. Call its tool again."
    text = held[1:] if held.startswith("=") else _said(json.loads(held))
    lines, pattern = arguments.get("lines"), arguments.get("pattern")
    rows = list(enumerate(text.split("\n"), 1))
    if lines:
        asked = _LINES.fullmatch(str(lines))
        if asked is None:
            return f"Error: lines={lines!r}: give the first and the last line, such as 10-40."
        first, last = int(asked[1]), int(asked[2] or asked[1])
        rows = [row for row in rows if first <= row[0] <= last]
    if pattern:
        try:
            wanted = re.compile(str(pattern))
        except re.error as error:
            return f"Error: pattern={pattern!r} is no regular expression: {error}."
        rows = [row for row in rows if wanted.search(row[1])]
    if not lines and not pattern:
        return text
    more = f"\n[{len(rows) - _MOST:,} more lines]" if len(rows) > _MOST else ""
    return "\n".join(f"{n}: {line}" for n, line in rows[:_MOST]) + more or "No line is like that."


def _said(content: Any) -> str:
    if not is_list(content):  # a tool's input, or an image: as it was, in JSON
        return content if isinstance(content, str) else json.dumps(content)
    parts = [part.get("text", part.get("json")) for part in content]
    return "\n".join(p if isinstance(p, str) else json.dumps(p) for p in parts)
