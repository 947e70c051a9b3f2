"""The frozen parent: a value that holds everything its forks share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentcache.blocks import Block, dumps, estimate_tokens
from agentcache.dialects import Dialect, Json, dialect
from agentcache.dialects.base import strip_marks
from agentcache.errors import OptionError, ToolConflictError
from agentcache.layout import Trunk, grown, trunk_texts
from agentcache.marks import mark_value
from agentcache.rules import Rule, Ttl

__all__ = [
    "CacheDomain",
    "Parent",
    "checked_context",
    "common_tools",
    "freeze",
    "tool_text",
    "union_tools",
]


@dataclass(frozen=True, slots=True)
class CacheDomain:
    """What two calls must have in common for one to read what the other wrote.

    `organisation` is a digest of key, organisation and project, never the key itself.
    """

    provider: str
    model: str
    base_url: str = ""
    organisation: str = ""

    @staticmethod
    def digest(*secrets: str | None) -> str:
        """Digest of credentials, safe to keep and to print."""
        joined = "\x1f".join(secret or "" for secret in secrets)
        return hashlib.blake2b(joined.encode(), digest_size=6).hexdigest()

    @property
    def place(self) -> str:
        """Where calls of any model may share a cache: an address and whose key it is."""
        return f"{self.base_url} {self.organisation}"

    def __str__(self) -> str:
        """Readable form, without credentials."""
        return f"{self.provider} {self.model}" + (f" at {self.base_url}" if self.base_url else "")


@dataclass(frozen=True, slots=True)
class Parent:
    """Everything forks share, as values that cannot change.

    `tools` are the JSON texts of the union in wire form and order, `params` the rendering
    parameters as (name, JSON), `canonical` the tools whose description may differ between agents,
    `cuts` the numbers of context texts at which shorter parents of this one end. With `adds` the
    forks offer tools of their own in their tails, and `tools` holds only what all of them have.
    """

    dialect: Dialect
    rule: Rule
    domain: CacheDomain
    system: str
    context: tuple[str, ...]
    tools: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    canonical: frozenset[str]
    ttl: Ttl
    cuts: tuple[int, ...] = ()
    adds: bool = False

    @property
    def trunk(self) -> Trunk:
        """What stands in front of every fork."""
        return Trunk(self.tools, self.system, self.context, trunk_texts(self.context), self.cuts)

    @property
    def mark(self) -> Json:
        """The mark on the last shared block; empty where this family or this wire has none."""
        if not self.rule.takes_mark(self.dialect.mark_key):
            return {}
        return mark_value(self.dialect, self.ttl, default=self.ttl == self.rule.ttl)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the union, in wire order."""
        return tuple(self.dialect.tool_name(json.loads(t)) for t in self.tools)

    def tool(self, name: str) -> Json | None:
        """A fresh copy of one tool of the union."""
        made = (json.loads(tool) for tool in self.tools)
        return next((tool for tool in made if self.dialect.tool_name(tool) == name), None)

    def extended(self, *texts: str) -> "Parent":
        """Return the parent with more shared context appended; all earlier forks stay valid."""
        if not texts:
            return self
        context = (*self.context, *checked_context(texts))
        return replace(self, context=context, cuts=(*self.cuts, len(self.context)))

    def widened(self, tools: Sequence[Mapping[str, Any]]) -> "Parent":
        """Return a parent with more tools; they stand first, so all that follows is written anew.

        Raises ToolConflictError for a tool that is defined otherwise already.
        """
        owned = {"parent": [json.loads(tool) for tool in self.tools], "a late request": tools}
        union = union_tools(self.dialect.name, owned, tuple(self.canonical))
        return replace(self, tools=tuple(dumps(tool) for tool in union))

    def retooled(self, tools: Sequence[Mapping[str, Any]]) -> "Parent":
        """Return a parent that holds these tools as they are, whatever it knew by their names."""
        names = {self.dialect.tool_name(tool) for tool in tools}
        kept = (json.loads(tool) for tool in self.tools)
        rest = [tool for tool in kept if self.dialect.tool_name(tool) not in names]
        return replace(self, tools=tuple(dumps(tool) for tool in rest)).widened(tools)

    def digest(self) -> str:
        """Stable digest of the parent's blocks, frozen parameters and cache domain."""
        state = hashlib.blake2b(digest_size=12)
        domain = self.domain
        for text in (domain.provider, domain.model, domain.base_url, domain.organisation):
            state.update(text.encode() + b"\x1f")
        for name, value in self.params:  # also those that render nowhere, such as a cache salt
            state.update(f"{name}={value}\x1f".encode("utf-8", "surrogatepass"))
        for block in self.blocks():
            state.update(block.identity)
        return state.hexdigest()

    def request(self) -> Json:
        """The parent's own request: exactly what every fork's request starts with."""
        trunk, wire = self.trunk, self.dialect
        texts = [trunk.system] if trunk.system else []
        shared = list(trunk.texts)
        if wire.context_in == "system":
            texts, shared = [*texts, *shared], []
        lead: list[Json] = [{"type": wire.text_type, "text": text} for text in shared]
        system: list[Json] = [{"type": wire.text_type, "text": text} for text in texts]
        rest = {name: json.loads(value) for name, value in self.params}
        cuts = trunk.cuts if self.rule.new_message else ()
        tools = [json.loads(tool) for tool in trunk.tools]
        return wire.join(rest, tools, system, grown(wire, lead, cuts))

    def blocks(self) -> tuple[Block, ...]:
        """The parent's blocks, in the order the provider hashes them."""
        return tuple(b for b in self.dialect.blocks(self.request()) if b.section != "free")

    def tokens(self) -> int:
        """Estimated tokens of the shared part."""
        return sum(estimate_tokens(b.json) for b in self.blocks() if b.section != "params")


