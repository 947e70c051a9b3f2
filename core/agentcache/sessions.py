"""Session: one frozen parent and the forks that stand on it."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from agentcache.allow import (
    ONE_CALL_LINE,
    allow_line,
    names_a_tool,
    restriction,
    without_one_call,
)
from agentcache.anchors import START, Anchor, Anchors, Follows, History, history_of
from agentcache.blocks import Block, Cuts, Keys, Print, Printer
from agentcache.dialects import Json, Parts
from agentcache.dialects.base import is_json
from agentcache.differences import in_marks, in_params, in_tools, not_plain
from agentcache.errors import FrozenError, ToolConflictError
from agentcache.gate import Terms
from agentcache.layout import Tail, lay, lift
from agentcache.parameters import fork_params
from agentcache.parent import CacheDomain, Parent
from agentcache.rewrites import Rewrite, own_descriptions
from agentcache.standings import Standing
from agentcache.talks import Talk, Talks, key_of, opening
from agentcache.trunks import Path, Trunks

__all__ = ["Fork", "Rewrite", "Session"]

_BRANCHES: Final = 256
_HEAD: Final = 5
"""Characters taken for a token where two requests are to begin alike for more than the minimum."""
_EPOCHS: Final = 8
_WHO: Final = 64
"""Tokens of a tail's frame: who the agent is, and which tools are its own."""
_SHORT: Final = 4
"""Messages up to which a conversation may never be heard of again: not worth remembering."""
_numbers: Final = itertools.count()


