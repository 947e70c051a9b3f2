"""What a fork makes of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcache.allow import own_description
from agentcache.blocks import Print
from agentcache.dialects import Json, Parts
from agentcache.parent import Parent, tool_text

__all__ = ["Rewrite", "own_descriptions"]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a fork makes of a request.

    `request` is what to send; `reason` says why it is not forked, or is empty. `allowed` are the
    tools this call may use; `original` and `sent` fingerprint the request before and after;
    `headers` go with it, so that all forks land on one machine. `keys` name to the gate what it
    shares, the shortest prefix first; `shared` are the estimated tokens of that. With `one_call`
    the program asked for one tool call at most, by a parameter that would have moved the prefix:
    whoever sends keeps the answer to its first.
    """

    request: Json
    forked: bool
    reason: str
    allowed: tuple[str, ...]
    original: tuple[Print, ...]
    sent: tuple[Print, ...]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    keys: tuple[tuple[str, str], ...] = ()
    shared: int = 0
    one_call: bool = False


def own_descriptions(parent: Parent, parts: Parts) -> tuple[str, ...]:
    """Definitions of canonical tools as this agent has them, where they differ."""
    wire = parent.dialect
    own = ((wire.tool_name(tool), tool) for tool in parts.tools)
    return tuple(
        own_description(name, tool, parent.tool(name))
        for name, tool in own
        if name in parent.canonical and tool_text(wire, tool) not in parent.tools
    )
