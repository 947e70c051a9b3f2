"""What follows from a parent, worked out once for all the calls that stand on it."""

from dataclasses import dataclass

from agentcache.layout import Trunk
from agentcache.parent import Parent
from agentcache.prints import Printer
from agentcache.trunks import Path

__all__ = ["Standing"]

Key = tuple[str, str]
_SURE = 1.1
"""An estimate that is to be more than the minimum in any case."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A parent and what follows from it.

    `laid` is what stands in front of its forks, `path` the branch's texts; `trunk` are the
    identities of its blocks, `lead` the messages of its own; `keys` name its prefix to
    the gate, after those of the shorter trunks it grew from. `why_not` says why forking from it
    cannot pay, or is empty.
    """

    parent: Parent
    laid: Trunk
    path: Path
    keys: tuple[Key, ...]
    trunk: tuple[bytes, ...]
    lead: int
    tokens: int
    names: tuple[str, ...]
    tools: frozenset[str]
    why_not: str

    @classmethod
    def of(
        cls, parent: Parent, printer: Printer, below: "Standing | None" = None, path: Path = ()
    ) -> "Standing":
        """Work it out; `below` is the shorter trunk that it grew from, if it did."""
        blocks = [b for b in parent.blocks() if b.section != "params"]
        tokens = sum(p.weight for p in printer(blocks))
        return cls(
            parent,
            parent.trunk,
            path,
            _keys(parent, tokens, below),
            tuple(b.identity for b in blocks),
            _lead(parent),
            tokens,
            parent.tool_names,
            frozenset(parent.tools),
            _why_not(parent, tokens),
        )

    def why_not_with(self, more: int, scale: float = 1.0) -> str:
        """Why forking cannot pay, if that many tokens of shared history follow the trunk.

        `scale` is what the provider has counted for a token that was estimated.
        """
        if more and scale * (self.tokens + more) >= _SURE * self.parent.rule.min_tokens:
            parent = self.parent
            texts = parent.system or parent.context or parent.mark
            return _why_not(parent, self.tokens + more, text=bool(texts))
        return self.why_not

    def keys_with(self, history: bytes, more: int) -> tuple[Key, ...]:
        """The gate's keys where a history of `more` tokens is shared behind the trunk."""
        rule = self.parent.rule
        keys = () if self.why_not else self.keys
        small = rule.matching != "breakpoint" and more < rule.min_tokens
        if not more or small or rule.placement == "in_turn":
            return keys
        domain, digest = self.keys[-1]
        return (*keys, (domain, f"{digest}:{history.hex()}"))

    def holds(self, name: str, tool: str) -> bool:
        """Whether the union has this very tool, as JSON, or one whose description may differ."""
        return tool in self.tools or (name in self.parent.canonical and name in self.names)


def _lead(parent: Parent) -> int:
    """Messages that all its forks begin with; a first one that holds their tails too is none."""
    messages = parent.request().get(parent.dialect.messages_key) or ()
    return max(0, len(messages) - (0 if parent.rule.new_message else 1))


def _keys(parent: Parent, tokens: int, below: Standing | None) -> tuple[Key, ...]:
    """The gate's keys: one for each prefix that is worth waiting for, the shortest first.

    A slot holds one prompt: its forks go in turn, whatever they stand on. And where the longest
    common prefix is read, a growth shorter than the minimum is not worth a wait.
    """
    own = (f"{parent.domain}{parent.domain.organisation}", parent.digest())
    if below is None:
        return (own,)
    rule = parent.rule
    small = rule.matching != "breakpoint" and tokens - below.tokens < rule.min_tokens
    return below.keys if small or rule.placement == "in_turn" else (*below.keys, own)


def _why_not(parent: Parent, tokens: int, *, text: bool | None = None) -> str:
    rule = parent.rule
    if rule.matching == "none":
        return f"no_cache: {rule.name}"
    if rule.matching == "breakpoint" and not parent.mark:
        return f"no_mark: {rule.name} reads only what is marked; this model class sends no marks"
    has_text = bool(parent.system or parent.context) if text is None else text
    if rule.matching == "breakpoint" and not has_text:
        return "no_mark: the shared part has no text to carry a mark. Pass system= or context="
    if tokens < max(rule.min_tokens, 1):
        return (
            f"below_minimum: the shared part, tools included, is about {tokens:,} tokens; "
            f"{rule.name} caches from {rule.min_tokens:,}"
        )
    return ""