class Session:
    """One frozen parent. It changes only by appending: `extend`, or a branch of found texts.

    With `hoist`, texts that different forks carry are found as their conversations begin.
    An unknown tool starts a new epoch if `announce` is given: the union grows once, for all forks,
    and `announce` is called with a sentence that says so. Otherwise the request stays as it is.
    """

    def __init__(
        self,
        parent: Parent,
        *,
        leave: str = "",
        hoist: bool = False,
        announce: Callable[[str], object] | None = None,
    ) -> None:
        """Open a session; with a reason to `leave` it, its forks send every request as it is."""
        self._left = leave
        self._hoists = hoist
        self._announce = announce
        self._epochs = 1
        self._used = self._settled = False
        self._affinity_id = "ac-" + parent.digest()[:20]
        self._lock = threading.RLock()
        self._printer = Printer()
        self._cuts = Cuts()
        self._standing = Standing.of(parent, self._printer)
        self._roots: list[tuple[bytes, ...]] = []
        self._branches: dict[Path, Standing] = {}
        self._trunks = Trunks(parent.rule, self._printer.weigh, self._dues)
        self._talks = Talks()
        self._anchors = Anchors()
        self._replant(self._standing)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to change what is frozen."""
        if not name.startswith("_"):
            raise FrozenError(
                f"Session.{name} cannot be set to {value!r:.60}: the parent is frozen. "
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
        """The gate's key: same cache domain, same prefix."""
        return self._standing.keys[-1]

    def extend(self, *texts: str) -> None:
        """Append shared context to the trunk.

        Forks made before read it too, from their next conversation on: one under way keeps the
        trunk it began with, because its own turns stand behind it.
        """
        with self._lock:
            grown = Standing.of(self.parent.extended(*texts), self._printer, self._standing)
            self._replant(grown)

    def learn(self, talks: Iterable[Sequence[str]]) -> tuple[tuple[int, int], ...]:
        """Find what several conversations carry verbatim, and share it among those that do.

        Each is given as the list of texts its program says first. A conversation stands on a text
        from its next beginning on. Returns, for each text newly shared, its estimated tokens and
        how many of these conversations carry it.
        """
        found = self._trunks.learn(talks, self.parent.context)
        return tuple((self._printer.weigh(text), uses) for text, uses in found.items())

    def expect(self, text: str, readers: Sequence[Sequence[str]]) -> bool:
        """Say that conversations to come will carry this text verbatim.

        `readers` are the texts that each of them says besides, as far as they are known. It is
        shared among those for whom that is cheaper by the rules. Returns whether any of it may be.
        """
        return self._trunks.expect(text, readers, self.parent.context)

    def _dues(self) -> int:
        """What a fork pays for the root's own part where the root alone would not be forked."""
        return self._standing.tokens + _WHO if self._standing.why_not else 0

    def fork(
        self,
        name: str,
        tools: Sequence[str] | None = None,
        *,
        told_of_tools: bool = False,
        follows: Follows = "nothing",
        checks_calls: bool = False,
        late_tools: bool = False,
    ) -> "Fork":
        """Fork the parent for one agent; `tools` are the names it may ever call (None: all).

        `told_of_tools` says that the agent's own text offers it tools that are not on the wire.
        `follows` says what that text stands behind: see `anchors.Follows`. `checks_calls` says that
        whoever sends keeps an answer to one tool call where `Rewrite.one_call` asks for it,
        `late_tools` that the framework shows an agent's tools only as it calls the model.
        """
        return Fork(
            self,
            name,
            tools,
            told_of_tools=told_of_tools,
            follows=follows,
            checks_calls=checks_calls,
            late_tools=late_tools,
        )

    @property
    def anchors(self) -> Anchors:
        """The histories that its forks talk in."""
        return self._anchors

    @property
    def talks(self) -> Talks:
        """The conversations of its forks."""
        return self._talks

    def blocks(self, request: Mapping[str, Any], keys: Keys, lead: int = 0) -> tuple[Block, ...]:
        """The blocks of a request that render.

        What is the same in many requests is cut once: the first `lead` messages, and all those of
        a long conversation.
        """
        wire = self.parent.dialect
        long = len(request.get(wire.messages_key) or ()) > _SHORT
        return wire.hashed(request, self._cuts, None if long else lead, keys)

    def prints(self, blocks: Sequence[Block]) -> tuple[Print, ...]:
        """Fingerprint blocks; those seen before are not worked out again.

        A parameter that may vary under this rule is part of no prefix.
        """
        vary = self.parent.rule.varies
        return self._printer(b for b in blocks if b.section != "params" or b.path not in vary)

    def weigh(self, block: Block) -> int:
        """Estimate the tokens of a block."""
        return self._printer.weigh_block(block)

    def weigh_text(self, text: str) -> int:
        """Estimate the tokens of a text."""
        return self._printer.weigh(text)

    def is_fork(self, blocks: Sequence[Block], standing: Standing | None = None) -> bool:
        """Whether a request stands on this parent already, be it before the trunk grew.

        Or on this branch: a root of tools alone tells nothing, any program may send the same.
        """
        sent = tuple(b.identity for b in blocks if b.section != "params")
        branch = (standing.trunk,) if standing is not None and standing.path else ()
        return any(sent[: len(trunk)] == trunk for trunk in (*self._roots, *branch))

    def why_not(self) -> str:
        """Why forking cannot pay for this parent; empty if nothing speaks against it."""
        return self._left or self._standing.why_not

    def leave(self, reason: str) -> None:
        """Send every request as it is from now on, for this reason."""
        self._left = reason

    @property
    def left(self) -> str:
        """Why every request is sent as it is; empty if that is not so."""
        return self._left

    def branch(self, path: Path) -> Standing:
        """What a conversation stands on that carries these texts."""
        with self._lock:
            found = self._branches.get(path)
            if found is None:
                below = self.branch(path[:-1])
                parent = below.parent.extended(path[-1])
                found = Standing.of(parent, self._printer, below, path)
                while len(self._branches) >= _BRANCHES:
                    self._branches.pop(next(p for p in self._branches if p))
                self._branches[path] = found
            return found

    def stand(self, speaker: str, texts: Sequence[str], own: Sequence[str] = ()) -> Standing:
        """What a conversation stands on whose program says these texts first.

        `own` are those of them that its agent says in all its conversations.
        """
        said = {speaker: texts}
        if own and self.parent.rule.matching == "breakpoint":
            # What an agent repeats behind its own text is read only up to a mark in front of it.
            asked = texts[len(own) :]
            said = {speaker: own, f"{speaker}: {key_of(asked)}": asked}
        for who, what in said.items() if self._hoists else ():
            self._trunks.hear(who, what, self.parent.context)
        return self.branch(self._trunks.path(texts, key_of(texts)))

    def widen(self, agent: str, tools: Sequence[Json]) -> bool:
        """Start a new epoch with these tools in the union; False if that cannot be.

        The union stands first on the wire, so that every fork is written anew, once.
        """
        with self._lock:
            wire, names = self.parent.dialect, self._standing.names
            news = [tool for tool in tools if wire.tool_name(tool) not in names]
            if self._announce is None or not news or self._epochs >= _EPOCHS:
                return not news
            before = self._standing.tokens
            try:
                wider = self.parent.widened(news)
            except ToolConflictError:  # two definitions of one name in one request
                return False
            self._replant(Standing.of(wider, self._printer))
            self._epochs += 1
            added = ", ".join(repr(wire.tool_name(tool)) for tool in news)
            self._announce(
                f"Epoch {self._epochs}: agent {agent!r} brought {added}, which the parent had "
                f"not frozen. Tools stand first, so all that was shared is written again as it is "
                f"used: the root alone is about {before:,} tokens. If you can, give the agent its "
                "tools before wrap()."
            )
            return True

    @property
    def used(self) -> bool:
        """Whether a fork was sent already."""
        return self._used

    def use(self) -> None:
        """A fork is sent: what stands in front is written from now on."""
        self._used = True

    def offer(self, tools: Sequence[Json]) -> bool:
        """Let tools join the union before anything is sent, when that costs nothing.

        One that is known otherwise is replaced: what is sent tells more than what was foreseen.
        Returns False if something was sent already, or if two of them have one name.
        """
        with self._lock:
            if self._used or self.parent.adds:
                return False
            try:
                self._replant(Standing.of(self.parent.retooled(tools), self._printer))
            except ToolConflictError:
                return False
            return True

    def settle(self, tools: Sequence[Json]) -> None:
        """Hold the tools in front as the first request that has any defines them.

        Where a framework words them anew as it calls the model. Those that this request lacks stay
        as they were foreseen. Later requests change nothing.
        """
        with self._lock:
            parent = self.parent
            if self._settled or not parent.adds or not tools:
                return
            self._settled = True
            names, name_of = self._standing.names, parent.dialect.tool_name
            here = [tool for tool in tools if name_of(tool) in names]
            if not self._used and here:
                self._replant(Standing.of(parent.retooled(here), self._printer))

    def _replant(self, root: Standing) -> None:
        self._standing = root
        self._branches = {root.path: root}
        if root.parent.system or root.parent.context:
            self._roots.append(root.trunk)