def freeze(  # noqa: PLR0913 - a parent is all of these
    dialect_name: str,
    rule: Rule,
    domain: CacheDomain,
    *,
    system: str = "",
    context: Sequence[str] = (),
    tools: Sequence[Mapping[str, Any]] = (),
    params: Mapping[str, Any] | None = None,
    canonical: Sequence[str] = (),
    ttl: str | None = None,
    adds: bool = False,
) -> Parent:
    """Freeze a parent from live values, which are copied.

    Tools are ordered by name once and for all. Parameters that do not render are left out.

    Raises:
        ToolConflictError: two tools of one name with different definitions.
        OptionError: a dialect or `ttl` that does not exist.

    """
    wire = dialect(dialect_name)
    frozen = {*rule.frozen(wire.rendered)} - _BULK
    keep = {k: v for k, v in (params or {}).items() if k in frozen and k not in rule.single_shot}
    return Parent(
        wire,
        rule,
        domain,
        system,
        checked_context(context),
        tuple(dumps(t) for t in union_tools(dialect_name, {"parent": tools}, canonical)),
        tuple((k, dumps(v)) for k, v in keep.items()),
        frozenset(canonical),
        _ttl(rule, ttl, wire),
        adds=adds,
    )


def checked_context(context: Sequence[str]) -> tuple[str, ...]:
    """Return the texts, less those that another contains.

    Raises OptionError for a bare string, or for what is no text.
    """
    if isinstance(context, str):
        raise OptionError(f"context={context[:40]!r} is a string; pass a list: context=[text].")
    for n, text in enumerate(context):
        if not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(f"context[{n}] = {text!r:.60} is not a text. Pass non-empty strings.")
    unique = dict.fromkeys(context)
    return tuple(t for t in unique if not any(t in other for other in unique if other != t))


_BULK = frozenset({"tools", "system", "messages", "input", "instructions", "prompt_cache_key"})


def union_tools(
    dialect_name: str,
    owned: Mapping[str, Sequence[Mapping[str, Any]]],
    canonical: Sequence[str] = (),
) -> list[Json]:
    """Union of several agents' wire tools, ordered by name once and for all.

    Cache marks on tools are dropped: the parent's own mark covers them. Raises ToolConflictError
    where two define one name differently, unless it is `canonical`: then the first definition is
    frozen, and each fork's tail holds its own.
    """
    wire = dialect(dialect_name)
    found: dict[str, tuple[str, str]] = {}
    for owner, tools in owned.items():
        for tool in tools:
            name, text = wire.tool_name(tool), tool_text(wire, tool)
            first, was = found.setdefault(name, (owner, text))
            if was != text and name not in canonical:
                raise ToolConflictError(
                    f"Tool {name!r} is defined differently by {first!r}: {_shorten(was)} and by "
                    f"{owner!r}: {_shorten(text)}. Rename one: a union needs one tool per name."
                )
    return [json.loads(found[name][1]) for name in sorted(found)]


def common_tools(
    dialect_name: str, rule: Rule, owned: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[Json]:
    """The tools that so many of these agents have that they are cheaper in front of all.

    In front, a tool is written once and read by every call; offered by each agent that has it, it
    is written by each. An agent is taken to make three calls. The first definition counts.
    """
    wire, read, write = dialect(dialect_name), rule.read_multiplier, rule.ttl.write_multiplier
    held: dict[str, list[Json]] = {}
    for tools in owned.values():
        for tool in tools:
            held.setdefault(wire.tool_name(tool), []).append(dict(tool))
    front = write + len(owned) * _CALLS * read
    each = write + (_CALLS - 1) * read
    wanted = [tools[0] for tools in held.values() if len(tools) * each > front]
    return union_tools(dialect_name, {"all": wanted})


_CALLS = 3


def tool_text(wire: Dialect, tool: Mapping[str, Any]) -> str:
    """One tool definition as sent, without its cache mark."""
    return dumps(strip_marks(dict(tool), wire.mark_key)[0])


def _shorten(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def _ttl(rule: Rule, name: str | None, wire: Dialect) -> Ttl:
    if name is None:
        return rule.ttl
    offered = [t for t in rule.ttls if not t.dialects or wire.name in t.dialects]
    for ttl in offered:
        if ttl.name == name:
            return ttl
    known = ", ".join(repr(t.name) for t in offered) or "none"
    raise OptionError(
        f"ttl={name!r} is not offered by {rule.name} over {wire.name}. Offered: {known}."
    )
