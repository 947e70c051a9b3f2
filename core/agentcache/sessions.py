"""Session: one frozen parent and the forks that stand on it."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.allow import allow_line, restriction
from agentcache.blocks import Block, Print, dumps, prints
from agentcache.dialects import Json, Parts
from agentcache.errors import FrozenError
from agentcache.gate import Terms
from agentcache.layout import Tail, lay
from agentcache.marks import mark_value
from agentcache.parent import CacheDomain, Parent

__all__ = ["Fork", "Rewrite", "Session"]

_REMEMBERED_LISTS: Final = 256


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


class Session:
    """One frozen parent. Only `extend` changes it, and only by appending."""

    def __init__(self, parent: Parent, *, fork: bool = True) -> None:
        """Open a session; with `fork=False` its forks send every request as it is."""
        self._parent = parent
        self._forks_requests = fork
        self._affinity_id = "ac-" + parent.digest()[:20]
        self._lock = threading.Lock()

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
        return self._parent

    @property
    def domain(self) -> CacheDomain:
        """The cache domain: what calls must have in common to share entries."""
        return self._parent.domain

    @property
    def affinity_id(self) -> str:
        """Stable id of this parent, sent so that all its forks land on one machine."""
        return self._affinity_id

    @property
    def terms(self) -> Terms:
        """What the gate needs to know of the rules."""
        rule = self._parent.rule
        return Terms(self._parent.ttl.seconds, rule.ttl_from, rule.readable, rule.placement)

    @property
    def key(self) -> tuple[str, str]:
        """The gate's key: same cache domain, same prefix. Growing the trunk keeps it warm."""
        return (str(self.domain) + self.domain.organisation, self._affinity_id)

    def extend(self, *texts: str) -> None:
        """Append shared context to the trunk. Forks made before stay valid and read it too."""
        with self._lock:
            self._parent = self._parent.extended(*texts)

    def fork(self, name: str, tools: Sequence[str] | None = None) -> "Fork":
        """Fork the parent for one agent; `tools` are the names it may ever call (None: all)."""
        return Fork(self, name, tools)

    def why_not(self) -> str:
        """Why forking cannot pay for this parent; empty if nothing speaks against it."""
        if not self._forks_requests:
            return "as_is: layout='as_is' leaves every request as the program made it"
        rule, tokens = self._parent.rule, self._parent.tokens()
        if rule.matching == "none":
            return f"no_cache: {rule.title}"
        if rule.matching == "breakpoint" and not rule.marks:
            return f"no_mark: {rule.title}, and this model class cannot carry a mark"
        if tokens < max(rule.min_tokens, 1):
            return (
                f"below_minimum: the shared part is about {tokens:,} tokens, "
                f"{rule.title!r} caches from {rule.min_tokens:,}"
            )
        return ""