class Fork:
    """One agent's stand on a session. `rewrite` is where its requests become forks."""

    __slots__ = (
        *("_checks_calls", "_follows", "_late_tools", "_name", "_number", "_session", "_told"),
        "_tools",
    )

    def __init__(
        self,
        session: Session,
        name: str,
        tools: Sequence[str] | None = None,
        *,
        told_of_tools: bool = False,
        follows: Follows = "nothing",
        checks_calls: bool = False,
        late_tools: bool = False,
    ) -> None:
        """Create through `Session.fork`."""
        self._checks_calls = checks_calls
        self._late_tools = late_tools
        self._follows: Follows = follows
        self._told = told_of_tools
        self._session = session
        self._name = name
        self._tools = tuple(tools) if tools is not None else session.standing.names
        self._number = next(_numbers)

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

    def talk(self, said: Sequence[str], length: int) -> Talk:
        """The conversation that opens with these texts and has so many messages by now.

        `said` is its system text and its first message; `length` does not count the system text.
        """
        session = self._session
        return session.talks.of(
            self._number, said, length, lambda: (session.stand(self._name, said), session.left)
        )

    def rewrite(
        self,
        request: Mapping[str, Any],
        *,
        name: str | None = None,
        side_call: str = "",
        talk: Talk | None = None,
        strict: bool = False,
        try_it: bool = False,
    ) -> Rewrite:
        """Turn the program's request into a fork of the parent, or say why not.

        A request that is a fork already comes back unchanged. `side_call` names why the program's
        request is not this agent's own conversation; it then passes through. `name` is the agent's
        name as it is now, where it is filled in late. `talk` is the conversation, if the caller
        has asked for it before. `try_it` forks though the session is left alone, to see what
        would become of it.

        Raises:
            FrozenError: with `strict`, where the request differs from what the parent froze.

        """
        session, wire = self._session, self._session.parent.dialect
        keys = Keys()
        blocks = session.blocks(request, keys)
        before = session.prints(blocks)
        names = tuple(wire.tool_name(t) for t in wire.tools_of(request) if is_json(t))
        reason = side_call or not_plain(wire, request)
        if reason:
            held = self._heads(blocks) if side_call else ()
            return Rewrite(dict(request), False, reason, names, before, before, keys=held)
        parts, history = self._history(wire.split(request), blocks)
        session.settle(parts.tools)
        talk = talk or self._talk(parts, history)
        anchor = self._anchor(talk, history, parts)
        why_not = talk.standing.why_not_with(anchor.weight) or self._stays_plain(history)
        parts, one_call = self._one_call(parts, anchor)
        reason = "" if try_it else talk.left
        reason = reason or why_not or self._differs(request, parts, blocks, strict=strict)
        if history is not None and not try_it:
            path = talk.standing.path
            session.anchors.ask(self._number, history, path, anchor, plain=bool(reason))
        if reason:
            held = self._heads(blocks) if reason == why_not else ()
            return Rewrite(dict(request), False, reason, names, before, before, keys=held)
        keys_held = talk.standing.keys_with(anchor.key, anchor.weight)
        if session.is_fork(blocks, talk.standing):
            return Rewrite(dict(request), True, "", names, before, before, keys=keys_held)
        if not session.parent.adds and not set(names) <= set(talk.standing.names):
            # The union has just grown.
            talk.standing = session.branch(talk.standing.path)
        session.use()
        lines = (ONE_CALL_LINE,) if one_call else ()
        sent, headers = self._lay(name or self._name, parts, names, talk, anchor, lines)
        after = session.prints(session.blocks(sent, keys, talk.standing.lead))
        shared = talk.standing.tokens + anchor.weight
        return Rewrite(sent, True, "", names, before, after, headers, keys_held, shared, one_call)

    def _stays_plain(self, history: History | None) -> str:
        session = self._session
        if history is None or not session.anchors.stays_plain(self._number, history):
            return ""
        return "begun_plain: the request before was sent as it is, and this one goes on from it"

    def _heads(self, blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
        """What tells the gate that requests which stay as they are begin alike.

        Where the longest common prefix is read, the first of them warms it for the others: as far
        as the provider's minimum and a little more.
        """
        parent = self._session.parent
        rule, head = parent.rule, ""
        if rule.matching != "prefix" or rule.placement != "parallel" or self._follows == "nothing":
            return ()
        for block in blocks:
            head += block.json[: _HEAD * rule.min_tokens - len(head)]
        if len(head) < _HEAD * max(rule.min_tokens, 1):
            return ()
        text = head.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=8).hexdigest()
        return ((f"{parent.domain}{parent.domain.organisation}", f"head:{digest}"),)

    def _one_call(self, parts: Parts, anchor: Anchor) -> tuple[Parts, bool]:
        """The parts without the parameter that asks for one tool call at most, if it had one.

        Only where that parameter would move the prefix, and somebody else sees to it.
        """
        parent = self._session.parent
        held = dict(parent.params).get("parallel_tool_calls") is not None
        if not self._checks_calls or held:
            return parts, False
        in_messages = parent.dialect.context_in == "system"
        if in_messages and not anchor.at:
            return parts, False
        rest = without_one_call(parts.rest)
        return replace(parts, rest=rest), rest != parts.rest

    def _history(self, parts: Parts, blocks: Sequence[Block]) -> tuple[Parts, History | None]:
        """What has been said, where this fork's own text may stand behind it."""
        if self._follows == "nothing":
            return parts, None
        session = self._session
        said = [b for b in blocks if b.section == "messages"]
        weights = [session.weigh(b) for b in said]
        wire = session.parent.dialect
        history, messages = history_of(wire, parts.messages, said, weights)
        return replace(parts, messages=messages), history

    def _talk(self, parts: Parts, history: History | None) -> Talk:
        """The conversation; where another fork is in it already, it stands where that one does."""
        session, said, length = self._session, opening(parts), len(parts.messages)
        if history is None:
            return self.talk(said, length)

        def stand() -> tuple[Standing, str]:
            shared = session.anchors.path(self._number, history)
            if shared is None:
                return session.stand(self._name, said, parts.system), session.left
            known = session.stand(self._name, parts.system)
            carried = all(any(text in mine for mine in said) for text in shared)
            return session.branch(shared) if carried else known, session.left

        return session.talks.of(self._number, said, length, stand)

    def _anchor(self, talk: Talk, history: History | None, parts: Parts) -> Anchor:
        if history is None or talk.left:
            return START
        session = self._session
        own = sum(session.weigh_text(text) for text in parts.system)
        return session.anchors.place(self._number, history, self._follows, own)

    def _lay(
        self,
        agent: str,
        parts: Parts,
        names: tuple[str, ...],
        talk: Talk,
        anchor: Anchor,
        more: tuple[str, ...],
    ) -> tuple[Json, dict[str, str]]:
        listed = talk.lists(self._tools, names)
        parent, union = talk.standing.parent, talk.standing.names
        rule, wire, loops = parent.rule, parent.dialect, bool(listed)
        allowed = allow_line(listed, union) if listed or not self._told else ""
        lines = (*own_descriptions(parent, parts), allowed, *more)
        asked = parts.rest.get("tool_choice")
        # Where shared context stands in `system`, tool_choice invalidates all messages.
        told = anchor.at and wire.context_in == "system"
        rest = {**parts.rest, **({} if told else restriction(wire, rule, names, union, asked))}
        rest, headers = fork_params(parent, rest, self._session.affinity_id, loops=loops)
        laid = Parts(parts.system, parts.messages, parts.tools, rest)
        own = (lift(t, parent.context) for t in parts.system if t != parent.system)
        mine = [tool for tool in parts.tools if wire.tool_name(tool) not in union]
        added, more_headers = wire.added(mine if parent.adds else [])
        tail = Tail(agent, tuple(own), lines, anchor.at, anchor.older, tuple(added))
        headers |= more_headers if added else {}
        mark = parent.mark
        return lay(wire, rule, talk.standing.laid, laid, tail, mark=mark, loops=loops), headers

    def _differs(
        self, request: Mapping[str, Any], parts: Parts, blocks: Sequence[Block], *, strict: bool
    ) -> str:
        """What the parent froze otherwise, with the cure; empty if nothing."""
        parent = self._session.parent
        reason = (
            in_marks(parent, self._name, blocks)
            or in_params(parent, self._name, parts.rest)
            or self._differs_in_tools(request, blocks)
        )
        if reason and strict:
            raise FrozenError(reason)
        return reason

    def _differs_in_tools(self, request: Mapping[str, Any], blocks: Sequence[Block]) -> str:
        session, standing = self._session, self._session.standing
        name_of, tools = session.parent.dialect.tool_name, session.parent.dialect.tools_of(request)
        texts = [block.json for block in blocks if block.section == "tools"]
        sent = [(name_of(tool), tool, text) for tool, text in zip(tools, texts, strict=True)]
        odd = [n for n, (name, _, text) in enumerate(sent) if not standing.holds(name, text)]
        if session.parent.adds:
            odd = [n for n in odd if sent[n][0] in standing.names]
        unknown = [sent[n][1] for n in odd if sent[n][0] not in standing.names]
        if unknown and names_a_tool(request.get("tool_choice")):
            return "structured_output: a tool that is forced once does not widen the union"
        if odd and self._late_tools and session.offer([tool for _, tool, _ in sent]):
            return ""
        if not odd or (len(unknown) == len(odd) and session.widen(self._name, unknown)):
            return ""
        name = sent[odd[0]][0]
        return in_tools(self._name, odd[0], name, known=name in standing.names)
