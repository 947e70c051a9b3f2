"""Which of a client's requests are no agent's own conversation, or cannot be checked as a fork."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentcache.dialects import Dialect
from agentcache.dialects.base import is_json, is_list
from agentcache.dialects.openai_chat import is_system

__all__ = ["aside_of"]

_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
_TEXT: Final = ("text", "input_text")
_OWN_TOOLS: Final = {"anthropic.messages": (None, "custom")}


def aside_of(wire: Dialect, request: Mapping[str, Any]) -> str:
    """Why a request is sent as it is; empty if it may become a fork."""
    reasons = (_unread, _elsewhere, _prewarms, _structured, _tools)
    return next(filter(None, (reason(wire, request) for reason in reasons)), "")


def _unread(wire: Dialect, request: Mapping[str, Any]) -> str:
    """What could not be taken apart without loss."""
    said: Any = request.get(wire.messages_key)
    if not is_list(said) and not (isinstance(said, str) and wire.messages_key == "input"):
        return f"not_json: {wire.messages_key} is a {type(said).__qualname__}. Pass a plain list."
    for part in _system_parts(said, request.get("system")):
        if not isinstance(part, str) and not (is_json(part) and part.get("type") in _TEXT):
            return "system_parts: the system text holds more than text"
    return ""


def _system_parts(said: Any, system: Any) -> Iterator[Any]:
    lead = [] if system is None else [system]
    for message in said if is_list(said) else ():
        if not is_system(message):
            break
        lead.append(message.get("content"))
    for content in lead:
        yield from content if is_list(content) else (content,)


def _elsewhere(wire: Dialect, request: Mapping[str, Any]) -> str:
    """What the provider puts in front by itself."""
    del wire
    name = next((name for name in _ELSEWHERE if request.get(name)), "")
    return f"chained: {name} continues what is kept on the server" if name else ""


def _prewarms(wire: Dialect, request: Mapping[str, Any]) -> str:
    options: Any = request.get("prompt_cache_options")
    warms = wire.name == "anthropic.messages" and request.get("max_tokens") == 0
    if warms or (is_json(options) and options.get("prewarm")):
        return "prewarm: the program warms a prefix of its own"
    return ""


def _structured(wire: Dialect, request: Mapping[str, Any]) -> str:
    del wire
    asked = [request.get("response_format"), request.get("output_format")]
    for name in ("text", "output_config"):
        held: Any = request.get(name)
        asked.append(held.get("format") if is_json(held) else None)
    if all(one is None or (is_json(one) and one.get("type") == "text") for one in asked):
        return ""
    return "structured_output: its schema renders in front of everything that is shared"


def _tools(wire: Dialect, request: Mapping[str, Any]) -> str:
    """Tools that no answer can be held to: in a union, another agent could have them run."""
    if request.get("functions"):
        return "own_tools: functions are an older form of tools. Pass them as tools"
    own = _OWN_TOOLS.get(wire.name, ("function",))
    tools: Any = request.get("tools") or ()
    if not is_list(tools):
        return "" if not tools else f"not_json: tools is a {type(tools).__qualname__}"
    for n, tool in enumerate(tools):
        kind = tool.get("type") if is_json(tool) else type(tool).__qualname__
        if not is_json(tool) or kind not in own:
            return f"own_tools: tools[{n}] is of type {kind!r}, not a function of the program's"
    return ""
