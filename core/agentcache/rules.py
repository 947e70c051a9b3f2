"""Rules: how each provider and engine caches prefixes, as dated data with sources."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from agentcache.errors import OptionError
from agentcache.rulebook import read_rows

__all__ = [
    "TEXT_ONLY",
    "Affinity",
    "Match",
    "Rule",
    "Source",
    "Ttl",
    "all_rules",
    "match_route",
    "match_rule",
    "rule_by_id",
    "rule_for",
]

_BEDROCK_NAME = re.compile(r"(?:[a-z][a-z0-9-]*\.)?(?:anthropic|amazon|openai)\.(?=[a-z])")


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Row):
    """Where a fact comes from. Grades: A read or run, B documentation, C third party, D memory.

    `date` is that of the text, or of the reading where the text has none.
    """

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
    """What keeps requests of one parent together: a header, or a body field.

    A dot in a body field's `name` goes one object deeper (`metadata.session_id`). `dialects` names
    the wires that take it, where not all do. Above `per_minute` requests of one value, some land
    elsewhere; None: not known.
    """

    kind: Literal["body", "header"]
    name: str
    dialects: tuple[str, ...] = ()
    per_minute: int | None = None

    def value_in(self, request: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """What a request, or a header that goes with it, says here; empty for nothing."""
        if self.kind == "header":
            return next((v for k, v in headers.items() if k.lower() == self.name.lower()), "")
        value: Any = request
        for key in self.name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return str(value) if value is not None else ""  # pyright: ignore[reportUnknownArgumentType]

    def placed(self, body: Mapping[str, Any], value: str) -> dict[str, Any]:
        """Return the body with the value in it; a value of the program's own stays.

        A header changes no body, and neither does a path through something that is no object.
        """
        return _placed(body, self.name.split("."), value) if self.kind == "body" else dict(body)


class Rule(_Row):
    """One row: how a family of models caches.

    `matching`: `prefix` finds the longest common prefix, `breakpoint` only what a marked request
    wrote, `units` only where an earlier request ended, `handle` a named cache object, `block` whole
    engine blocks, `slot` the live prompt of one engine slot, `none` nothing.
    `mark_key` is the key under which a part carries a mark, `also_marked_by` further keys taken.
    `min_tokens` is the shortest prefix that is cached; reads are reported in multiples of
    `granularity`. `freeze` lists the parameters that must be equal in all forks, `varies` those
    that may differ, `levers` the append-only ways to change a frozen one after the fork point,
    `messages_level` those that invalidate only what comes after tools and system. `restrict` lists
    the ways to restrict tools that leave the prefix alone. `billed` is false where no price per
    token is known. With `new_message` a fork's tail must be a message of its own; elsewhere it
    shares the trunk's, because some chat templates insist on alternating roles.
    `affinities` are chosen by dialect before `affinity`; `routing` says what a target does by
    itself. `bound_thinking` is an expression for models that refuse a request whose prefix changed
    before thinking that is sent back. `handle` names the call that makes a cache object, `explicit`
    the row with the provider's other form. `assumed` rows know nothing: the safe denominator.
    How a row is found: `hosts` (with subdomains; `*` stands for anything), `aliases` of the
    provider, and `models` (expressions that a name begins with). `by_name` says whether a name
    alone will do: `anywhere`, only `without_url`, or `never`.
    """

    id: str
    provider: str
    title: str
    like: str = ""
    aliases: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    by_name: Literal["anywhere", "without_url", "never"] = "never"
    assumed: bool = False
    matching: Literal["prefix", "breakpoint", "units", "handle", "block", "slot", "none"]
    automatic: bool = True
    marks: bool = False
    mark_key: str = ""
    also_marked_by: tuple[str, ...] = ()
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
    isolation: str = ""
    affinity: Affinity | None = None
    affinities: tuple[Affinity, ...] = ()
    routing: str = ""
    restrict: tuple[Literal["none", "allowed_tools"], ...] = ()
    freeze: tuple[str, ...] = ()
    varies: tuple[str, ...] = ()
    levers: dict[str, str] = Field(default_factory=dict)
    messages_level: tuple[str, ...] = ()
    new_message: bool = False
    single_shot: dict[str, Any] = Field(default_factory=dict)
    bound_thinking: str = ""
    prewarm: str | None = None
    diagnostics: str | None = None
    handle: str = ""
    explicit: str = ""
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
        return not self.assumed

    def frozen(self, rendered: Iterable[str] = ()) -> tuple[str, ...]:
        """Parameters that must be equal in all forks of a wire that renders these.

        What a wire may render is frozen too, unless the row says that it may vary here.
        """
        named = dict.fromkeys((*self.freeze, *rendered))
        return tuple(name for name in named if name not in self.varies)

    def affinity_for(self, dialect: str) -> Affinity | None:
        """What keeps requests together on this wire; None where nothing is sent."""
        chosen = next((a for a in self.affinities if dialect in a.dialects), self.affinity)
        return chosen if chosen is None or dialect in (chosen.dialects or (dialect,)) else None

    def serves(self, base_url: str) -> bool:
        """Whether this is the provider's own endpoint; none given is its own too."""
        host = _host_of(base_url)
        return not base_url or any(_is_at(host, pattern) for pattern in self.hosts)

    def binds(self, model: str, request: Mapping[str, Any]) -> bool:
        """Whether what stands before thinking that is sent back must stay as it was.

        Not where the request asks to have such thinking dropped (Anthropic's beta
        thinking-binding-controls-2026-08-01).
        """
        if not self.bound_thinking or not re.search(self.bound_thinking, model):
            return False
        asked: Any = request
        for key in ("thinking", "block_binding", "prefix_mismatch_behavior"):
            asked = asked.get(key) if isinstance(asked, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return str(asked) != "drop_block"  # pyright: ignore[reportUnknownArgumentType]

    def takes_mark(self, mark_key: str) -> bool:
        """Whether a part may carry a mark under this key."""
        return self.marks and mark_key in (self.mark_key, *self.also_marked_by)


@dataclass(frozen=True, slots=True)
class Match:
    """The row that applies to a model, what decided, and that in a sentence."""

    rule: Rule
    by: Literal["provider", "host", "name", "unknown"]
    why: str


@lru_cache(maxsize=1)
def all_rules() -> tuple[Rule, ...]:
    """Every row of the rulebook shipped with agentcache, a provider's most specific first."""
    return tuple(Rule.model_validate(row) for row in read_rows())


def rule_by_id(rule_id: str) -> Rule:
    """Return one row by id; raises OptionError naming the ids there are."""
    for rule in all_rules():
        if rule.id == rule_id:
            return rule
    known = ", ".join(rule.id for rule in all_rules())
    raise OptionError(f"No caching rule {rule_id!r}. Known: {known}.")


def rule_for(model: str, base_url: str = "", provider: str | None = None) -> Rule:
    """Return the row that applies to a model at an endpoint; `match_rule` says why too."""
    return match_rule(model, base_url, provider).rule


def match_rule(model: str, base_url: str = "", provider: str | None = None) -> Match:
    """Find the row that applies to a model at an endpoint.

    `provider` (a row id or a provider name such as `llama.cpp`) decides if given. Otherwise the
    endpoint's host decides. At a host that no row names, or without one, the model's name does,
    where the row allows it: a server of your own that serves `deepseek-v3` is not DeepSeek's. An
    unknown model gets the safe common denominator: no marks, no extra parameters, calls in parallel
    after the first.

    Raises:
        OptionError: a `provider` that no row names.

    """
    path, name = _parts_of(model)
    if provider is not None:
        return Match(_by_provider(provider, name), "provider", f"provider={provider!r} was given")
    host = _host_of(base_url)
    there = [r for r in all_rules() if any(_is_at(host, pattern) for pattern in r.hosts)]
    if there:
        rule = _pick(there, name)
        return Match(rule, "host", f"{host} is a host of {rule.provider}")
    if not base_url:
        for prefix in path:
            rows = [r for r in all_rules() if prefix in (r.provider, *r.aliases)]
            if rows and (_names(rule := _pick(rows, name), name) or not rule.models):
                return Match(rule, "name", f"the name's prefix {prefix!r} is {rule.provider}")
    free = ("anywhere",) if base_url or path else ("anywhere", "without_url")
    for rule in all_rules():
        if rule.by_name in free and _names(rule, name):
            return Match(rule, "name", f"the name begins as {rule.provider}'s models do")
    at = f" at {host or base_url}" if base_url else ""
    return Match(rule_by_id("unknown"), "unknown", f"no row names {model!r}{at}")


def match_route(
    model: str, base_url: str, routes: Sequence[str], provider: str | None = None
) -> Match:
    """Find the row for a model that a framework sends by a route it knows by name.

    `routes` are names for who answers (`groq`, `azure`), none where the model's own name tells. The
    user's `provider` and the endpoint's host decide before them. Where no row is about that route,
    the model's family decides how it matches, and nothing is sent that the host may not know.
    """
    found = match_rule(model, base_url, provider)
    if found.by in ("provider", "host") or not routes:
        return found
    for route in routes:
        if any(route in (row.provider, *row.aliases) for row in all_rules()):
            return match_rule(model, "", route)
    return replace(found, rule=found.rule.model_copy(update=TEXT_ONLY))


TEXT_ONLY: Final[dict[str, Any]] = {
    "marks": False,
    "affinity": None,
    "affinities": (),
    "single_shot": {},
    "restrict": (),
}
"""What a rule may ask for besides text; left out where a wire or a host may not know it."""


def _by_provider(provider: str, name: str) -> Rule:
    rules = all_rules()
    rows = [r for r in rules if provider in (r.provider, *r.aliases)]
    rows = rows or [r for r in rules if r.id == provider]
    if not rows:
        known = ", ".join(sorted({r.provider for r in rules}))
        raise OptionError(f"provider={provider!r} is not in the rules. Known: {known}.")
    return _pick(rows, name)


def _pick(rows: Sequence[Rule], name: str) -> Rule:
    """The first row that names the model; else the last, which is the provider's broadest."""
    return next((r for r in rows if _names(r, name)), rows[-1])


def _names(rule: Rule, name: str) -> bool:
    return any(re.match(pattern, name) for pattern in rule.models)


def _parts_of(model: str) -> tuple[list[str], str]:
    """Split a model's name into what stands before it and itself, as the rows spell it."""
    *path, name = model.split("/")
    name = name.lower()
    plain = _BEDROCK_NAME.sub("", name, count=1)
    if plain != name:
        path, name = [*path, "bedrock"], plain
    if name.startswith("claude"):
        name = name.replace(".", "-")  # OpenRouter writes claude-haiku-4.5
    return path, name


def _host_of(base_url: str) -> str:
    try:
        return urlsplit(base_url if "//" in base_url else f"//{base_url}").hostname or ""
    except ValueError:  # half an IPv6 address
        return ""


def _is_at(host: str, pattern: str) -> bool:
    return host == pattern or host.endswith(f".{pattern}") or fnmatchcase(host, pattern)


def _placed(body: Mapping[str, Any], path: Sequence[str], value: str) -> dict[str, Any]:
    key, *rest = path
    inner: Any = body.get(key)
    if not rest:
        return {**body, key: value} if inner is None else dict(body)
    if inner is None:
        return {**body, key: _placed({}, rest, value)}
    if not isinstance(inner, Mapping):
        return dict(body)
    return {**body, key: _placed(cast("Mapping[str, Any]", inner), rest, value)}
