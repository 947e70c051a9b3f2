"""Session: one frozen parent and the forks that stand on it."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from agentcache.anchors import Anchors, Follows
from agentcache.blocks import Block, Cuts, Keys
from agentcache.compaction import Compaction, Compactor, ContentStore, Shrunk
from agentcache.dialects import Json
from agentcache.errors import FrozenError, ToolConflictError
from agentcache.forks import Fork
from agentcache.gate import Terms
from agentcache.parent import CacheDomain, Parent
from agentcache.prints import Printer, Prints
from agentcache.standings import Standing
from agentcache.summaries import Summaries
from agentcache.talks import Talks, key_of
from agentcache.transcripts import Places
from agentcache.trunks import Path, Trunks

__all__ = ["Session"]

_BRANCHES: Final = 256
_EPOCHS: Final = 8
_WHO: Final = 64
"""Tokens of a tail's frame: who the agent is, and which tools are its own."""
_SHORT: Final = 4
"""Messages up to which a conversation may never be heard of again: not worth remembering."""


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
        affinity_id: str = "",
    ) -> None:
        """Open a session; with a reason to `leave` it, its forks send every request as it is.

        `affinity_id` is that of the same session in another process.
        """
        self._left = leave
        self._hoists = hoist
        self._announce = announce
        self._epochs = 1
        self._used = self._settled = False
        self._affinity_id = affinity_id or "ac-" + parent.digest()[:20]
        self._lock = threading.RLock()
        self._printer = Printer()
        self._cuts = Cuts()
        self._standing = Standing.of(parent, self._printer)
        self._roots: list[tuple[bytes, ...]] = []
        self._branches: dict[Path, Standing] = {}
        self._trunks = Trunks(parent.rule, self._printer.weigh, self._dues)
        self._talks = Talks()
        self._anchors = Anchors()
        self._places = Places()
        self._compactor: Compactor | None = None
        self._summaries = Summaries()
        self._replant(self._standing)

    @staticmethod
    def open(client: Any, **options: Any) -> Any:
        """Open a session on a plain client of `openai` or `anthropic`: no framework is needed.

            session = Session.open(OpenAI(), model="gpt-6-luna", system="...", tools=[search])
            answer = session.ask("What is known?")
            worker = session.fork("critic", role="You are the critic.", tools=[])

        Returns an `OpenSession`, for an async client an `AsyncOpenSession`, whose `ask` is awaited.
        Options are `model`, `system`, `context`, `tools` (typed functions with docstrings), `api`
        (`chat`, the default, or `responses`), `params` (of every request, such as `temperature`),
        `max_turns` (of a tool loop: then the model must answer), and those of `agentcache.wrap`.

        Raises:
            UnknownObjectError: `client` is no client of these.
            OptionError: an option that cannot be had, or a tool that cannot be described.

        """
        # Asking stands on sessions, so that it can only be imported now.
        return import_module("agentcache.asking").open_session(client, **options)

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
    ) -> Fork:
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
    def places(self) -> Places:
        """Where its forks stand in the group chats they talk in."""
        return self._places

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

    def prints(self, blocks: Sequence[Block]) -> Prints:
        """Fingerprint blocks; those seen before are not worked out again.

        A parameter that may vary under this rule is part of no prefix.
        """
        vary = self.parent.rule.varies
        return self._printer(b for b in blocks if b.section != "params" or b.path not in vary)

    @property
    def printer(self) -> Printer:
        """What weighs texts, in tokens, each once."""
        return self._printer

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
        # The parent's own text is what all read in any case.
        texts, own = ([t for t in some if t != self.parent.system] for some in (texts, own))
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

    def compacts(
        self, wish: Compaction, store: ContentStore, say: Callable[[str], object]
    ) -> Compactor:
        """Compact what the forks send from now on; one that does so already goes on as it does.

        `say` is told of each step that moves a prefix.
        """
        with self._lock:
            parent = self.parent
            if self._compactor is None:
                told = (parent.dialect, parent.rule, parent.ttl)
                self._compactor = Compactor(wish, store, *told, say=say)
            return self._compactor

    def shrink(
        self,
        request: Mapping[str, Any],
        agent: str = "",
        *,
        recalls: bool = False,
        ahead: bool = False,
    ) -> Shrunk:
        """A request of a fork's, with placeholders for what is compacted.

        `recalls` says that its framework runs `recall_result` for it, offered or not; `ahead` that
        it is only counted now, and sent next.
        """
        compactor = self._compactor
        if compactor is None:
            return Shrunk(request, request)
        return compactor(request, agent, recalls=recalls, ahead=ahead)

    @property
    def summaries(self) -> Summaries:
        """What its forks said last, for summaries of it."""
        return self._summaries

    @property
    def compactor(self) -> Compactor | None:
        """What compacts the forks' requests; None where nothing does."""
        return self._compactor

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
