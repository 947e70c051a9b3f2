"""What a cache break is: where a prefix moved, why, what it cost, and what to do."""

import math
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

__all__ = ["CURES", "CacheBreak", "Kind", "Relation", "Where", "in_dollars"]

Relation = Literal["follows", "sibling", "replaces"]
Where = Literal["params", "tools", "system", "messages", "marks", "headers", "usage", "time"]
Kind = Literal[
    "text_edit",
    "whitespace",
    "invisible",
    "timestamp",
    "random_id",
    "counter",
    "order",
    "key_order",
    "tool_added",
    "tool_removed",
    "tool_renamed",
    "tool_description",
    "tool_schema",
    "message_inserted",
    "message_dropped",
    "message_edited",
    "window_slid",
    "tool_result_replaced",
    "tool_call_id",
    "image_added",
    "image_changed",
    "compaction",
    "model",
    "param",
    "mark_missing",
    "mark_moved_back",
    "lookback_exceeded",
    "too_many_marks",
    "ttl_tier",
    "affinity",
    "beta_headers",
    "ttl_expired",
    "below_minimum",
    "concurrent_cold",
    "rate_overflow",
    "usage_unreported",
    "evicted",
]

CURES: Final[dict[Kind, str]] = {
    "text_edit": "Keep this text as it is for the whole run; put what changes behind the prefix.",
    "whitespace": "Build the text once and reuse it, or strip() it in one place.",
    "invisible": "Normalise the text once (NFC, no zero-width or no-break characters).",
    "timestamp": "Move the time behind the shared prefix, into the last message, or round it to "
    "the day.",
    "random_id": "Leave the id out of the prompt, or put it into the last message or a header.",
    "counter": "Put the count into the last message.",
    "order": "Sort the list once: a set, a dict of files or a parallel search has no order.",
    "key_order": "Serialise with one key order, and keep the serialised text.",
    "tool_added": "Offer all tools from the first call on, and restrict them by tool_choice.",
    "tool_removed": "Keep the tool in the list and restrict it by tool_choice or allowed_tools.",
    "tool_renamed": "Give the tool one name for the whole run.",
    "tool_description": "Keep the description fixed; put what changes into the last message.",
    "tool_schema": "Build the schema once and reuse it.",
    "message_inserted": "Append instead: what is put in the middle moves all that follows.",
    "message_dropped": "Drop nothing in the middle, or compact in rare steps.",
    "message_edited": "Leave what was said as it was sent; append a correction.",
    "window_slid": "A sliding window moves the prefix at every turn: compact in rare steps.",
    "tool_result_replaced": "Send a tool's result as it was sent before.",
    "tool_call_id": "Keep the ids that the model gave; do not number calls anew.",
    "image_added": "Add an image only with the message that brings it, at the end.",
    "image_changed": "Send the same bytes: encode an image once.",
    "compaction": "Compacting writes the prefix anew: do it rarely, and in large steps.",
    "model": "A model has a cache of its own: keep one model for calls that share a prefix.",
    "param": "Keep the parameter the same for all calls that share a prefix.",
    "mark_missing": "Mark the last shared block: this family reads only what was marked.",
    "mark_moved_back": "Mark the same block again, or a later one.",
    "lookback_exceeded": "Mark once more in between: a read looks back only so many blocks.",
    "too_many_marks": "Drop marks: those above the limit are refused or ignored.",
    "ttl_tier": "Ask for one lifetime only.",
    "affinity": "Send the same affinity key with all calls that share a prefix.",
    "beta_headers": "Send the same beta headers with all calls that share a prefix.",
    "ttl_expired": "Ask within the lifetime, ask for a longer one, or keep the entry warm.",
    "below_minimum": "Share more, or do not expect hits: the prefix is shorter than the minimum.",
    "concurrent_cold": "Send one call first and the others when it has begun to answer.",
    "rate_overflow": "Spread calls over several affinity keys, or send fewer a minute.",
    "usage_unreported": "Ask for usage, e.g. stream_options.include_usage.",
    "evicted": "Nothing in the request explains it: evicted, routed elsewhere, or not written yet.",
}


def in_dollars(money: float) -> str:
    """A sum of money, however small: two digits that say something, or whole cents."""
    digits = 2 if money >= 1 else min(9, 1 - math.floor(math.log10(money))) if money > 0 else 2
    return f"${money:,.{digits}f}"


def _written(text: str) -> str:
    """Half a surrogate pair, which JSON allows and no file does, as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


Words = Annotated[str, AfterValidator(_written)]


class CacheBreak(BaseModel):
    """One break of a cached prefix.

    `path` names the place in the later request (in the earlier one for what is gone), `offset` the
    first differing character of the text there. `before` and `after` are excerpts around it.
    `level` says what it invalidates: `all`, or the `messages` only. `tokens_lost` could have been
    read, `money_lost` is in dollars; None: not known. `source` says what told: the `bytes` of both
    requests, the provider's `usage`, or its own `vendor` diagnostics (in `vendor`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    relation: Relation
    section: Where
    path: Words
    kind: Kind
    offset: int | None = None
    before: Words = ""
    after: Words = ""
    level: Literal["all", "messages"] = "all"
    source: Literal["bytes", "usage", "vendor"] = "bytes"
    tokens_lost: int | None = None
    money_lost: float | None = None
    agent: Words = ""
    vendor: Words = ""
    note: Words = ""

    @property
    def cure(self) -> str:
        """What to do about it."""
        return CURES[self.kind]

    def bare(self) -> "CacheBreak":
        """The same without excerpts of what was sent."""
        return self.model_copy(update={"before": "", "after": ""})

    def __str__(self) -> str:
        """One paragraph a person can act on."""
        who = f"Agent {self.agent!r}: " if self.agent else ""
        at = f" at character {self.offset:,}" if self.offset is not None else ""
        said = f"{who}{self.kind.replace('_', ' ')} in {self.path or self.section}{at}"
        if self.before or self.after:
            said += f": {self.before!r} became {self.after!r}"
        lost = f" About {self.tokens_lost:,} tokens were not read." if self.tokens_lost else ""
        if self.money_lost:
            lost = f"{lost[:-1]} ({in_dollars(self.money_lost)})."
        extra = "".join(f" {text}" for text in (self.note, self.vendor) if text)
        return f"{said}.{lost}{extra} {self.cure}"
