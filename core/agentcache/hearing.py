"""Hearing: what a fork's request says so far, and behind how much of it its own text stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentcache.anchors import START, Anchor, Follows, history_of
from agentcache.blocks import Block
from agentcache.dialects import Json, Parts
from agentcache.standings import Standing
from agentcache.talks import Talk, opening
from agentcache.transcripts import Transcript

if TYPE_CHECKING:
    from agentcache.sessions import Session

__all__ = ["Heard", "in_chat", "in_history"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it is to be laid: its `parts`, its conversation, the place of its own text.

    `behind` messages of its own stand between what all have said and that text. It `returns` to its
    own end at its next turn. `begun_plain` says that it goes on from a request that was sent as the
    program made it, `small` that it is forked below the provider's minimum, `once` that it does not
    come back to its own end within a turn. `remember(plain, written)` is called once it is known
    how it goes out. `scale` is what the provider has counted for a token that was estimated.
    """

    parts: Parts
    talk: Talk
    anchor: Anchor
    remember: Callable[[bool, bool], None]
    behind: int = 0
    returns: bool = False
    begun_plain: bool = False
    scale: float = 1.0
    small: bool = False
    once: bool = False
    chat: bool = False

    def loops(self, tools: Sequence[str]) -> bool:
        """Whether it comes back to its own end, with these tools, and so may write it."""
        return self.returns or (bool(tools) and not self.once)

    def why_not(self) -> str:
        """Why forking cannot pay here; empty if nothing speaks against it."""
        reason = self.talk.standing.why_not_with(self.anchor.weight, self.scale)
        if self.small and reason.startswith("below_minimum"):
            reason = ""
        if not reason and self.begun_plain:
            return "begun_plain: the request before was sent as it is, and this one goes on from it"
        return reason


def in_history(
    session: "Session",
    fork: tuple[int, str, Follows],
    parts: Parts,
    blocks: Sequence[Block],
    talk: Talk | None,
) -> Heard:
    """Hear a request whose agent may talk in one history with others.

    `fork` is its number, its name and what its text follows.
    """
    number, name, follows = fork
    if follows == "nothing":
        talk = talk or _talk(session, number, parts, lambda: session.stand(name, opening(parts)))
        return Heard(parts, talk, START, lambda _plain, _written: None)
    said = [b for b in blocks if b.section == "messages"]
    weights = [session.printer.weigh_block(b) for b in said]
    history, messages = history_of(session.parent.dialect, parts.messages, said, weights)
    parts = replace(parts, messages=messages)

    def stand() -> Standing:
        first = opening(parts)
        shared = session.anchors.path(number, history)
        if shared is None:
            return session.stand(name, first, parts.system)
        known = session.stand(name, parts.system)
        carried = all(any(text in mine for mine in first) for text in shared)
        return session.branch(shared) if carried else known

    talk = talk or _talk(session, number, parts, stand)
    own = sum(session.printer.weigh(text) for text in parts.system)
    anchor = START if talk.left else session.anchors.place(number, history, follows, own)

    def remember(plain: bool, _written: bool) -> None:
        session.anchors.ask(number, history, talk.standing.path, anchor, plain=plain)

    begun_plain = session.anchors.stays_plain(number, history)
    return Heard(
        parts, talk, anchor, remember, begun_plain=begun_plain, scale=session.printer.scale
    )


def in_chat(session: "Session", number: int, parts: Parts, transcript: Transcript) -> Heard:
    """Hear a request in a group chat: all its agents stand on the root, and read one transcript."""
    system = parts.system if transcript.system is None else transcript.system
    said = replace(parts, system=system, messages=transcript.messages)
    talk = _talk(session, number, said, lambda: session.standing)
    parent, wire = session.parent, session.parent.dialect

    def weigh(message: Json) -> int:
        blocks = wire.hashed({wire.messages_key: [message]})
        return sum(map(session.printer.weigh_block, blocks))

    place, asked = session.places.place(
        number, transcript, system, parent.rule, parent.ttl.write_multiplier, weigh
    )
    if not place.again:
        # A chat is one long conversation: each turn is judged, and goes on from what all share.
        talk.left, talk.standing = session.left, session.standing
        if parts.tools:
            talk.listed = None  # a program may open and close an agent's tools between its turns
    parts = replace(said, messages=transcript.around(place.anchor.at))

    def remember(plain: bool, written: bool) -> None:
        session.places.ask(asked, place, plain=plain, written=written)

    return Heard(
        parts,
        talk,
        place.anchor,
        remember,
        behind=transcript.behind(place.anchor.at),
        returns=place.returns,
        begun_plain=place.plain,
        scale=session.printer.scale,
        small=transcript.always,
        once=transcript.open_calls,
        chat=True,
    )


def _talk(session: "Session", number: int, parts: Parts, stand: Callable[[], Standing]) -> Talk:
    """The conversation; a new one stands where `stand` says."""
    length = len(parts.messages)
    return session.talks.of(number, opening(parts), length, lambda: (stand(), session.left))
