"""What a provider says, when asked, of why a request did not read what an earlier one wrote."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentcache.loopback.calls import Call
from agentcache.loopback.prompt import Block, Prompt
from agentcache.loopback.wire import Refusal, dumps, mapping

__all__ = ["Diagnoses"]

_KEPT: Final = 1000
_ID: Final = {"anthropic.messages": "msg_emulated_", "openai.responses": "resp_emulated_"}
_NOT_FOUND: Final[dict[str, dict[str, Any]]] = {
    "anthropic.messages": {"cache_miss_reason": {"type": "previous_message_not_found"}},
    "openai.responses": {"type": "comparison_response_not_found"},
}
_BY_PARAMETER: Final[tuple[tuple[str, Callable[[Mapping[str, Any]], object]], ...]] = (
    ("model_changed", lambda body: body.get("model")),
    ("prompt_cache_key_changed", lambda body: body.get("prompt_cache_key")),
    ("tools_changed", lambda body: body.get("tools")),
    ("text_format_changed", lambda body: mapping(body.get("text")).get("format")),
    ("reasoning_effort_changed", lambda body: mapping(body.get("reasoning")).get("effort")),
    ("verbosity_changed", lambda body: mapping(body.get("text")).get("verbosity")),
    ("service_tier_changed", lambda body: body.get("service_tier")),
)
"""OpenAI's reasons, in the order in which its SDK lists them."""


@dataclass(frozen=True, slots=True)
class _Kept:
    body: Mapping[str, Any]
    blocks: tuple[Block, ...]
    verdict: dict[str, Any] | None


class Diagnoses:
    """The requests that may be asked about, and what was said of each.

    Anthropic Messages compares requests that carry `diagnostics`; Responses compares any, for a
    model that has breakpoints. Each names the first reason alone.
    """

    def __init__(self) -> None:
        """Nothing has been asked."""
        self._kept: dict[int, _Kept] = {}
        self._lock = threading.Lock()

    def note(self, call: Call, prompt: Prompt) -> None:
        """Compare a request with the one it names, and keep it for those to come."""
        asked = _asked(call)
        if asked is None:
            return
        with self._lock:
            before = self._kept.get(_number(call.api, asked)) if asked else None
            verdict = _verdict(call, prompt, asked, before)
            self._kept[call.number] = _Kept(call.body, prompt.blocks, verdict)
            while len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]

    def of(self, number: int) -> dict[str, Any] | None:
        """What is said of a request."""
        with self._lock:
            kept = self._kept.get(number)
        return None if kept is None else kept.verdict


def _asked(call: Call) -> str | None:
    """The answer that a request names, `""` for none; None where it does not take part."""
    if call.api == "anthropic.messages" and "diagnostics" in call.body:
        given = call.body["diagnostics"]
        named = mapping(given).get("previous_message_id")
        if not isinstance(given, dict) or not isinstance(named, str | None):
            raise Refusal("diagnostics: expected an object with previous_message_id")
        return named or ""
    if call.api == "openai.responses" and call.family == "openai-breakpoint":
        return str(
            mapping(call.body.get("prompt_cache_options")).get("comparison_response_id") or ""
        )
    return None


def _number(api: str, named: str) -> int:
    digits = named.removeprefix(_ID[api])
    return int(digits) if digits.isdecimal() and digits != named else -1


def _verdict(call: Call, prompt: Prompt, asked: str, before: _Kept | None) -> dict[str, Any] | None:
    if not asked:
        return None
    if before is None:
        return _NOT_FOUND[call.api]
    shared = _shared(before.blocks, prompt.blocks)
    missed = sum(len(block.tokens) for block in before.blocks[shared:])
    if call.api == "openai.responses":
        reason = _openai_reason(call, before, shared)
        if not reason:
            return {"type": "cache_hit"}
        return {"type": "cache_miss", "reason": reason, "cache_missed_tokens": missed}
    kind = _anthropic_reason(call, before, shared)
    if not kind:
        return None
    counted = {} if kind == "unavailable" else {"cache_missed_input_tokens": missed}
    return {"cache_miss_reason": {"type": kind, **counted}}


def _shared(before: tuple[Block, ...], after: tuple[Block, ...]) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    short = min(len(before), len(after))
    return next((n for n, (a, b) in pairs if (a.section, a.text) != (b.section, b.text)), short)


def _openai_reason(call: Call, before: _Kept, shared: int) -> str:
    for reason, part in _BY_PARAMETER:
        if dumps(part(call.body)) != dumps(part(before.body)):
            return reason
    return "input_changed" if shared < len(before.blocks) else ""


def _anthropic_reason(call: Call, before: _Kept, shared: int) -> str:
    if (call.body.get("model"), call.body.get("speed")) != (
        before.body.get("model"),
        before.body.get("speed"),
    ):
        return "model_changed"
    if shared == len(before.blocks):
        return ""
    section = before.blocks[shared].section
    return "unavailable" if section == "params" else f"{section}_changed"
