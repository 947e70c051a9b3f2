"""What a framework's demo offers, and how it is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any, Protocol, cast

from agentcache.errors import OptionError

__all__ = ["Endpoint", "Scenario", "brief", "find_scenario", "scenarios"]

GROUP = "agentcache.demos"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a demo's model answers. `anthropic` says whether it is spoken to as Anthropic's API.

    `chooses` says whether the model can say who speaks next.
    """

    base_url: str
    model: str
    api_key: str
    anthropic: bool = False
    max_tokens: int | None = None
    chooses: bool = True


class Scenario(Protocol):
    """What a demo module offers, as module-level names.

    It may also have: `reading` and `engine_note`, lines of the legend (how to read the table,
    what is different on the embedded engine), and `missing(package)`, the error for a package that
    it needs.
    """

    tool_calls: Sequence[tuple[str, Mapping[str, Any]]]
    """Tools of the program with the arguments that the constructed model calls them with."""

    def build(self, endpoint: Endpoint, brief: str, *, parallel: bool) -> object:
        """Make the program as a user would write it; the brief is pasted into every task."""
        ...

    def run(self, program: object) -> str:
        """Run the program to its end and return what it answered."""
        ...


def scenarios() -> list[str]:
    """Names of the demos that are installed."""
    return sorted(e.name for e in entry_points(group=GROUP))


def find_scenario(name: str) -> Scenario:
    """Load a demo by name; raises OptionError naming those there are, MissingExtraError."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return cast("Scenario", import_module(entry.value))
    raise OptionError(f"No demo {name!r}. Installed: {', '.join(scenarios()) or 'none'}.")


def brief() -> str:
    """The document that all workers of a demo share, about 2,000 tokens."""
    return files("agentcache.demo").joinpath("brief.md").read_text(encoding="utf-8")
