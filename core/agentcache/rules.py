"""Rules: how each provider and engine caches prefixes, as dated data with sources."""

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from agentcache.errors import OptionError

__all__ = ["Affinity", "Rule", "Source", "Ttl", "all_rules", "rule_by_id", "rule_for"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Row):
    """Where a fact comes from. Grades: A read or run, B documentation, C third party, D memory."""

    what: str
    where: str
    date: str
    grade: Literal["A", "B", "C", "D"]


class Ttl(_Row):
    """One lifetime an entry may have; `write_multiplier` is the price of a written token.

    `dialects` names the wires that offer it, where not all do. `sends` are the request parameters
    that ask for it, where it is not part of a mark.
    """

    name: str
    seconds: float
    write_multiplier: float = 1.0
    dialects: tuple[str, ...] = ()
    sends: dict[str, Any] = Field(default_factory=dict)


class Affinity(_Row):
    """What keeps requests of one parent together: a body field or a header."""

    kind: Literal["body", "header"]
    name: str


class Rule(_Row):
    """One row: how a family of models caches.

    `matching`: `prefix` finds the longest common prefix, `breakpoint` only what a marked request
    wrote, `units` only where an earlier request ended, `handle` a named cache object, `block` whole
    engine blocks, `slot` the live prompt of one engine slot, `none` nothing.
    `mark_key` is the key under which a part carries a mark.
    `min_tokens` is the shortest prefix that is cached; reads are reported in multiples of
    `granularity`. `freeze` lists the parameters that must be equal in all forks,
    `messages_level` those that invalidate only what comes after tools and system. `restrict` lists
    the ways to restrict tools that leave the prefix alone. `billed` is false where no price per
    token is known. With `new_message` a fork's tail must be a message of its own; elsewhere it
    shares the trunk's, because some chat templates insist on alternating roles.
    """

    id: str
    provider: str
    title: str
    models: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    matching: Literal["prefix", "breakpoint", "units", "handle", "block", "slot", "none"]
    automatic: bool = True
    marks: bool = False
    mark_key: str = ""
    marks_max: int = 0
    lookback: int | None = None
    min_tokens: int = 0
    granularity: int = 1
    ttls: tuple[Ttl, ...] = ()
    ttl_from: Literal["request_start", "last_use"] = "last_use"
    readable: Literal["first_event", "completion", "at_once"] = "completion"
    placement: Literal["parallel", "in_turn"] = "parallel"
    read_multiplier: float = 1.0
    billed: bool = True
    affinity: Affinity | None = None
    restrict: tuple[Literal["none", "allowed_tools"], ...] = ()
    freeze: tuple[str, ...] = ()
    messages_level: tuple[str, ...] = ()
    new_message: bool = False
    single_shot: dict[str, Any] = Field(default_factory=dict)
    prewarm: str | None = None
    diagnostics: str | None = None
    sources: tuple[Source, ...] = ()
    open_questions: tuple[str, ...] = ()

    @property
    def ttl(self) -> Ttl:
        """The default lifetime: the first listed, or five minutes at no write price."""
        return self.ttls[0] if self.ttls else Ttl(name="unknown", seconds=300.0)

    @property
    def name(self) -> str:
        """Short name: whose rules these are."""
        return self.title.partition(":")[0]

    @property
    def known(self) -> bool:
        """Whether the row is about this model, not the safe common denominator."""
        return self.id != "unknown"


@lru_cache(maxsize=1)
def all_rules() -> tuple[Rule, ...]:
    """Every row of the table shipped with agentcache, most specific first."""
    text = files("agentcache").joinpath("rules.json").read_text(encoding="utf-8")
    raw: list[dict[str, Any]] = json.loads(text)["rules"]
    by_id = {row["id"]: row for row in raw}
    return tuple(Rule.model_validate(_resolved(row, by_id)) for row in raw)


def rule_by_id(rule_id: str) -> Rule:
    """Return one row by id; raises OptionError naming the ids there are."""
    for rule in all_rules():
        if rule.id == rule_id:
            return rule
    known = ", ".join(rule.id for rule in all_rules())
    raise OptionError(f"No caching rule {rule_id!r}. Known: {known}.")


def rule_for(model: str, base_url: str = "", provider: str | None = None) -> Rule:
    """Return the row that applies to a model at an endpoint.

    `provider` (a row id or a provider name such as `llama.cpp`) decides if given. Otherwise the
    endpoint's host decides, then the model's name, and an unknown model gets the safe common
    denominator: no marks, no extra parameters, calls in parallel after the first.
    """
    name = model.rpartition("/")[2].lower()
    if provider is not None:
        return _by_provider(provider, name)
    host = urlsplit(base_url).hostname or ""
    rows = all_rules()
    for rule in rows:
        if rule.hosts and any(host == h or host.endswith("." + h) for h in rule.hosts):
            return rule
    for rule in rows:
        if not rule.hosts and _names(rule, name):
            return rule
    return rule_by_id("unknown")


def _by_provider(provider: str, model: str) -> Rule:
    rows = [r for r in all_rules() if provider in (r.id, r.provider)]
    if not rows:
        known = ", ".join(sorted({r.provider for r in all_rules()}))
        raise OptionError(f"provider={provider!r} is not in the rules. Known: {known}.")
    return next((r for r in rows if r.id == provider or _names(r, model)), rows[-1])


def _names(rule: Rule, model: str) -> bool:
    return any(re.match(pattern, model) for pattern in rule.models)


def _resolved(row: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> dict[str, Any]:
    parent = row.get("extends")
    own = {k: v for k, v in row.items() if k != "extends"}
    return own if parent is None else {**_resolved(by_id[parent], by_id), **own}
