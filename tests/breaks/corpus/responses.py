"""Requests of the Responses API."""

import copy
from typing import Any

from .prose_code import BRIEF, CODER, NOTES
from .prose_desk import SUPPORT
from .talks import CODE_TALK, DESK_TALK, Call, Entry, Thought
from .toolbox import CODE, DESK, Json, for_responses

MARK = {"mode": "explicit"}
DESK_TOOLS = for_responses(DESK)
CODE_TOOLS = for_responses(CODE)


def text(said: str, **more: Any) -> Json:
    """A part of what a user or the program says."""
    return {"type": "input_text", "text": said, **more}


def user(said: str) -> Json:
    """What a user says."""
    return {"role": "user", "content": [text(said)]}


def answer(said: str) -> Json:
    """What the model said, as it stands in the output of a response."""
    content = [{"type": "output_text", "text": said, "annotations": []}]
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def _called(calls: list[Call]) -> list[Json]:
    made = [
        {"type": "function_call", "call_id": c.id, "name": c.name, "arguments": c.arguments}
        for c in calls
    ]
    back = [{"type": "function_call_output", "call_id": c.id, "output": c.result} for c in calls]
    return [*made, *back]


def _thought(one: Thought) -> Json:
    summary = [{"type": "summary_text", "text": one.text}]
    sealed = f"gAAAA{one.signature}"
    return {"type": "reasoning", "id": one.id, "summary": summary, "encrypted_content": sealed}


def items(entries: tuple[Entry, ...]) -> list[Json]:
    """A conversation as input items."""
    out: list[Json] = []
    for entry in entries:
        if isinstance(entry, tuple):
            out.append(user(entry[0]))
        elif isinstance(entry, str):
            out.append(answer(entry))
        elif isinstance(entry, Thought):
            out.append(_thought(entry))
        else:
            out += _called(entry)
    return out


def desk(upto: int, *, model: str = "gpt-6-luna", system: str = SUPPORT, **params: Any) -> Json:
    """The service agent, its prompt in `instructions`."""
    said = items(DESK_TALK[:upto])
    body = {"model": model, "instructions": system, "input": said, "tools": DESK_TOOLS}
    return copy.deepcopy({**body, **params})


def code(upto: int, *, model: str = "gpt-6-luna", system: Any = CODER, **params: Any) -> Json:
    """The coding agent, its prompt in a developer item."""
    said = [{"role": "developer", "content": system}, *items(CODE_TALK[:upto])]
    return copy.deepcopy({"model": model, "input": said, "tools": CODE_TOOLS, **params})


def trunk(*, marked: bool, brief: str = BRIEF, **mark: Any) -> list[Json]:
    """What all forks of a parent share, as agentcache lays it out."""
    last = f'<shared_context id="41c09e">\n{NOTES}\n</shared_context>'
    end = text(last, prompt_cache_breakpoint={**MARK, **mark}) if marked else text(last)
    first = text(f'<shared_context id="841403">\n{brief}\n</shared_context>')
    told = {"role": "developer", "content": [text(CODER)]}
    return [told, {"role": "user", "content": [first, end]}]


def tail(name: str, persona: str, task: str) -> Json:
    """What one fork adds."""
    who = f'<agent name="{name}">\n{persona}\n</agent>'
    return {"role": "user", "content": [text(who), text(task)]}


def fork(said: list[Json], *, model: str = "gpt-6-luna", **params: Any) -> Json:
    """A fork's request: the trunk and its own tail, with the union of tools."""
    params = {"prompt_cache_key": "ac-fbfc998236cd90e0b92d", **params}
    return copy.deepcopy({"model": model, **params, "input": said, "tools": CODE_TOOLS})


def allowed(*names: str) -> Json:
    """A restriction to these tools."""
    tools = [{"type": "function", "name": name} for name in names]
    return {"type": "allowed_tools", "mode": "auto", "tools": tools}
