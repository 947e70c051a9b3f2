"""What a fork makes of a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentcache.allow import own_description
from agentcache.dialects import Json, Parts
from agentcache.parent import Parent, tool_text
from agentcache.prints import Print

__all__ = ["Rewrite", "beside", "own_descriptions", "with_headers"]

_BETA: Final = "anthropic-beta"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a fork makes of a request.

    `request` is what to send; `reason` says why it is not forked, or is empty. `allowed` are the
    tools this call may use; `original` and `sent` fingerprint the request before and after;
    `headers` go with it, so that all forks land on one machine. `keys` name to the gate what it
    shares, the shortest prefix first; `shared` are the estimated tokens of that. With `one_call`
    the program asked for one tool call at most, by a parameter that would have moved the prefix:
    whoever sends keeps the answer to its first. `asked` is the number of the call with which the
    provider was asked to compare it. `saved` are the tokens that compaction took out of it,
    estimated, where it is not as the program made it; `moved` says why its prefix moved with that.
    """

    request: Json
    forked: bool
    reason: str
    allowed: tuple[str, ...]
    original: Sequence[Print]
    sent: Sequence[Print]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    keys: tuple[tuple[str, str], ...] = ()
    shared: int = 0
    one_call: bool = False
    asked: int | None = None
    compacted: bool = False
    saved: int = 0
    moved: str = ""

    @property
    def changed(self) -> bool:
        """Whether `request` is to be sent in place of the program's own."""
        return self.forked or self.compacted


def own_descriptions(parent: Parent, parts: Parts) -> tuple[str, ...]:
    """Definitions of canonical tools as this agent has them, where they differ."""
    wire = parent.dialect
    own = ((wire.tool_name(tool), tool) for tool in parts.tools)
    return tuple(
        own_description(name, tool, parent.tool(name))
        for name, tool in own
        if name in parent.canonical and tool_text(wire, tool) not in parent.tools
    )


def beside(request: Json, before: Mapping[str, Any], params: Mapping[str, Any]) -> Json:
    """The program's own arguments to an SDK, and what a fork changes as `extra_body`, which wins.

    `before` is the request as the program's `params` would make it. The SDK looks at every part of
    what it is given (it refuses tools that are not strict beside a `response_format`), but not at
    its extra body.
    """
    changed = {k: v for k, v in request.items() if before.get(k) is not v}
    kept = {k: v for k, v in params.items() if k in request or k not in before}
    own: dict[str, Any] = params.get("extra_body") or {}
    return {**kept, "extra_body": {**own, **changed}}


def with_headers(params: Mapping[str, Any], headers: Mapping[str, str]) -> Json:
    """An SDK's arguments with a fork's headers under the program's own."""
    if not headers:
        return dict(params)
    own: dict[str, str] = params.get("extra_headers") or {}
    both = {**headers, **own}
    if _BETA in headers:  # a header of one call replaces the client's list
        asked = (headers[_BETA], own.get(_BETA), *(params.get("betas") or ()))
        both[_BETA] = ",".join(dict.fromkeys(filter(None, asked)))
    return {**params, "extra_headers": both}
