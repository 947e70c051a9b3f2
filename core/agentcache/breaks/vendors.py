"""What providers say themselves of a call's prefix, held beside what bytes say.

Diagnostics are asked for by the parent's answer id. That a provider edited the context on its own
side (see `edits`) is said unasked.

Anthropic Messages: `diagnostics.previous_message_id`, on every request that takes part, null on the
first (anthropic 2.12). OpenAI Responses from GPT-5.6: `prompt_cache_options.comparison_response_id`
(openai 3.54); in a stream the last event tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from agentcache.breaks.edits import Edit, edits_in, field_of, joined, note_of
from agentcache.breaks.values import CacheBreak, Kind, Where
from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.rules import Rule

__all__ = ["Verdict", "asking", "heard", "merged", "unasked", "verdict_in"]

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
_MESSAGES: Final = {"Anthropic": "messages", "OpenAI": "input"}
_LATER: Final = ("messages_changed", "input_changed")
_UNEXPLAINED: Final = ("evicted", "rate_overflow")
"""Misses of which neither bytes nor rules tell the cause for sure."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a provider said of two requests: a `reason`, empty where nothing was missed.

    `tokens` is its own estimate. Not `known`: it had no record, or no answer yet. Not `asked`: it
    says nothing of them. `edits` are what it did to the later one's context by itself.
    """

    vendor: str
    reason: str = ""
    tokens: int | None = None
    known: bool = True
    asked: bool = True
    edits: tuple[Edit, ...] = ()


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

    Of an answer that was not asked for one it may say that nothing changed: see `unasked`.
    """
    told, edits = _diagnosed(answer), edits_in(answer)
    if not edits:
        return told
    return replace(told or Verdict(_vendor(answer), known=False, asked=False), edits=edits)


def heard(before: Verdict | None, answer: Any) -> Verdict | None:
    """What was said so far, and what one more piece of the answer says."""
    now = verdict_in(answer)
    if now is None or before is None:
        return now or before
    told = now if now.asked else before
    return replace(told, edits=joined(before.edits, now.edits))


def unasked(verdict: Verdict | None) -> Verdict | None:
    """What a verdict says though nobody asked: what the provider edited; None if it did not."""
    if verdict is None or not verdict.edits:
        return None
    return Verdict(verdict.vendor, known=False, asked=False, edits=verdict.edits)


def _diagnosed(answer: Any) -> Verdict | None:
    told = field_of(answer, "prompt_cache_diagnostics")
    if told is not None:
        kind = str(field_of(told, "type"))
        reason = str(field_of(told, "reason") or "")
        return Verdict("OpenAI", reason, _tokens(told), kind in ("cache_hit", "cache_miss"))
    if not _says(answer, _ANTHROPIC):
        return None
    told = field_of(answer, _ANTHROPIC)
    if told is None:  # it was asked, and saw no change
        return Verdict("Anthropic")
    found = field_of(told, "cache_miss_reason")
    reason = str(field_of(found, "type") or "")
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
        found = None if silent else _by_vendor(verdict, agent)
        return _by_edits(found, verdict) if found is not None and verdict.edits else found
    if verdict.edits and found.kind in _UNEXPLAINED:
        return _by_edits(found, verdict)
    if not verdict.asked:  # what it edited explains no other break
        return found
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


def _by_edits(found: CacheBreak, verdict: Verdict) -> CacheBreak:
    """A miss that the provider made itself: its bytes went on, and its context did not."""
    if found.kind not in _UNEXPLAINED:
        return found
    told = {"note": note_of(verdict.edits), "source": "vendor", "level": "messages"}
    where = {"section": "messages", "path": _MESSAGES[verdict.vendor], "kind": "compaction"}
    made = found.model_copy(update={**told, **where, "vendor": ""})
    return made.model_copy(update={"vendor": _said(made, verdict)}) if verdict.reason else made


def _vendor(answer: Any) -> str:
    """Whose words an answer is in: items are OpenAI's, blocks Anthropic's."""
    items = [field_of(answer, name) for name in ("output", "item")]
    return "OpenAI" if any(each is not None for each in items) else "Anthropic"


def _says(held: Any, name: str) -> bool:
    """Whether a field was sent, be it null."""
    if isinstance(held, Mapping):
        return name in held
    extra: Any = getattr(held, "model_extra", None)  # older SDKs do not know the field
    return name in getattr(held, "model_fields_set", ()) or name in (extra or ())


def _tokens(told: Any) -> int | None:
    for name in ("cache_missed_tokens", "cache_missed_input_tokens"):
        found = field_of(told, name)
        if isinstance(found, int):
            return found
    return None
