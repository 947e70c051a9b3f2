"""What is written in a request, as the provider received it: shared by all, or an agent's own."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .measure import _MARKS, _unmarked

Body = Mapping[str, Any]


def blocks(body: Body) -> list[str]:
    """A request as the provider hashes it: tools, system and the parts of messages, unmarked."""
    return [json.dumps(_unmarked(block)) for block in _blocks(body)]


def shared(body: Body) -> list[str]:
    """What stands before the agent's own text and before what only it did."""
    every = _blocks(body)
    return [json.dumps(_unmarked(block)) for block in every[: _end(every)]]


def is_forked(body: Body) -> bool:
    """Whether the agent's own text stands in a part of its own, behind what is shared."""
    return any(_is_tail(block) for block in _blocks(body))


def marked(body: Body) -> list[int]:
    """Numbers of the blocks that carry a mark."""
    every = [block if isinstance(block, dict) else block[1] for block in _blocks(body)]
    return [n for n, block in enumerate(every) if _MARKS & block.keys()]


def own_text(body: Body) -> str:
    """The agent's own text, with its lines about tools."""
    return next(block[1]["text"] for block in _blocks(body) if _is_tail(block))


def who(body: Body) -> str:
    """The agent that a fork speaks for."""
    return own_text(body).split('"')[1]


def names(body: Body) -> list[str]:
    """The tools that are offered, in order."""
    return [(tool.get("function") or tool)["name"] for tool in body.get("tools") or []]


def texts(body: Body) -> str:
    """All that is written in a request."""
    return "\n".join(blocks(body))


def _blocks(body: Body) -> list[Any]:
    system = body.get("system")
    lines: Sequence[Any] = [{"type": "text", "text": system}] if isinstance(system, str) else system
    found: list[Any] = [*(body.get("tools") or []), *(lines or [])]
    for message in body["messages"]:
        own = {k: v for k, v in message.items() if k != "content"}
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        found += [[own, part] for part in parts]
    return found


def _end(every: Sequence[Any]) -> int:
    """Where a message begins that is not the chat's: a tool's, a later system text, the tail."""
    said = False
    for n, block in enumerate(every):
        if isinstance(block, list):
            if _is_own(block, said=said):
                return n
            said = said or block[0]["role"] == "user"
    return len(every)


def _is_own(block: Any, *, said: bool) -> bool:
    role, kind = block[0]["role"], block[1]["type"]
    calls = role in ("assistant", "tool") or kind in ("tool_use", "tool_result")
    return calls or (said and role == "system") or _is_tail(block)


def _is_tail(block: Any) -> bool:
    return isinstance(block, list) and (block[1].get("text") or "").startswith("<agent name=")
