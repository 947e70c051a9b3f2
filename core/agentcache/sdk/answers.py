"""What comes back from an SDK: usage read, and calls to another agent's tools found and renamed."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel

from agentcache.allow import foreign_tools
from agentcache.breaks.vendors import Verdict, heard
from agentcache.dialects.base import is_json, is_list
from agentcache.usage import Usage

__all__ = ["Tally", "count_all", "foreign_calls", "renamed"]

_log = logging.getLogger("agentcache")
_MARK: Final = "not_your_tool__"
"""Stands before the name of a tool that is not the agent's: its own tool runner refuses it."""


class Tally:
    """The usage of one answer, be it whole or in pieces, and the provider's signs on it."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        self._said: dict[str, Any] = {}
        self.signs: tuple[str, ...] = ()
        self.verdict: Verdict | None = None

    @property
    def usage(self) -> Usage:
        """What the provider said."""
        return Usage.from_payload(self._said or None)

    def notice(self, answer: Any) -> None:
        """Read an answer, or a piece of one; each of Anthropic's says what was used so far.

        Never raises into the host: compatible hosts send all sorts of things.
        """
        try:
            for held in (answer, _field(answer, "message")):
                self._notice(held)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not read an answer; the program goes on")

    def _notice(self, held: Any) -> None:
        used = _plain(_field(held, "usage"))
        self._said |= {k: v for k, v in used.items() if v is not None}
        self.verdict = heard(self.verdict, held)
        found = (_field(held, "id"), _field(held, "system_fingerprint"))
        new = tuple(str(sign) for sign in found if sign and str(sign) not in self.signs)
        self.signs += new


def _field(held: Any, name: str) -> Any:
    """What an answer says under a name, be it an SDK's object or JSON."""
    return held.get(name) if is_json(held) else getattr(held, name, None)


def _plain(usage: Any) -> dict[str, Any]:
    """A usage object as JSON, frameworks also hand on plain ones; nothing for what is neither."""
    if is_json(usage):
        return usage
    if isinstance(usage, BaseModel):
        said: dict[str, Any] = usage.model_dump(warnings=False)
    else:
        said = getattr(usage, "__dict__", {})
    return said if any(said.values()) else {}  # AutoGen writes 0 for what it was not told


def count_all(answer: Any) -> None:
    """Have an Anthropic answer count what was cached among its input tokens, in place."""
    for held in (answer, getattr(answer, "message", None)):
        usage: Any = getattr(held, "usage", None)
        kept = [getattr(usage, f"cache_{what}_input_tokens", None) for what in ("read", "creation")]
        fresh: Any = getattr(usage, "input_tokens", None)
        if isinstance(fresh, int) and any(kept):
            usage.input_tokens = fresh + sum(n for n in kept if n)


def foreign_calls(answer: Any, allowed: Sequence[str]) -> tuple[str, ...]:
    """Tools that an answer, or a piece of one, calls and that this request did not offer."""
    return foreign_tools([str(call.name) for call in _calls(answer)], allowed)


def renamed(answer: Any, foreign: Sequence[str]) -> None:
    """Rename calls to these tools, in place: the framework answers that there is none such."""
    for call in _calls(answer):
        if call.name in foreign:
            call.name = _MARK + str(call.name)


def _calls(answer: Any) -> Iterator[Any]:
    """Whatever in an answer has the name of a tool that it calls."""
    for choice in getattr(answer, "choices", None) or ():
        said = getattr(choice, "message", None) or getattr(choice, "delta", None)
        for call in getattr(said, "tool_calls", None) or ():
            named = getattr(call, "function", None) or getattr(call, "custom", None)
            if getattr(named, "name", None):
                yield named
        legacy = getattr(said, "function_call", None)
        if getattr(legacy, "name", None):
            yield legacy
    blocks: Any = getattr(answer, "content", None)
    held: list[Any] = blocks if is_list(blocks) else [getattr(answer, "content_block", None)]
    for block in held:
        kind: Any = getattr(block, "type", None)
        if kind == "tool_use" or (kind is None and hasattr(block, "arguments")):
            yield block
