"""Compaction in a running program: many conversations, one log, one store."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.allow import names_a_tool
from agentcache.compaction.compacting import (
    RECALL,
    Compaction,
    Economy,
    front_of,
    settled,
)
from agentcache.compaction.decisions import Decision, DecisionLog
from agentcache.compaction.pieces import Piece
from agentcache.compaction.recalling import recall_tool
from agentcache.compaction.stores import ContentStore
from agentcache.compaction.tracks import Track
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list
from agentcache.rules import Rule, Ttl

__all__ = ["Compactor", "Shrunk"]

_log = logging.getLogger("agentcache")
_ROOM: Final = 64
_SIZE: Final = 100_000_000
"""Conversations that are kept, and the characters they may hold on to beside the latest."""
_DECISIONS: Final = 50_000
_REST_S: Final = 30.0
_MOST_TOOLS: Final = 127
"""Tools beside which one more is offered: OpenAI's APIs take 128."""
_CHAINED: Final = ("previous_response_id", "conversation")


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A request as it is to be sent: the `whole` one, where nothing in it is compacted.

    `new` is what was decided for it, `tokens` are those of the request before and after, estimated.
    `moved` says in a sentence why its prefix is not that of the call before; empty if it is.
    `ahead` says that it is not sent yet.
    """

    request: Mapping[str, Any]
    whole: Mapping[str, Any]
    new: tuple[Decision, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    moved: str = ""
    ahead: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything in it is not as the program made it."""
        return self.request is not self.whole


