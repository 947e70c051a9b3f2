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
_CALLED: Final = ("function_call", "custom_tool_call")
_MARK: Final = "not_your_tool__"
"""Stands before the name of a tool that is not the agent's: its own tool runner refuses it."""

_CALL_ITEMS: Final = ("function_call", "custom_tool_call")
_CALL_DONE: Final = "response.function_call_arguments.done"


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
            for held in (answer, _field(answer, "message"), _field(answer, "response")):
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
    return foreign_tools([str(_field(call, "name")) for call in _calls(answer)], allowed)


def renamed(answer: Any, foreign: Sequence[str]) -> None:
    """Rename calls to these tools, in place: the framework answers that there is none such."""
    for call in _calls(answer):
        name = str(_field(call, "name"))
        if name in foreign and is_json(call):
            call["name"] = _MARK + name
        elif name in foreign:
            call.name = _MARK + name


def _calls(answer: Any) -> Iterator[Any]:
    """Whatever in an answer, be it an SDK's object or JSON, has the name of a tool it calls."""
    for choice in _field(answer, "choices") or ():
        yield from _said(_field(choice, "message") or _field(choice, "delta"))
    blocks: Any = _field(answer, "content")
    held: list[Any] = blocks if is_list(blocks) else [_field(answer, "content_block")]
    for block in held:
        kind: Any = _field(block, "type")
        if kind == "tool_use" or (kind is None and hasattr(block, "arguments")):
            yield block
    yield from _items(answer)


def _said(message: Any) -> Iterator[Any]:
    for call in _field(message, "tool_calls") or ():
        named = _field(call, "function") or _field(call, "custom")
        if _field(named, "name"):
            yield named
    legacy = _field(message, "function_call")
    if _field(legacy, "name"):
        yield legacy


def _items(answer: Any) -> Iterator[Any]:
    """The calls in what OpenAI's Responses answer, or in one event of it."""
    output: Any = _field(_field(answer, "response") or answer, "output")
    for item in [*(output if is_list(output) else ()), _field(answer, "item")]:
        if _field(item, "type") in _CALL_ITEMS:
            yield item
    if _field(answer, "type") == _CALL_DONE and _field(answer, "name"):
        yield answer
