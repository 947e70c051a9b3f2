"""`agentcache demo breaks`: one program run twice, and what its user moved in between, named."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, Protocol, cast

import agentcache
from agentcache.demo import targets
from agentcache.demo.scenario import Endpoint, brief, find_scenario
from agentcache.errors import EndpointError, MissingExtraError, OptionError
from agentcache.ledger import Call, Ledger

__all__ = [
    "DEFAULT",
    "NAME",
    "Act",
    "Cause",
    "Moving",
    "Verb",
    "act",
    "check",
    "moving",
    "other_model",
]

Verb = Literal["observe", "wrap"]

NAME: Final = "breaks"
DEFAULT: Final = "gpt-4.1-mini"
_PAIRS: Final = (
    ("claude", ("claude-sonnet-5-5", "claude-haiku-5-5")),
    ("gpt-4", ("gpt-4.1", "gpt-4.1-mini")),
    ("gpt-", ("gpt-6-sol", "gpt-6-luna")),
)
"""What a model is swapped for, by how its name begins; the second one where it is the first."""
_LATER: Final = timedelta(seconds=61)


@dataclass(frozen=True, slots=True)
class Cause:
    """What is moved under one agent, and why it costs what it costs in a fork."""

    agent: str
    what: str
    forked: str


class Moving(Protocol):
    """What the module of this demo offers: a program that breaks as users' programs do."""

    causes: tuple[Cause, ...]
    """What `run` and `move` change from the first run to the second, in the order of the calls."""

    def build(self, endpoint: Endpoint, brief: str) -> object:
        """Make the program as a user would write it."""
        ...

    def run(self, program: object, now: str) -> None:
        """Run the program to its end; `now` is the time as its user tells it."""
        ...

    def move(self, program: object, endpoint: Endpoint) -> None:
        """Change what users change between two runs; `endpoint` has the model to swap to."""
        ...


@dataclass(frozen=True, slots=True)
class Act:
    """Both runs of the program under one verb; `first` calls belong to the first run."""

    verb: Verb
    ledger: Ledger
    first: int

    def opening(self, agent: str) -> Call | None:
        """The first call of an agent in the second run."""
        return next((c for c in self.ledger.calls[self.first :] if c.agent == agent), None)


def check(args: Namespace) -> None:
    """Raise OptionError for options that this demo has not, or a file that cannot be written."""
    given: Mapping[str, object] = {
        "--model": args.model,
        "--slots": args.slots != 1,
        "--base-url": args.base_url,
        "--api-key-env": args.api_key_env,
        "--provider": args.provider,
    }
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise OptionError(
            f"{', '.join(wrong)}: the demo of breaks runs on the loopback provider alone. "
            "Choose whose rules it follows with --emulate MODEL."
        )
    other_model(args.emulate or DEFAULT)
    for name, path in (("--html", args.html), ("--ledger", args.ledger)):
        if path is not None and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
            raise OptionError(f"{name} {path}: no file can stand there; name one in a folder.")


def other_model(model: str) -> str:
    """The model that an agent is moved to; raises OptionError where none is known."""
    for start, (other, second) in _PAIRS:
        if model.startswith(start):
            return second if model == other else other
    raise OptionError(
        f"--emulate {model!r}: the demo of breaks takes one model whose name begins with claude- "
        f"or gpt-, such as {', '.join(targets.EMULATED)}."
    )


def moving(model: str) -> Moving:
    """Load the program; raises MissingExtraError where its framework, or the model's, is not."""
    program = cast("Moving", find_scenario(NAME))
    if targets.is_anthropic(model) and find_spec("anthropic") is None:
        raise MissingExtraError("anthropic", "anthropic")
    return program


def act(
    scenario: Moving,
    model: str,
    verb: Verb,
    say: Callable[[str], object],
    path: str | None = None,
) -> Act:
    """Run the program twice under one verb, on a cold provider; breaks are said as they happen."""
    ledger = Ledger(path, source="emulated", content=True)
    now = datetime.now().astimezone()
    verbs: Mapping[Verb, Callable[..., object]] = {
        "observe": agentcache.observe,
        "wrap": agentcache.wrap,
    }
    with targets.emulated(model).open() as endpoint:
        program = scenario.build(endpoint, brief())
        verbs[verb](program, ledger=ledger, on_break=lambda found: say(str(found)))
        _run(scenario, program, now)
        first = len(ledger.calls)
        say(f"first run, {first} calls: {_count(len(ledger.breaks))}")
        scenario.move(program, replace(endpoint, model=other_model(model)))
        verbs[verb](program)  # takes in the model that came since
        _run(scenario, program, now + _LATER)
    say(f"second run, {len(ledger.calls) - first} calls: {_count(len(ledger.breaks))}")
    return Act(verb, ledger, first)


def _run(scenario: Moving, program: object, now: datetime) -> None:
    try:
        scenario.run(program, f"{now:%Y-%m-%d %H:%M:%S}")
    except Exception as error:
        raise EndpointError(f"The run failed: {type(error).__name__}: {error}.") from error


def _count(breaks: int) -> str:
    return {0: "no break", 1: "1 break"}.get(breaks, f"{breaks} breaks")
