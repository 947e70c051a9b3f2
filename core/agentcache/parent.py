"""The frozen parent: a value that holds everything its forks share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentcache.blocks import Block, dumps, estimate_tokens
from agentcache.dialects import Dialect, Json, dialect
from agentcache.errors import OptionError, ToolConflictError
from agentcache.layout import Trunk, trunk_texts
from agentcache.rules import Rule, Ttl

__all__ = ["CacheDomain", "Parent", "freeze", "union_tools"]


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

    def __str__(self) -> str:
        """Readable form, without credentials."""
        return f"{self.provider} {self.model}" + (f" at {self.base_url}" if self.base_url else "")


@dataclass(frozen=True, slots=True)
class Parent:
    """Everything forks share, as values that cannot change.

    `tools` are the JSON texts of the union in wire form and order, `params` the rendering
    parameters as (name, JSON), `canonical` the tools whose description may differ between agents.
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

    @property
    def trunk(self) -> Trunk:
        """Fresh copies of what stands in front of every fork."""
        return Trunk(tuple(json.loads(t) for t in self.tools), self.system, self.context)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the union, in wire order."""
        return tuple(self.dialect.tool_name(json.loads(t)) for t in self.tools)

    def tool(self, name: str) -> Json | None:
        """A fresh copy of one tool of the union."""
        return next((t for t in self.trunk.tools if self.dialect.tool_name(t) == name), None)

    def extended(self, *texts: str) -> "Parent":
        """Return the parent with more shared context appended; all earlier forks stay valid."""
        return replace(self, context=(*self.context, *texts))

    def digest(self) -> str:
        """Stable digest of the parent's blocks and cache domain."""
        state = hashlib.blake2b(digest_size=12)
        domain = self.domain
        for text in (domain.provider, domain.model, domain.base_url, domain.organisation):
            state.update(text.encode() + b"\x1f")
        for block in self.blocks():
            state.update(block.identity.encode() + b"\x1e")
        return state.hexdigest()

    def request(self) -> Json:
        """The parent's own request: exactly what every fork's request starts with."""
        trunk, wire = self.trunk, self.dialect
        texts = [trunk.system] if trunk.system else []
        shared = list(trunk_texts(trunk.context))
        lead: list[Json] = []
        if wire.context_in == "system":
            texts, shared = [*texts, *shared], []
        if shared:
            content = [{"type": wire.text_type, "text": text} for text in shared]
            lead = [{"role": "user", "content": content}]
        system = [{"type": wire.text_type, "text": text} for text in texts]
        rest = {name: json.loads(value) for name, value in self.params}
        return wire.join(rest, trunk.tools, system, lead)

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
) -> Parent:
    """Freeze a parent from live values, which are copied.

    Tools are ordered by name once and for all. Parameters that do not render are left out.

    Raises:
        ToolConflictError: two tools of one name with different definitions.
        OptionError: a dialect or `ttl` that does not exist.

    """
    wire = dialect(dialect_name)
    if isinstance(context, str):
        raise OptionError(f"context={context[:40]!r}... is a string; pass a list of strings.")
    keep = {k: v for k, v in (params or {}).items() if k in rule.freeze and k not in _BULK}
    return Parent(
        wire,
        rule,
        domain,
        system,
        tuple(context),
        tuple(dumps(t) for t in union_tools(dialect_name, {"parent": tools}, canonical)),
        tuple((k, dumps(v)) for k, v in keep.items()),
        frozenset(canonical),
        _ttl(rule, ttl),
    )


_BULK = frozenset({"tools", "system", "messages", "input", "instructions", "prompt_cache_key"})


def union_tools(
    dialect_name: str,
    owned: Mapping[str, Sequence[Mapping[str, Any]]],
    canonical: Sequence[str] = (),
) -> list[Json]:
    """Union of several agents' wire tools, ordered by name once and for all.

    Raises ToolConflictError where two define one name differently, unless it is `canonical`: then
    the first definition is frozen, and each fork's tail holds its own.
    """
    wire = dialect(dialect_name)
    found: dict[str, tuple[str, str]] = {}
    for owner, tools in owned.items():
        for tool in tools:
            name, text = wire.tool_name(tool), dumps(tool)
            first, was = found.setdefault(name, (owner, text))
            if was != text and name not in canonical:
                raise ToolConflictError(
                    f"Tool {name!r} is defined differently by {first!r}: {_shorten(was)} and by "
                    f"{owner!r}: {_shorten(text)}. Rename one: a union needs one tool per name."
                )
    return [json.loads(found[name][1]) for name in sorted(found)]


def _shorten(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def _ttl(rule: Rule, name: str | None) -> Ttl:
    if name is None:
        return rule.ttl
    for ttl in rule.ttls:
        if ttl.name == name:
            return ttl
    known = ", ".join(repr(t.name) for t in rule.ttls) or "none"
    raise OptionError(f"ttl={name!r} is not offered by {rule.title!r}. Offered: {known}.")
