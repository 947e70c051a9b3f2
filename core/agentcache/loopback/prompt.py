"""A request as the model reads it: ordered blocks, each with its tokens and its mark."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from agentcache.loopback.tokens import Token, Tokenizer

__all__ = ["Block", "Boundary", "Prompt", "Section", "marked", "seal", "write"]

Section = Literal["params", "tools", "system", "messages"]
Boundary = Literal["message", "initial"]


@dataclass(frozen=True, slots=True)
class Block:
    """One rendered piece of a request.

    `mark_ttl_s`: a cache mark sits on it and asks for this lifetime. `boundary`: it ends
    a message that implicit caching may choose (`initial`: the leading developer run).
    `joined`: it shares its look-back position with the block before.
    """

    section: Section
    text: str
    tokens: tuple[Token, ...]
    mark_ttl_s: float | None = None
    boundary: Boundary | None = None
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """The blocks in rendered order and the request's own caching options."""

    blocks: tuple[Block, ...]
    min_tokens: int = 0
    ttl_s: float = 1800.0
    implicit: bool = True

    @property
    def total(self) -> int:
        """Return the number of input tokens."""
        return sum(len(block.tokens) for block in self.blocks)

    def ttl_at(self, index: int) -> float:
        """Return the lifetime of an entry written at the end of this block."""
        ttl_s = self.blocks[index].mark_ttl_s
        return self.ttl_s if ttl_s is None else ttl_s

    def through(self) -> list[int]:
        """Return the tokens from the start through the end of each block."""
        return list(accumulate(len(block.tokens) for block in self.blocks))

    def keys(self, domain: str) -> list[bytes]:
        """Return one hash per block of everything from the domain through its end."""
        keys: list[bytes] = []
        key = domain.encode()
        for block in self.blocks:
            step = hashlib.blake2b(key, digest_size=16)
            step.update(f"\x00{block.section}\x00{block.text}".encode("utf-8", "surrogatepass"))
            key = step.digest()
            keys.append(key)
        return keys


def write(section: Section, text: str, tokenize: Tokenizer) -> Block:
    """Make a plain block."""
    return Block(section, text, tuple(tokenize(text)))


def seal(text: str) -> Block:
    """Make a block without tokens: a setting that invalidates all that follows it."""
    return Block("params", text, ())


def marked(blocks: Iterable[Block]) -> list[int]:
    """Return the indices of the blocks that carry a mark."""
    return [index for index, block in enumerate(blocks) if block.mark_ttl_s is not None]
