"""Session: one frozen parent and the forks that stand on it."""

import copy
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.allow import allow_line, restriction
from agentcache.blocks import Block, Print, Weights, dumps, prints
from agentcache.dialects import Dialect, Json, Parts
from agentcache.dialects.base import is_json
from agentcache.errors import FrozenError
from agentcache.gate import Terms
from agentcache.layout import Tail, lay, lift
from agentcache.parent import CacheDomain, Parent, tool_text

__all__ = ["Fork", "Rewrite", "Session", "Standing"]

_TALKS: Final = 256
_NOT_PARAMS: Final = frozenset({"tools", "system", "messages", "prompt_cache_key"})


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a fork makes of a request.

    `request` is what to send; `reason` says why it is not forked, or is empty. `allowed` are the
    tools this call may use; `original` and `sent` fingerprint the request before and after.
    """

    request: Json
    forked: bool
    reason: str
    allowed: tuple[str, ...]
    original: tuple[Print, ...]
    sent: tuple[Print, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from a parent, worked out once: `trunk` are the identities of its blocks."""

    parent: Parent
    trunk: tuple[str, ...]
    tokens: int
    names: tuple[str, ...]
    tools: frozenset[str]
    why_not: str

    @classmethod
    def of(cls, parent: Parent, weigh: Weights) -> "Standing":
        """Work it out."""
        blocks = [b for b in parent.blocks() if b.section != "params"]
        tokens = sum(weigh(b.json) for b in blocks)
        why_not = _why_not(parent, tokens)
        trunk = tuple(b.identity for b in blocks)
        return cls(parent, trunk, tokens, parent.tool_names, frozenset(parent.tools), why_not)


@dataclass(frozen=True, slots=True)
class _Talk:
    """What one conversation began with and keeps: its trunk, and the tools its tail lists."""

    standing: Standing
    listed: tuple[str, ...]
    length: int


