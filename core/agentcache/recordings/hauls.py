"""What a reader brings home from a file."""

from dataclasses import dataclass, field

from agentcache.recordings.values import Recorded

__all__ = ["Haul"]


@dataclass(slots=True)
class Haul:
    """Calls found, how many other entries there were, and how many could not be read.

    `cause` says why the first of those could not; `line` is the one being read, 0 if unknown.
    """

    calls: list[Recorded] = field(default_factory=list[Recorded])
    others: int = 0
    unread: int = 0
    cause: str = ""
    line: int = 0

    def add(self, call: Recorded | None) -> None:
        """Keep a call; None is something else that the file holds."""
        if call is None:
            self.others += 1
        else:
            self.calls.append(call)

    def miss(self, cause: str) -> None:
        """Count what cannot be read; `cause` shows nothing of its content."""
        self.unread += 1
        where = f"line {self.line}: " if self.line else ""
        self.cause = self.cause or f"{where}{cause}"
