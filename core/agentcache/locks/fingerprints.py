"""Fingerprints of what the agents of a program share, made without sending anything."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.attach import Attachment
from agentcache.blocks import Block, estimate_tokens
from agentcache.dialects import Dialect, dialect_of
from agentcache.dialects.base import is_json, is_list
from agentcache.errors import NothingToForkError
from agentcache.ledger import Call, Ledger
from agentcache.parent import Parent
from agentcache.rules import rule_by_id
from agentcache.sessions import Session
from agentcache.trunks import Path
from agentcache.wrapping import (
    _attached,  # pyright: ignore[reportPrivateUsage]
    unwrap,
    wrap,
)

__all__ = ["Piece", "Shared", "attached", "fingerprint"]

_DIGEST: Final = 16
_WORDS: Final = 60
_MODEL: Final = ("model", "modelId")
_FRAME: Final = re.compile('^<shared_context id="[^"]*">')
_SYSTEM: Final = ("system", "developer")
_TEXTS: Final = ("text", "content", "description")


@dataclass(frozen=True, slots=True)
class Piece:
    """One block of a shared prefix: where it stands, its digest, its estimated tokens."""

    section: str
    path: str
    digest: str
    tokens: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the agents of a program share on one model; `rule` is the row of its caching rules.

    `chained` says that a digest covers its block and all before it: all that a ledger without
    content tells.
    """

    model: str
    rule: str
    pieces: tuple[Piece, ...]
    chained: bool = False

    @property
    def tokens(self) -> int:
        """Estimated tokens of all of it."""
        return sum(piece.tokens for piece in self.pieces)


def attached(x: object) -> Sequence[Attachment]:
    """What wrapping attached to `x`; raises NothingToForkError if it is not wrapped."""
    return _attached(x)


def fingerprint(x: object) -> tuple[Shared, ...]:
    """Fingerprint what the agents of `x` share, in one entry for each model; sends nothing.

    `x` is a ledger, a session, a parent, or a program. A program that is not wrapped is wrapped for
    the moment. What is found while a program runs, such as an answer handed on, is left out.

    Raises:
        NothingToForkError: nothing is shared.
        UnknownObjectError: no installed adapter takes `x`.

    """
    if isinstance(x, Ledger):
        found = _of_calls(x.calls)
    elif isinstance(x, Session):
        found = [_of_session(x)]
    elif isinstance(x, Parent):
        found = [_of_parent(x, ())]
    else:
        found = _of_program(x)
    if not any(shared.pieces for shared in found):
        raise NothingToForkError(
            f"The agents of this {type(x).__name__} share no block: there is nothing to lock. Wrap "
            "them, or give them one system text or one list of tools."
        )
    return tuple(
        sorted(found, key=lambda s: (s.model, s.rule, s.pieces[:1] and s.pieces[0].digest))
    )


def _of_program(x: object) -> list[Shared]:
    try:
        here = attached(x)
    except NothingToForkError:
        forked = wrap(x, layout="fork")
        try:
            return [_of_session(s) for each in attached(forked) for s in each.sessions]
        finally:
            unwrap(forked)
    found = [_of_session(session) for each in here for session in each.sessions]
    observed = not any(shared.pieces for shared in found)
    return _of_calls(c for each in here for c in each.ledger.calls) if observed else found


def _of_session(session: Session) -> Shared:
    return _of_parent(session.parent, _found(session))


def _found(session: Session) -> list[Path]:
    """Branches of texts that several conversations carry; an answer that is awaited is none yet."""
    trunks: Any = session._trunks  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    out: list[Path] = []
    branches: list[Any] = [trunks._root]  # noqa: SLF001
    while branches:
        branch = branches.pop(0)
        kept = [c for t, c in branch.children.items() if t not in trunks._expected]  # noqa: SLF001
        out += [child.path for child in kept]
        branches[:0] = kept
    return out


def _of_parent(parent: Parent, found: Sequence[Path]) -> Shared:
    wire = parent.dialect
    params = ((name, value) for name, value in parent.params if name not in _MODEL)
    blocks = [Block("params", name, value) for name, value in params]
    blocks += [block for block in parent.blocks() if block.section != "params"]
    pieces = [_piece(wire, block) for block in blocks]
    for n, path in enumerate(found):
        below, here = (parent.extended(*path[:-1]).blocks(), parent.extended(*path).blocks())
        new = [block for block in here if block.path not in {b.path for b in below}]
        pieces += [_piece(wire, block, f"found[{n}]") for block in new]
    return Shared(parent.domain.model, parent.rule.id, tuple(pieces))


def _piece(wire: Dialect, block: Block, path: str = "") -> Piece:
    value = json.loads(block.json)
    named = f"tools[{wire.tool_name(value)}]" if block.section == "tools" else block.path
    tokens = 0 if block.section == "params" else estimate_tokens(block.json)
    section = "system" if block.role in _SYSTEM else block.section
    digest = block.identity.hex()[:_DIGEST]
    return Piece(section, path or named, digest, tokens, _words(value))


def _words(value: Any) -> str:
    """The first words of a block."""
    text = " ".join(_FRAME.sub("", _text(value)).split())
    return text if len(text) <= _WORDS else text[: _WORDS - 3] + "..."


def _text(value: Any) -> str:
    if is_json(value):
        function: Any = value.get("function")
        inside = [function] if function else [value[key] for key in _TEXTS if value.get(key)]
        return _text(inside[0]) if inside else ""
    if is_list(value):
        return _text(value[0]) if value else ""
    return value if isinstance(value, str) else ""


def _of_calls(calls: Iterable[Call]) -> list[Shared]:
    """What all agents on one model begin their first calls with; forked ones, where there are."""
    every = [call for call in calls if not call.error and call.sent]
    every = [call for call in every if call.forked] or every
    first: dict[tuple[str, str], dict[str, Call]] = {}
    for call in sorted(every, key=lambda c: (c.started_s, c.index)):
        first.setdefault((call.model, call.rule_id), {}).setdefault(call.agent, call)
    return [_common(model, rule, list(agents.values())) for (model, rule), agents in first.items()]


def _common(model: str, rule: str, calls: Sequence[Call]) -> Shared:
    whole = all(call.request is not None for call in calls)
    each = [_cut(call) if whole else _chains(call) for call in calls]
    shared: list[Piece] = []
    for column in zip(*each, strict=False):
        alone = len(calls) == 1 and column[0].section == "messages"
        if alone or len({piece.digest for piece in column}) > 1:
            break
        shared.append(column[0])
    kept = tuple(piece for piece in shared if piece.path not in _MODEL)
    return Shared(model, rule, kept, chained=not whole)


def _cut(call: Call) -> list[Piece]:
    request = call.request or {}
    wire, vary = dialect_of(request), rule_by_id(call.rule_id).varies
    blocks = wire.hashed(request)
    return [_piece(wire, b) for b in blocks if b.section != "params" or b.path not in vary]


def _chains(call: Call) -> list[Piece]:
    return [Piece(p.section, p.path, p.chain[:_DIGEST], p.weight) for p in call.sent]
