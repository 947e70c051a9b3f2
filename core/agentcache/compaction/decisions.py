"""What was decided about tool results: once, and never otherwise."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

from agentcache.errors import OptionError

__all__ = ["Decision", "DecisionLog", "Reason", "read", "written"]

Reason = Literal["unsent", "pays", "cold", "limit"]
"""Before it was ever sent; the step pays; the prefix was cold anyway; the context was full."""
_REASONS: Final = get_args(Reason)


@dataclass(frozen=True, slots=True)
class Decision:
    """One result that a placeholder stands for from now on.

    `name` tells the result in its conversation, `content_id` its content in the store. `step`
    counts the times at which the prefix was moved: 0 for what was never sent in full. `tokens` are
    those of the result and of its placeholder, estimated. `kind` says what else it may be.
    """

    name: str
    content_id: str
    tool: str
    text: str
    reason: Reason
    step: int
    tokens: tuple[int, int]
    kind: str = "result"


@dataclass(frozen=True)
class DecisionLog:
    """Decisions in the order they were made. It never changes: `with_` makes a longer one.

    Forks are given their parent's, and so compact what they inherit exactly as it did.
    """

    decisions: tuple[Decision, ...] = ()
    _by_name: Mapping[str, Decision] = field(
        default_factory=dict[str, Decision], repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Index the decisions by the results that they are about."""
        if len(self._by_name) != len(self.decisions):
            object.__setattr__(self, "_by_name", {d.name: d for d in self.decisions})

    def __len__(self) -> int:
        """How many there are."""
        return len(self.decisions)

    def __iter__(self) -> Iterator[Decision]:
        """The decisions, the first one first."""
        return iter(self.decisions)

    @property
    def steps(self) -> int:
        """How often the prefix was moved."""
        return max((d.step for d in self.decisions), default=0)

    def of(self, name: str) -> Decision | None:
        """What was decided about a result; None if nothing was."""
        return self._by_name.get(name)

    def with_(self, more: Iterable[Decision]) -> "DecisionLog":
        """Make a log with more decisions; what was decided before stays as it was."""
        new = {d.name: d for d in more if d.name not in self._by_name}
        if not new:
            return self
        return DecisionLog((*self.decisions, *new.values()), {**self._by_name, **new})

    def to_json(self) -> str:
        """One line for each decision."""
        return "".join(written(d) + "\n" for d in self.decisions)

    @classmethod
    def from_json(cls, text: str) -> "DecisionLog":
        """Read what `to_json` wrote; raises OptionError with the number of a line that is none."""
        log = cls()
        return log.with_(_decision(n, line) for n, line in enumerate(text.splitlines(), 1) if line)


def written(decision: Decision) -> str:
    """A decision as one line of JSON."""
    return json.dumps(asdict(decision), ensure_ascii=False)


def read(line: str) -> Decision:
    """Read what `written` wrote."""
    return _decision(1, line)


def _decision(number: int, line: str) -> Decision:
    try:
        row: dict[str, Any] = json.loads(line)
        before, after = row.pop("tokens")
        found = Decision(**row, tokens=(int(before), int(after)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OptionError(f"line {number} holds no decision: {error}.") from error
    if found.reason not in _REASONS:
        raise OptionError(f"line {number} holds no decision: reason {found.reason!r} is unknown.")
    return found
