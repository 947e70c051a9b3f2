"""Requests of the Chat Completions API."""

import copy
from typing import Any

from .prose_code import BRIEF, CODER, NOTES
from .prose_desk import SUPPORT
from .talks import CODE_TALK, DESK_TALK, Call, Entry, Thought
from .toolbox import CODE, DESK, Json, for_chat

MARK = {"mode": "explicit"}
DESK_TOOLS = for_chat(DESK)
CODE_TOOLS = for_chat(CODE)


def _called(calls: list[Call]) -> list[Json]:
    made = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
        for c in calls
    ]
    results = [{"role": "tool", "tool_call_id": c.id, "content": c.result} for c in calls]
    return [{"role": "assistant", "content": None, "tool_calls": made}, *results]


def messages(entries: tuple[Entry, ...]) -> list[Json]:
    """A conversation as messages; this API has no place for thoughts."""
    out: list[Json] = []
    for entry in entries:
        if isinstance(entry, tuple):
            out.append({"role": "user", "content": entry[0]})
        elif isinstance(entry, str):
            out.append({"role": "assistant", "content": entry})
        elif not isinstance(entry, Thought):
            out += _called(entry)
    return out


def _asked(model: str, system: Any, said: list[Json], tools: list[Json], params: Json) -> Json:
    told = [{"role": "system", "content": system}]
    return copy.deepcopy({"model": model, "messages": [*told, *said], "tools": tools, **params})


def desk(upto: int, *, model: str = "gpt-4.1-mini", system: Any = SUPPORT, **params: Any) -> Json:
    """The service agent, after so many entries of its conversation."""
    return _asked(model, system, messages(DESK_TALK[:upto]), DESK_TOOLS, params)


def code(upto: int, *, model: str = "gpt-4.1-mini", system: Any = CODER, **params: Any) -> Json:
    """The coding agent, after so many entries of its conversation."""
    return _asked(model, system, messages(CODE_TALK[:upto]), CODE_TOOLS, params)


def trunk(*, marked: bool, brief: str = BRIEF) -> list[Json]:
    """What all forks of a parent share, as agentcache lays it out."""
    end: Json = {
        "type": "text",
        "text": f'<shared_context id="41c09e">\n{NOTES}\n</shared_context>',
    }
    if marked:
        end["prompt_cache_breakpoint"] = MARK
    first = {"type": "text", "text": f'<shared_context id="841403">\n{brief}\n</shared_context>'}
    system = [{"type": "text", "text": CODER}]
    return [{"role": "system", "content": system}, {"role": "user", "content": [first, end]}]


def tail(name: str, persona: str, task: str) -> Json:
    """What one fork adds."""
    who = f'<agent name="{name}">\n{persona}\n</agent>'
    content = [{"type": "text", "text": who}, {"type": "text", "text": task}]
    return {"role": "user", "content": content}


def fork(said: list[Json], *, model: str = "gpt-6-luna", **params: Any) -> Json:
    """A fork's request: the trunk and its own tail, with the union of tools."""
    params = {"prompt_cache_key": "ac-74f861e390fd87446ef5", **params}
    return copy.deepcopy({"model": model, **params, "messages": said, "tools": CODE_TOOLS})


def allowed(*names: str) -> Json:
    """A restriction to these tools."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}}


def crew(persona: str, task: str, *, model: str = "gpt-4.1-mini", **params: Any) -> Json:
    """An agent of a crew that nobody forked: its own system prompt, the brief in its task."""
    asked = (
        f"\nCurrent Task: {task}\n\nThis is the context you're working with:\n{BRIEF}\n\n{NOTES}"
    )
    said = [{"role": "system", "content": persona}, {"role": "user", "content": asked}]
    return {"model": model, "messages": said, "stop": ["\nObservation:"], **params}
