"""What is left of a tool result: an id to ask for it by, and lines of it chosen by rule."""

import re
from itertools import islice
from typing import Final

__all__ = ["OPENING", "extract", "placeholder"]

OPENING: Final = "[compacted tool result "
_NEW: Final = "\n"
_LINE: Final = 160
_FULL: Final = (3, 4, 3)
_BRIEF: Final = (1, 2, 1)
"""First lines, telling ones, last ones: of a result that was never sent, and of a stale one."""
_TELLING: Final = re.compile(
    r"\b(?:error|errors|fail|failed|failure|failures|exception|traceback|fatal|panic|warning|"
    r"denied|refused|not found|no such|timed? ?out)\b",
    re.IGNORECASE,
)


def placeholder(content_id: str, tool: str, text: str, *, brief: bool = False) -> str:
    """The text that stands for a result: the same for the same result, everywhere.

    `brief` holds less of it: the model has read it all before.
    """
    told = f"{len(text):,} characters, {text.count(_NEW) + 1:,} lines"
    head = f"{OPENING}{content_id}] {tool or 'tool'}: {told}."
    ask = f'All of it: recall_result(id="{content_id}"), also with lines= or pattern=.'
    return "\n".join([f"{head} {ask}", *extract(text, brief=brief)])


def extract(text: str, *, brief: bool = False) -> list[str]:
    """Its first lines, its last ones, and those between that tell how it went; with numbers."""
    lines = text.split(_NEW)
    head, most, tail = _BRIEF if brief else _FULL
    if len(lines) <= head + tail:
        picked = list(range(len(lines)))
    else:
        telling = (n for n in range(head, len(lines) - tail) if _TELLING.search(lines[n]))
        between = islice(telling, most)
        picked = [*range(head), *between, *range(len(lines) - tail, len(lines))]
    return [f"{n + 1}: {_short(lines[n])}" for n in picked]


def _short(line: str) -> str:
    if len(line) <= _LINE:
        return line
    half = _LINE // 2
    return f"{line[:half]} [...{len(line) - 2 * half:,} characters...] {line[-half:]}"