class Fork:
    """One agent's stand on a session. `rewrite` is where its requests become forks."""

    def __init__(self, session: Session, name: str, tools: Sequence[str] | None = None) -> None:
        """Create through `Session.fork`."""
        self.session = session
        self.name = name
        self.tools = tuple(tools) if tools is not None else session.parent.tool_names
        self._lists: dict[str, tuple[str, ...]] = {}

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
        parent = self.session.parent
        wire = parent.dialect
        blocks = wire.blocks(request)
        before = prints(blocks)
        parts = wire.split(request)
        names = tuple(wire.tool_name(t) for t in parts.tools)
        if _is_fork(blocks, parent):
            return Rewrite(dict(request), True, "", names, before, before)
        reason = side_call or self.session.why_not()
        if not reason:
            reason = self._differs(parts)
            if reason and strict:
                raise FrozenError(reason)
        if reason:
            return Rewrite(dict(request), False, reason, names, before, before)
        sent = self._lay(name or self.name, parts, names)
        return Rewrite(sent, True, "", names, before, prints(wire.blocks(sent)))

    def _lay(self, agent: str, parts: Parts, names: tuple[str, ...]) -> Json:
        parent, union = self.session.parent, self.session.parent.tool_names
        rule, wire = parent.rule, parent.dialect
        listed = self._listed(parts, names)
        loops = bool(listed)
        lines = (*self._own_descriptions(parts), allow_line(listed, union))
        mark = (
            mark_value(wire, parent.ttl, default=parent.ttl == rule.ttl)
            if rule.marks and wire.mark_key
            else {}
        )
        asked = parts.rest.get("tool_choice")
        rest = {
            **parts.rest,
            **restriction(wire, rule, names, union, asked),
            **({} if loops else rule.single_shot),
        }
        if rule.affinity is not None and rule.affinity.kind == "body":
            rest.setdefault(rule.affinity.name, self.session.affinity_id)
        laid = Parts(parts.system, parts.messages, parts.tools, rest)
        tail = Tail(agent, tuple(t for t in parts.system if t != parent.system), lines)
        return lay(wire, rule, parent.trunk, laid, tail, mark=mark, loops=loops)

    def _listed(self, parts: Parts, names: tuple[str, ...]) -> tuple[str, ...]:
        """Tools the tail names, decided once per conversation so that it does not move.

        A framework may drop the tools for a last forced answer, or add one late: both are wire
        restrictions, not news for the tail.
        """
        key = dumps([parts.system, parts.messages[:1]])
        if key not in self._lists:
            while len(self._lists) >= _REMEMBERED_LISTS:
                self._lists.pop(next(iter(self._lists)))
            own = tuple(n for n in self.tools if n in names)
            self._lists[key] = (*own, *(n for n in names if n not in own))
        return self._lists[key]

    def _own_descriptions(self, parts: Parts) -> tuple[str, ...]:
        """Definitions of canonical tools as this agent has them, where they differ."""
        parent = self.session.parent
        own = (
            t
            for t in parts.tools
            if parent.dialect.tool_name(t) in parent.canonical and dumps(t) not in parent.tools
        )
        return tuple(f"For you, this tool reads: {dumps(tool)}" for tool in own)

    def _differs(self, parts: Parts) -> str:
        """What the parent froze otherwise, with the cure; empty if nothing."""
        return self.differs_in_params(parts.rest) or self._differs_in_tools(parts)

    def differs_in_params(self, params: Mapping[str, Any]) -> str:
        """Which of these request parameters the parent froze otherwise; empty if none."""
        parent = self.session.parent
        frozen = dict(parent.params)
        for name in parent.rule.freeze:
            if name in _NOT_PARAMS or name in parent.rule.single_shot:
                continue
            value = dumps(params[name]) if name in params else None
            if value != frozen.get(name):
                was = frozen.get(name, "nothing")
                return (
                    f"frozen_param: agent {self.name!r} sends {name}={value or 'nothing'}, the "
                    f"parent froze {was}. Give all agents the same {name}, or wrap again."
                )
        return ""

    def _differs_in_tools(self, parts: Parts) -> str:
        parent = self.session.parent
        for n, tool in enumerate(parts.tools):
            name, text = parent.dialect.tool_name(tool), dumps(tool)
            if text in parent.tools or name in parent.canonical:
                continue
            known = name in parent.tool_names
            what = "with another definition than the parent froze" if known else "unknown to it"
            return (
                f"frozen_tools: agent {self.name!r} sends tools[{n}] = {name!r}, {what}. "
                "Wrap again after changing tools, or drop the tool."
            )
        return ""


_NOT_PARAMS: Final = frozenset({"tools", "system", "messages", "prompt_cache_key"})


def _is_fork(blocks: Sequence[Block], parent: Parent) -> bool:
    trunk = [b.identity for b in parent.blocks() if b.section != "params"]
    sent = [b.identity for b in blocks if b.section != "params"]
    return bool(trunk) and sent[: len(trunk)] == trunk


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."