class Compactor:
    """Compacts the requests of one session's forks: what was decided for one holds for all.

    A message is read once, so that a decision costs no more in a long conversation than in a short
    one. Originals and decisions are stored before the request that needs them is sent.
    """

    def __init__(
        self,
        wish: Compaction,
        store: ContentStore,
        wire: Dialect,
        rule: Rule,
        ttl: Ttl | None = None,
        *,
        say: Callable[[str], object] = _log.info,
    ) -> None:
        """Know of no conversation; `say` is told of each step, and of a store that fails."""
        self.wish, self.store = wish, store
        self._wire, self._rule, self._ttl = wire, rule, ttl or rule.ttl
        self._say = say
        self._decided: dict[str, Decision] = {}
        self._steps = 0
        self._version = 0
        self._tracks: list[Track] = []
        self._failed = False
        self._rests_until_s = 0.0
        self._kept: set[str] = set()
        self._lock = threading.RLock()

    @property
    def log(self) -> DecisionLog:
        """What was decided lately, as far as this process has seen it."""
        with self._lock:
            return DecisionLog(tuple(self._decided.values()))

    def __call__(
        self,
        request: Mapping[str, Any],
        agent: str = "",
        *,
        recalls: bool = False,
        calls_left: int | None = None,
        ahead: bool = False,
    ) -> Shrunk:
        """The request as it is to be sent. Never raises: what a store refuses stays as it is.

        Nothing is decided for an agent that could not read it again: its request offers
        `recall_result`, or is given it, if the agent `recalls` and has other tools. What was
        decided before holds for all, so that forks share what they inherit. `ahead` says
        that it is only counted now, and sent next: that a prefix moves is told then.
        """
        rows: Any = request.get(self._wire.messages_key)
        if not is_list(rows) or any(request.get(key) for key in _CHAINED):
            return Shrunk(request, request)
        with self._lock:
            track = self._track(request, rows, agent)
            offered = self._offered(request, track) if recalls else request
            return self._shrunk(request, offered, track, rows, calls_left, ahead=ahead)

    def _offered(self, request: Mapping[str, Any], track: Track) -> Mapping[str, Any]:
        """The request with the tool to recall by among its tools, where it has any.

        Not beside the one tool that a call for structured output forces.
        """
        tools: Any = request.get("tools")
        if not tools or self._offers_recall(request) or len(tools) >= _MOST_TOOLS:
            return request
        forced = len(tools) == 1 and names_a_tool(request.get("tool_choice"))
        if forced and not track.offered:
            return request
        track.offered = True
        return {**request, "tools": [*tools, recall_tool(self._wire.name)]}

    def _shrunk(
        self,
        whole: Mapping[str, Any],
        request: Mapping[str, Any],
        track: Track,
        rows: list[Any],
        calls: int | None,
        *,
        ahead: bool,
    ) -> Shrunk:
        now_s = time.monotonic()
        model = str(request.get("model") or request.get("modelId") or "")
        binds = self._rule.binds(model, request)
        cold = bool(track.seen_s) and now_s - track.seen_s > self._ttl.seconds
        moved = self._known(track, track.grow(rows), binds=binds)
        track.keep_open(self.wish.least, self.wish.never)
        new: dict[str, Decision] = {}
        if self._offers_recall(request):
            economy = Economy(self._rule, self._ttl, calls, cold, binds=binds)
            new, stepped = self._settle(track, economy, track.agent)
            moved = stepped or moved
        elif request.get("tools") and any(self._is_large(p) for p in track.open):
            self._say_kept(track.agent)
        if ahead:
            track.moved = track.moved or moved
        else:
            moved, track.moved = moved or track.moved, ""
            track.sent, track.seen_s = len(track), now_s
        if not track.changed:
            return Shrunk(request, whole, tokens=track.tokens, ahead=ahead)
        made: Json = {**request, self._wire.messages_key: list(track.out)}
        return Shrunk(made, whole, tuple(new.values()), track.tokens, moved, ahead)

    def began_anew(self, agent: str) -> str:
        """Say that an agent's framework summed up its conversation, which begins anew with that."""
        told = (
            f"Summary: the framework summed up what agent {agent!r} has said and read, and its "
            "conversation begins anew behind the summary."
        )
        self._say(told)
        return told

    def _track(self, request: Mapping[str, Any], rows: Sequence[Any], agent: str) -> Track:
        """The conversation that these messages go on from; a new one if they go on from none."""
        led = [t for t in self._tracks if t.agent == agent and len(t) and t.leads_to(rows)]
        track = max(led, key=len, default=None)
        if track is None:
            track = Track(self.wish.kinds, front_of(self._wire, request), agent)
        else:
            self._tracks.remove(track)
        held = track.size
        while self._tracks and (len(self._tracks) >= _ROOM or held + self._held() > _SIZE):
            self._tracks.pop(0)
        self._tracks.append(track)
        return track

    def _held(self) -> int:
        return sum(track.size for track in self._tracks)

    def _offers_recall(self, request: Mapping[str, Any]) -> bool:
        tools = self._wire.tools_of(request)
        return any(is_json(tool) and self._wire.tool_name(tool) == RECALL for tool in tools)

    def _known(self, track: Track, fresh: Sequence[Piece], *, binds: bool) -> str:
        """Apply what was decided before; says so where that changes what was sent in full.

        What stands before thinking that is bound to it stays as it was sent.
        """
        every = (*track.open, *fresh)
        asked = every if track.unasked else fresh
        unknown = {p.name: p for p in asked if p.name not in self._decided}
        track.unasked = not self._recalled(unknown)
        asked = asked if track.version == self._version else every
        held = [p for p in asked if p.name in self._decided]
        if binds:
            held = [p for p in held if p.row >= track.sent or not track.thinks_behind(p.row)]
        known = {p.name: self._decided[p.name] for p in held}
        track.version = self._version
        first = track.take(known)
        if first is None or first >= track.sent:
            return ""
        step = max(d.step for d in known.values())
        which = f"Compaction step {step}" if step else "Compaction"
        return f"{which}, which another conversation took, holds here too."

    def _recalled(self, pieces: Mapping[str, Piece]) -> bool:
        """Ask the store what was decided about these, and keep their originals; False: ask again.

        A store may have dropped an original since: it is here.
        """
        if not pieces:
            return True
        if self._rests():
            return False
        try:
            found = self.store.decided(list(pieces))
            originals = {d.content_id: pieces[name].exact for name, d in found.items()}
            if originals:
                self.store.put(originals)
        except Exception as error:  # noqa: BLE001 - a store that fails never breaks the host
            self._fail(error)
            return False
        self._remember(found)
        return True

    def _is_large(self, piece: Piece) -> bool:
        return self.wish.large is not None and piece.tokens >= self.wish.large

    def _say_kept(self, agent: str) -> None:
        """Say once whose results stay as they are."""
        if agent not in self._kept:
            self._kept.add(agent)
            self._say(
                f"Not compacted: agent {agent!r} has tools, but is not offered {RECALL!r}, so that "
                "it could not read again what was replaced."
            )

    def _rests(self) -> bool:
        """Whether the store has failed lately, and is left in peace."""
        return time.monotonic() < self._rests_until_s

    def _settle(
        self, track: Track, economy: Economy, agent: str
    ) -> tuple[dict[str, Decision], str]:
        """Decide, store, and put placeholders; says so where the prefix moves."""
        pieces, moves, why = settled(track, self.wish, economy, self._steps)
        if not pieces or self._rests():
            return {}, ""
        try:
            originals = {piece.content_id: piece.exact for piece in pieces}
            new = dict(self.store.put(originals, pieces.values()))
        except Exception as error:  # noqa: BLE001 - nothing is replaced that is not kept
            self._fail(error)
            return {}, ""
        self._remember(new)
        track.version = self._version
        before = track.tokens[1]
        first = track.take(new)
        if not moves:
            late = first is not None and first < track.sent
            return new, "Compaction: what its store could not keep before is kept now." * late
        of = f" of agent {agent!r}" if agent else ""
        told = (
            f"Compaction step {self._steps}: {len(pieces)} results{of} were replaced, and its "
            f"request shrank from about {before:,} to {track.tokens[1]:,} tokens. {why}"
        )
        self._say(told)
        return new, told

    def _remember(self, decisions: Mapping[str, Decision]) -> None:
        if not decisions:
            return
        self._version += 1
        self._decided |= decisions
        self._steps = max(self._steps, *(d.step for d in decisions.values()))
        while len(self._decided) > _DECISIONS:
            del self._decided[next(iter(self._decided))]

    def _fail(self, error: Exception) -> None:
        self._rests_until_s = time.monotonic() + _REST_S
        if not self._failed:
            self._failed = True
            self._say(
                f"Nothing more is compacted as long as its store fails ({error}); it is asked "
                f"again every {_REST_S:.0f} seconds."
            )
        _log.warning("agentcache could not use its store: %s", error)
