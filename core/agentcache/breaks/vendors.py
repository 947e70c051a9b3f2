"""Providers' own diagnostics: asked for by the parent's answer id, and held beside what bytes say.

Anthropic Messages: `diagnostics.previous_message_id`, on every request that takes part, null on the
first (anthropic 2.12). OpenAI Responses from GPT-5.6: `prompt_cache_options.comparison_response_id`
(openai 3.54); in a stream the last event tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentcache.breaks.values import CacheBreak, Kind, Where
from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.rules import Rule

__all__ = ["Verdict", "asking", "merged", "verdict_in"]

_ANTHROPIC: Final = "diagnostics"
_OPENAI: Final = "prompt_cache_options"
_REASONS: Final[dict[str, tuple[Where, str, tuple[Kind, ...]]]] = {
    "model_changed": ("params", "model", ("model", "param")),
    "system_changed": ("system", "system", ()),
    "tools_changed": ("tools", "tools", ()),
    "messages_changed": ("messages", "messages", ()),
    "input_changed": ("messages", "input", ()),
    "context_compacted": ("messages", "input", ("compaction",)),
    "prompt_cache_key_changed": ("headers", "prompt_cache_key", ("affinity",)),
    "text_format_changed": ("params", "text.format", ("param",)),
    "reasoning_effort_changed": ("params", "reasoning.effort", ("param",)),
    "verbosity_changed": ("params", "text.verbosity", ("param",)),
    "service_tier_changed": ("params", "service_tier", ("param",)),
}
"""Section, path and kinds of ours that a reason of theirs is about."""
_LATER: Final = ("messages_changed", "input_changed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a provider said of two requests: a `reason`, empty where nothing was missed.

    `tokens` is its own estimate. Not `known`: it had no record, or no answer yet.
    """

    vendor: str
    reason: str = ""
    tokens: int | None = None
    known: bool = True


def asking(rule: Rule, dialect: str, request: Mapping[str, Any], answer_id: str) -> Json:
    """The request with the question, where this API has it; else as it is.

    `answer_id` is that of the earlier answer, empty for none.
    """
    asked = (rule.diagnostics or "").partition(".")[0]
    if asked == _ANTHROPIC and dialect == "anthropic.messages":
        return {**request, _ANTHROPIC: {"previous_message_id": answer_id or None}}
    if asked == _OPENAI and dialect == "openai.responses" and answer_id:
        own: Any = request.get(_OPENAI)
        options = {**(own if is_json(own) else {}), "comparison_response_id": answer_id}
        return {**request, _OPENAI: options}
    return dict(request)


def verdict_in(answer: Any) -> Verdict | None:
    """The verdict in an answer, be it JSON or an SDK's object; None where it holds none.

    Of an answer that was not asked for one it may say that nothing changed.
    """
    told = _field(answer, "prompt_cache_diagnostics")
    if told is not None:
        kind = str(_field(told, "type"))
        reason = str(_field(told, "reason") or "")
        return Verdict("OpenAI", reason, _tokens(told), kind in ("cache_hit", "cache_miss"))
    if not _says(answer, _ANTHROPIC):
        return None
    told = _field(answer, _ANTHROPIC)
    if told is None:  # it was asked, and saw no change
        return Verdict("Anthropic")
    found = _field(told, "cache_miss_reason")
    reason = str(_field(found, "type") or "")
    if reason not in _REASONS:
        return Verdict("Anthropic", known=False)
    return Verdict("Anthropic", reason, _tokens(found))


def merged(
    found: CacheBreak | None, verdict: Verdict | None, *, agent: str, extends: bool
) -> CacheBreak | None:
    """What broke, with the provider's word on it; disagreement is shown as such.

    `extends` says that by its bytes the request goes on from all of the earlier one. Elsewhere a
    fork that goes its own way behind a shared prefix has other messages, which is healthy.
    """
    if verdict is None:
        return found
    if found is None:
        silent = not verdict.reason or (verdict.reason in _LATER and not extends)
        return None if silent else _by_vendor(verdict, agent)
    if found.kind == "evicted" and verdict.reason:
        seen = _by_vendor(verdict, agent)
        return seen.model_copy(update={"tokens_lost": found.tokens_lost or verdict.tokens})
    return found.model_copy(update={"vendor": _said(found, verdict)})


def _said(found: CacheBreak, verdict: Verdict) -> str:
    name, counted = verdict.vendor, ""
    if not verdict.known:
        return f"{name} gave no verdict."
    if not verdict.reason:
        word = "says the same" if found.source == "usage" else "disagrees"
        return f"{name} {word}: it saw no change."
    if verdict.tokens is not None:
        counted = f", about {verdict.tokens:,} tokens"
    word = "says the same" if _is_same(found, verdict.reason) else "disagrees"
    return f"{name} {word}: {verdict.reason}{counted}."


def _is_same(found: CacheBreak, reason: str) -> bool:
    section, _, kinds = _REASONS.get(reason, ("usage", "", ()))
    if kinds:
        return found.kind in kinds
    if reason == "input_changed":  # Responses has its instructions in the input too
        return found.section in ("messages", "system")
    return found.section == section


def _by_vendor(verdict: Verdict, agent: str) -> CacheBreak:
    """A break that only the provider saw: its routing, its tiers, its own changes."""
    section, path, kinds = _REASONS.get(verdict.reason, ("usage", "", ()))
    return CacheBreak(
        relation="follows",
        section=section,
        path=path,
        kind=kinds[-1] if kinds else "evicted",
        source="vendor",
        tokens_lost=verdict.tokens,
        agent=agent,
        vendor=f"{verdict.vendor} says {verdict.reason}; the bytes are the same.",
    )


def _field(held: Any, name: str) -> Any:
    return held.get(name) if isinstance(held, Mapping) else getattr(held, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _says(held: Any, name: str) -> bool:
    """Whether a field was sent, be it null."""
    if isinstance(held, Mapping):
        return name in held
    extra: Any = getattr(held, "model_extra", None)  # older SDKs do not know the field
    return name in getattr(held, "model_fields_set", ()) or name in (extra or ())


def _tokens(told: Any) -> int | None:
    for name in ("cache_missed_tokens", "cache_missed_input_tokens"):
        found = _field(told, name)
        if isinstance(found, int):
            return found
    return None
