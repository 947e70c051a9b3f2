"""What makes a request no fork of its parent: where it differs, in words, with the cure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentcache.blocks import Block, dumps
from agentcache.dialects import Dialect
from agentcache.dialects.base import is_json
from agentcache.parent import Parent

__all__ = ["in_marks", "in_params", "in_tools", "not_plain"]

_NOT_PARAMS: Final = frozenset({"tools", "system", "messages", "prompt_cache_key"})


def not_plain(wire: Dialect, request: Mapping[str, Any]) -> str:
    """Say where a request holds an SDK's own objects, which cannot be taken apart."""
    held = {wire.messages_key: request.get(wire.messages_key), "tools": wire.tools_of(request)}
    for key, values in held.items():
        if values is None or isinstance(values, str):
            continue
        for n, value in enumerate(values):
            if not is_json(value):
                kind = type(value).__qualname__
                return f"not_json: {key}[{n}] is a {kind}. Pass a plain dict, e.g. model_dump()."
    return ""


def in_marks(parent: Parent, agent: str, blocks: Sequence[Block]) -> str:
    """Say that a program marks its own prefix where nothing tells how a fork would."""
    if parent.mark or not any(block.mark for block in blocks):
        return ""
    return (
        f"own_marks: agent {agent!r} marks its own prefix, and {parent.rule.name} does not say "
        "where a fork's mark would stand. Pass provider= or drop the marks."
    )


def in_params(parent: Parent, agent: str, params: Mapping[str, Any]) -> str:
    """Which of these request parameters the parent froze otherwise; empty if none."""
    held = dict(parent.params)
    for name in parent.rule.frozen(parent.dialect.rendered):
        if name in _NOT_PARAMS or name in parent.rule.single_shot:
            continue
        value = dumps(params[name]) if name in params else None
        if value != held.get(name):
            was = held.get(name, "nothing")
            return (
                f"frozen_param: agent {agent!r} sends {name}={value or 'nothing'}, the parent "
                f"froze {was}. Give all agents the same {name}, or wrap again."
            )
    return ""


def in_tools(agent: str, odd: int, name: str, *, known: bool) -> str:
    """Say which tool of a request the parent does not hold as it is."""
    what = "with another definition than the parent froze" if known else "unknown to it"
    return (
        f"frozen_tools: agent {agent!r} sends tools[{odd}] = {name!r}, {what}. Wrap again after "
        "changing tools, or drop the tool."
    )
