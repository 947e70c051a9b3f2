"""Requests of the Anthropic Messages API."""

import copy
import json
from typing import Any

from .prose_code import BRIEF, CODER, NOTES
from .prose_desk import SUPPORT
from .talks import CODE_TALK, DESK_TALK, Call, Entry, Thought
from .toolbox import CODE, DESK, Json, for_anthropic

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
DESK_TOOLS = for_anthropic(DESK)
CODE_TOOLS = for_anthropic(CODE)


def text(said: str, **more: Any) -> Json:
    """A text block."""
    return {"type": "text", "text": said, **more}


def _id(call: Call) -> str:
    return f"toolu_01{call.id.removeprefix('call_')}"


def _use(call: Call) -> Json:
    made = {"id": _id(call), "name": call.name, "input": json.loads(call.arguments)}
    return {"type": "tool_use", **made}


def _result(call: Call) -> Json:
    return {"type": "tool_result", "tool_use_id": _id(call), "content": call.result}


def messages(entries: tuple[Entry, ...], *, thoughts: bool = False) -> list[Json]:
    """A conversation as messages; a thought stands in front of the calls that it led to."""
    out: list[Json] = []
    kept: list[Json] = []
    for entry in entries:
        if isinstance(entry, tuple):
            out.append({"role": "user", "content": [text(entry[0])]})
        elif isinstance(entry, str):
            out.append({"role": "assistant", "content": [text(entry)]})
        elif isinstance(entry, Thought):
            block = {"type": "thinking", "thinking": entry.text, "signature": entry.signature}
            kept = [block] if thoughts else []
        else:
            out.append({"role": "assistant", "content": [*kept, *map(_use, entry)]})
            out.append({"role": "user", "content": [_result(call) for call in entry]})
            kept = []
    return out


def rolled(said: list[Json], *at: int, mark: Json = MARK) -> list[Json]:
    """The messages with a mark on the last block of those named, or of the last."""
    out = copy.deepcopy(said)
    for n in at or (-1,):
        out[n]["content"][-1]["cache_control"] = mark
    return out


def told(*texts: str, mark: Json | None = MARK) -> list[Json]:
    """A system prompt in blocks, the last of them marked."""
    blocks = [text(one) for one in texts]
    if mark:
        blocks[-1]["cache_control"] = mark
    return blocks


def _asked(model: str, system: Any, said: list[Json], tools: list[Json], params: Json) -> Json:
    body = {"model": model, "max_tokens": 2048, "system": system, "messages": said, "tools": tools}
    return copy.deepcopy({**body, **params})


def desk(
    upto: int,
    *at: int,
    model: str = "claude-haiku-5-5",
    system: Any = None,
    thoughts: bool = False,
    mark: Json = MARK,
    **params: Any,
) -> Json:
    """The service agent; marks on its system prompt and on its last message, or on those named."""
    said = rolled(messages(DESK_TALK[:upto], thoughts=thoughts), *at, mark=mark)
    prompt = told(SUPPORT, mark=mark) if system is None else system
    return _asked(model, prompt, said, DESK_TOOLS, params)


def code(
    upto: int, *at: int, model: str = "claude-sonnet-5", system: Any = None, **params: Any
) -> Json:
    """The coding agent; marks as the service agent's."""
    prompt = told(CODER) if system is None else system
    return _asked(model, prompt, rolled(messages(CODE_TALK[:upto]), *at), CODE_TOOLS, params)


def trunk(*, marked: bool = True, brief: str = BRIEF, mark: Json = MARK) -> list[Json]:
    """What all forks of a parent share, as agentcache lays it out: all of it is system text."""
    first = f'<shared_context id="841403">\n{brief}\n</shared_context>'
    last = f'<shared_context id="41c09e">\n{NOTES}\n</shared_context>'
    return told(CODER, first, last, mark=mark if marked else None)


def tail(name: str, persona: str, task: str) -> Json:
    """What one fork adds."""
    who = f'<agent name="{name}">\n{persona}\n</agent>'
    return {"role": "user", "content": [text(who), text(task)]}


def fork(
    said: list[Json], *, system: Any = None, model: str = "claude-haiku-5-5", **params: Any
) -> Json:
    """A fork's request: the trunk and its own tail, with the union of tools."""
    return _asked(model, trunk() if system is None else system, said, CODE_TOOLS, params)


def crew(persona: str, task: str, *, model: str = "claude-haiku-5-5", **params: Any) -> Json:
    """An agent of a crew that nobody forked: its own system prompt, the brief in its task."""
    asked = (
        f"\nCurrent Task: {task}\n\nThis is the context you're working with:\n{BRIEF}\n\n{NOTES}"
    )
    said = [{"role": "user", "content": [text(asked, cache_control=MARK)]}]
    body = {"model": model, "max_tokens": 4096, "system": told(persona), "messages": said}
    return copy.deepcopy({**body, **params})
