"""A caching rule in plain words."""

import json
from collections.abc import Iterator
from typing import Final

from agentcache.rules import Affinity, Rule, Ttl

__all__ = ["cited", "facts", "times"]

_MATCHING: Final = {
    "prefix": "the longest prefix that an earlier request had in common",
    "breakpoint": "only what an earlier request wrote at a mark, exactly up to there",
    "units": "only whole units, which end where an earlier request or answer ended",
    "handle": "a named cache that was made beforehand",
    "block": "whole blocks of tokens from the beginning",
    "slot": "the live prompt of the one engine slot that the request gets",
    "none": "nothing",
}
_READABLE: Final = {
    "first_event": "as soon as the answer of the request that writes it begins",
    "completion": "when the request that writes it is complete",
    "at_once": "at once, even within one batch",
}
_FROM: Final = {
    "request_start": "the start of the last request that used it",
    "last_use": "its last use",
}


def times(factor: float) -> str:
    """A multiple of the price of a fresh input token."""
    return f"{factor:g}x"


def cited(rule: Rule) -> Iterator[str]:
    """Where a row's facts come from: grade, date, fact, place."""
    for source in rule.sources:
        yield f"{source.grade} {source.date}  {source.what} ({source.where})"


def facts(rule: Rule) -> Iterator[tuple[str, str]]:
    """What a row says, as labels and sentences with their units."""
    yield from _caching(rule)
    yield from _lifetimes(rule)
    yield from _sending(rule)
    yield from _freezing(rule)
    yield from _finding(rule)


def _caching(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "reads", _MATCHING[rule.matching]
    yield "writes", "by itself" if rule.automatic else "only what is marked or made by hand"
    if rule.marks:
        keys = " or ".join((rule.mark_key, *rule.also_marked_by))
        back = f"a read looks back at most {rule.lookback:,} positions"
        yield "marks", f"{keys}, at most {rule.marks_max} in a request; {back}"
    else:
        yield "marks", "none"
    yield "minimum", f"{rule.min_tokens:,} tokens; a shorter prefix is not cached"
    step = rule.granularity
    yield "reported", f"in multiples of {step:,} tokens" if step > 1 else "to the token"
    if rule.handle:
        yield "named cache", rule.handle
    if rule.explicit:
        yield "other form", f"explicit: agentcache rules --provider {rule.explicit} MODEL"


def _lifetimes(rule: Rule) -> Iterator[tuple[str, str]]:
    for ttl in rule.ttls or (rule.ttl,):
        yield "lifetime", _lifetime(rule, ttl)
    read = f"{times(rule.read_multiplier)} of a fresh input token"
    yield "a read costs", read if rule.billed else "no price per token is known"
    yield "readable", _READABLE[rule.readable]
    alone = "one after the other: each needs the slot that the last one left warm"
    yield "forks run", "in parallel, once it is readable" if rule.placement == "parallel" else alone
    if rule.isolation:
        yield "shared within", rule.isolation


def _lifetime(rule: Rule, ttl: Ttl) -> str:
    text = f"{ttl.name}: {ttl.seconds:,.0f} s from {_FROM[rule.ttl_from]}"
    if rule.billed:
        text += f"; a write costs {times(ttl.write_multiplier)}"
    if ttl.dialects:
        text += f"; only with {', '.join(ttl.dialects)}"
    return f"{text}; asked for with {json.dumps(ttl.sends)}" if ttl.sends else text


def _sending(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "affinity", _affinity(rule.affinity)
    for other in rule.affinities:
        yield f"  {', '.join(other.dialects)}", _affinity(other)
    if rule.routing:
        yield "routing", rule.routing
    ways = {"none": "tool_choice none", "allowed_tools": "allowed_tools"}
    yield "tools kept by", ", ".join(ways[w] for w in rule.restrict) or "the answer's guard only"
    if rule.single_shot:
        yield (
            "single calls",
            f"also send {json.dumps(rule.single_shot)}, so that no tail is written",
        )
    yield (
        "a fork's tail",
        "a message of its own" if rule.new_message else "joins the trunk's message",
    )
    if rule.prewarm:
        yield "prewarm", rule.prewarm
    if rule.diagnostics:
        yield "diagnostics", rule.diagnostics


def _affinity(affinity: Affinity | None) -> str:
    if affinity is None:
        return "none is sent"
    where = "header" if affinity.kind == "header" else "field in the body"
    return f"{where} {affinity.name}: one id for all forks of a parent"


def _freezing(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "must be equal", ", ".join(rule.freeze)
    if rule.messages_level:
        yield "messages only", f"{', '.join(rule.messages_level)}: tools and system stay cached"
    if rule.varies:
        yield "may vary", ", ".join(rule.varies)
    for name, lever in rule.levers.items():
        yield f"  {name}", f"may change behind the fork point: {lever}"


def _finding(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "provider", ", ".join((rule.provider, *rule.aliases))
    if rule.hosts:
        yield "hosts", ", ".join(rule.hosts)
    if rule.models:
        alone = {
            "anywhere": "at any endpoint",
            "without_url": "where no endpoint is given",
            "never": "at its own hosts only",
        }
        yield "names", f"{', '.join(rule.models)} ({alone[rule.by_name]})"
