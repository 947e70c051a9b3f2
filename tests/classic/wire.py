"""What is written in a request, as the provider received it: shared by all, or an agent's own."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentcache.allow import NO_CALL_LINE, NO_TOOLS_LINE

from .measure import _MARKS, _unmarked

Body = Mapping[str, Any]

_OWN = ("<agent name=", NO_TOOLS_LINE, NO_CALL_LINE, "Summarize the takeaway from")
"""How what only one agent reads begins; where a chat is summed up, the manager has no own text."""


def blocks(body: Body) -> list[str]:
    """A request as the provider hashes it: tools, system and the parts of messages, unmarked."""
    return [json.dumps(_unmarked(block)) for block in _blocks(body)]


def shared(body: Body) -> list[str]:
    """What stands before the agent's own text."""
    every = _blocks(body)
    end = next((n for n, block in enumerate(every) if _is_own(block)), len(every))
    return [json.dumps(_unmarked(block)) for block in every[:end]]


def is_forked(body: Body) -> bool:
    """Whether a shared system text stands in front, in place of an agent's own."""
    return "You are one of several agents in a conversation." in texts(body)


def marked(body: Body) -> list[int]:
    """Numbers of the blocks that carry a mark."""
    every = [block if isinstance(block, dict) else block[1] for block in _blocks(body)]
    return [n for n, block in enumerate(every) if _MARKS & block.keys()]


def own_text(body: Body) -> str:
    """The agent's own text, with its lines about tools and what it is asked now."""
    return "\n".join(blocks(body)[len(shared(body)) :])


def chat(body: Body) -> list[str]:
    """What was said to all, as it stands in the request."""
    said = [block[1].get("text") for block in _blocks(body) if isinstance(block, list)]
    return [text for text in said if text and text.startswith("[")]


def names(body: Body) -> list[str]:
    """The tools that are offered, in order."""
    return [(tool.get("function") or tool)["name"] for tool in body.get("tools") or []]


def allowed(body: Body) -> list[str]:
    """The tools that may be called, of those that are offered; [] if the request names none."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        return [tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]]
    told = re.search(r"You may call only these tools: ([^.]*)\.", texts(body))
    return re.findall(r"`([^`]+)`", told[1]) if told else []


def without_ids(text: str) -> str:
    """What was written, without the ids that the provider gave to calls of tools."""
    return re.sub(r"(call|toolu)_\d+", "id", text)


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


def _is_own(block: Any) -> bool:
    return isinstance(block, list) and (block[1].get("text") or "").startswith(_OWN)
