"""What is said of a window that is dropped in blocks: once of each agent, and at each step."""

from typing import Final

from agentcache.attach import Attachment

__all__ = ["Pace", "announce"]

_ROOM: Final = 64


class Pace:
    """Says when a window has moved on since the call before; conversations are told by a key."""

    def __init__(self, name: str) -> None:
        """Have seen nothing of the agent of this name."""
        self._name = name
        self._gone: dict[str, int] = {}

    def moved(self, gone: int, key: str = "") -> str:
        """Why the head of this request is not that of the one before; empty if it is.

        `gone` is how many messages are left out by now: fewer than before in one begun anew.
        """
        before = self._gone.pop(key, 0)
        self._gone[key] = gone
        while len(self._gone) > _ROOM:
            del self._gone[next(iter(self._gone))]
        if gone <= before:
            return ""
        return (
            f"Window of agent {self._name!r}: {gone - before} messages were dropped in one block, "
            f"{gone} by now."
        )


def announce(attachment: Attachment, name: str, kind: str) -> None:
    """Say in the report what became of an agent's window."""
    attachment.ledger.note(
        f"Window: {name}'s {kind} keeps its limit and drops messages in blocks of half of it, so "
        "that the head of its requests moves at each block and not at every turn."
    )