class Session:
    """One frozen parent. Only `extend` changes it, and only by appending."""

    def __init__(self, parent: Parent, *, leave: str = "") -> None:
        """Open a session; with a reason to `leave` it, its forks send every request as it is."""
        self._left = leave
        self._affinity_id = "ac-" + parent.digest()[:20]
        self._lock = threading.Lock()
        self._weigh = Weights()
        self._standing = self._root = Standing.of(parent, self._weigh)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to change what is frozen."""
        if not name.startswith("_"):
            raise FrozenError(
                f"Session.{name} cannot be set to {_short(value)}: the parent is frozen. "
                "Use session.extend(text) to append shared context, or wrap again."
            )
        object.__setattr__(self, name, value)

    @property
    def parent(self) -> Parent:
        """The frozen parent as it is now."""
        return self._standing.parent

    @property
    def standing(self) -> Standing:
        """What follows from the parent as it is now."""
        return self._standing

    @property
    def domain(self) -> CacheDomain:
        """The cache domain: what calls must have in common to share entries."""
        return self.parent.domain

    @property
    def affinity_id(self) -> str:
        """Stable id of this parent, sent so that all its forks land on one machine."""
        return self._affinity_id

    @property
    def terms(self) -> Terms:
        """What the gate needs to know of the rules."""
        parent = self.parent
        rule = parent.rule
        return Terms(parent.ttl.seconds, rule.ttl_from, rule.readable, rule.placement)

    @property
    def key(self) -> tuple[str, str]:
        """The gate's key: same cache domain, same prefix.

        Growing the trunk keeps it warm where the longest common prefix is read. Where only a mark
        is read, the longer trunk has to be written first, and is a prefix of its own.
        """
        parent = self.parent
        grown = f"+{len(parent.context)}" if parent.before is not None else ""
        version = grown if parent.rule.matching == "breakpoint" else ""
        return (str(self.domain) + self.domain.organisation, self._affinity_id + version)

    def extend(self, *texts: str) -> None:
        """Append shared context to the trunk.

        Forks made before read it too, from their next conversation on: one under way keeps the
        trunk it began with, because its own turns stand behind it.
        """
        with self._lock:
            self._standing = Standing.of(self.parent.extended(*texts), self._weigh)

    def fork(self, name: str, tools: Sequence[str] | None = None) -> "Fork":
        """Fork the parent for one agent; `tools` are the names it may ever call (None: all)."""
        return Fork(self, name, tools)

    def prints(self, blocks: Sequence[Block]) -> tuple[Print, ...]:
        """Fingerprint blocks; the text of those seen before is not weighed again."""
        return prints(blocks, self._weigh)

    def is_fork(self, blocks: Sequence[Block]) -> bool:
        """Whether a request stands on this parent already, be it before the trunk grew."""
        trunk = self._root.trunk
        sent = tuple(b.identity for b in blocks if b.section != "params")
        return bool(trunk) and sent[: len(trunk)] == trunk

    def why_not(self) -> str:
        """Why forking cannot pay for this parent; empty if nothing speaks against it."""
        return self._left or self._standing.why_not

    def leave(self, reason: str) -> None:
        """Send every request as it is from now on, for this reason."""
        self._left = reason


def _why_not(parent: Parent, tokens: int) -> str:
    rule = parent.rule
    if rule.matching == "none":
        return f"no_cache: {rule.name}"
    if rule.matching == "breakpoint" and not parent.mark:
        return f"no_mark: {rule.name} reads only what is marked; this model class sends no marks"
    if rule.matching == "breakpoint" and not (parent.system or parent.context):
        return "no_mark: the shared part has no text to carry a mark. Pass system= or context="
    if tokens < max(rule.min_tokens, 1):
        return (
            f"below_minimum: the shared part is about {tokens:,} tokens, "
            f"{rule.name} caches from {rule.min_tokens:,}"
        )
    return ""


class Fork:
    """One agent's stand on a session. `rewrite` is where its requests become forks."""

    def __init__(self, session: Session, name: str, tools: Sequence[str] | None = None) -> None:
        """Create through `Session.fork`."""
        self._session = session
        self._name = name
        self._tools = tuple(tools) if tools is not None else session.standing.names
        self._talks: dict[bytes, _Talk] = {}
        self._lock = threading.Lock()

    @property
    def session(self) -> Session:
        """The session it stands on."""
        return self._session

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._name

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools the agent may ever call, in the order its tail lists them."""
        return self._tools

    def rewrite(
        self,
        request: Mapping[str, Any],
        *,
        name: str | None = None,
        side_call: str = "",
        strict: bool = False,
    ) -> Rewrite:
        """Turn the program's request into a fork of the parent, or say why not.

        A request that is a fork already comes back unchanged. `side_call` names why the program's
        request is not this agent's own conversation; it then passes through. `name` is the agent's
        name as it is now, where it is filled in late.

        Raises:
            FrozenError: with `strict`, where the request differs from what the parent froze.

        """
        session, wire = self._session, self._session.parent.dialect
        blocks = wire.blocks(request)
        before = session.prints(blocks)
        names = tuple(wire.tool_name(t) for t in request.get("tools") or () if is_json(t))
        reason = side_call or session.why_not()
        if not reason:
            reason = self._differs(request, blocks)
            if reason and strict:
                raise FrozenError(reason)
        if reason:
            return Rewrite(dict(request), False, reason, names, before, before)
        if session.is_fork(blocks):
            return Rewrite(dict(request), True, "", names, before, before)
        sent = self._lay(name or self._name, wire.split(request), names)
        return Rewrite(sent, True, "", names, before, session.prints(wire.blocks(sent)))

    def _lay(self, agent: str, parts: Parts, names: tuple[str, ...]) -> Json:
        talk = self._talk(parts, names)
        parent, union = talk.standing.parent, talk.standing.names
        rule, wire, loops = parent.rule, parent.dialect, bool(talk.listed)
        lines = (*_own_descriptions(parent, parts), allow_line(talk.listed, union))
        asked = parts.rest.get("tool_choice")
        rest = {**parts.rest, **restriction(wire, rule, names, union, asked)}
        if not loops:
            for key, value in rule.single_shot.items():
                rest[key] = _merged(rest.get(key), value)
        if parent.mark:  # an automatic mark at the top would write every tail
            rest.pop(wire.mark_key, None)
        if parent.ttl != rule.ttl:
            rest = {**parent.ttl.sends, **rest}
        if rule.affinity is not None and rule.affinity.kind == "body":
            rest.setdefault(rule.affinity.name, self._session.affinity_id)
        laid = Parts(parts.system, parts.messages, parts.tools, rest)
        own = (lift(t, parent.context) for t in parts.system if t != parent.system)
        tail = Tail(agent, tuple(own), lines)
        return lay(wire, rule, parent.trunk, laid, tail, mark=parent.mark, loops=loops)

    def _talk(self, parts: Parts, names: tuple[str, ...]) -> _Talk:
        """What the conversation began with, so that nothing ahead of its own turns moves.

        A framework may drop the tools for a last forced answer, or add one late: both are wire
        restrictions, not news for the tail. And the trunk may have grown meanwhile.
        """
        said = dumps([parts.system, parts.messages[:1]]).encode("utf-8", "surrogatepass")
        key, length = hashlib.blake2b(said, digest_size=16).digest(), len(parts.messages)
        with self._lock:
            talk = self._talks.pop(key, None)
            if talk is None or length <= talk.length:
                own = tuple(n for n in self._tools if n in names)
                listed = (*own, *(n for n in names if n not in own))
                talk = _Talk(self._session.standing, listed, length)
            while len(self._talks) >= _TALKS:
                self._talks.pop(next(iter(self._talks)))
            self._talks[key] = talk  # the latest last: the longest silent goes first
        return talk

    def _differs(self, request: Mapping[str, Any], blocks: Sequence[Block]) -> str:
        """What cannot be forked, or the parent froze otherwise, with the cure; empty if nothing."""
        standing = self._session.standing
        parent = standing.parent
        odd = _not_plain(parent.dialect, request)
        if odd:
            return odd
        if any(b.mark for b in blocks) and not parent.mark:
            return (
                f"own_marks: agent {self._name!r} marks its own prefix, and {parent.rule.name} "
                "does not say where a fork's mark would stand. Pass provider= or drop the marks."
            )
        return self.differs_in_params(request) or self._differs_in_tools(standing, request)

    def differs_in_params(self, params: Mapping[str, Any]) -> str:
        """Which of these request parameters the parent froze otherwise; empty if none."""
        parent = self._session.parent
        frozen = dict(parent.params)
        for name in dict.fromkeys((*parent.rule.freeze, *parent.dialect.rendered)):
            if name in _NOT_PARAMS or name in parent.rule.single_shot:
                continue
            value = dumps(params[name]) if name in params else None
            if value != frozen.get(name):
                was = frozen.get(name, "nothing")
                return (
                    f"frozen_param: agent {self._name!r} sends {name}={value or 'nothing'}, the "
                    f"parent froze {was}. Give all agents the same {name}, or wrap again."
                )
        return ""

    def _differs_in_tools(self, standing: Standing, request: Mapping[str, Any]) -> str:
        parent = standing.parent
        for n, tool in enumerate(request.get("tools") or ()):
            name, text = parent.dialect.tool_name(tool), tool_text(parent.dialect, tool)
            if text in standing.tools or (name in parent.canonical and name in standing.names):
                continue
            known = name in standing.names
            what = "with another definition than the parent froze" if known else "unknown to it"
            return (
                f"frozen_tools: agent {self._name!r} sends tools[{n}] = {name!r}, {what}. "
                "Wrap again after changing tools, or drop the tool."
            )
        return ""


def _own_descriptions(parent: Parent, parts: Parts) -> tuple[str, ...]:
    """Definitions of canonical tools as this agent has them, where they differ."""
    wire = parent.dialect
    own = (
        (tool, tool_text(wire, tool))
        for tool in parts.tools
        if wire.tool_name(tool) in parent.canonical
    )
    return tuple(f"For you, this tool reads: {text}" for _, text in own if text not in parent.tools)


def _not_plain(wire: Dialect, request: Mapping[str, Any]) -> str:
    """Say where a request holds an SDK's own objects, which cannot be taken apart."""
    for key in (wire.messages_key, "tools"):
        values: Any = request.get(key)
        if values is None or isinstance(values, str):
            continue
        for n, value in enumerate(values):
            if not is_json(value):
                kind = type(value).__qualname__
                return f"not_json: {key}[{n}] is a {kind}. Pass a plain dict, e.g. model_dump()."
    return ""


def _merged(asked: Any, ours: Any) -> Any:
    """Our parameter over the program's own, field by field, as a value of its own."""
    if is_json(asked) and is_json(ours):
        return {**asked, **copy.deepcopy(ours)}
    return copy.deepcopy(ours)


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."
