"""`agentcache demo compaction`: one long tool loop on every framework, with and without."""

import json
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Final, Literal, Protocol, cast, get_args

from agentcache.compaction import RECALL, Compaction
from agentcache.demo.loop import price
from agentcache.demo.scenario import Endpoint
from agentcache.demo.targets import EMULATED, is_anthropic
from agentcache.demo.traces import SYSTEM, coding_trace, task
from agentcache.dialects import dialect_of
from agentcache.errors import AgentcacheWarning, EndpointError, MissingExtraError, OptionError
from agentcache.ledger import Ledger
from agentcache.loopback import Answer, Logged, ToolCall, serve
from agentcache.loopback import Turn as Heard
from agentcache.rules import rule_for
from agentcache.usage import Usage
from agentcache.wrapping import observe, wrap

__all__ = ["DEFAULT", "NAME", "TOOL", "TURNS", "Loop", "Row", "Way", "check", "loops", "rows"]

NAME: Final = "compaction"
DEFAULT: Final = "gpt-6-luna"
TURNS: Final = 120
TOOL: Final = "run_step"
GROUP: Final = "agentcache.loops"
Way = Literal["as it is", "forked", "compacted"]
_ID: Final = "[compacted tool result "
_HALF: Final = 2


class Loop(Protocol):
    """What an adapter offers for this demo: one agent with one tool, called again and again."""

    def build(
        self, endpoint: Endpoint, tool: Callable[[int], str], system: str, turns: int
    ) -> object:
        """Make the agent as a user would write it, with room for so many turns."""
        ...

    def run(self, program: object, asked: str) -> str:
        """Ask it, and return what it answers in the end."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """What one loop sent, emulated: tokens, and the bill of its input in tokens of full price.

    `longest` is its longest request. `moves` are requests that do not begin with all of the one
    before, `announced` the steps that the ledger told. `recalled` says whether a result that was
    asked for again came back byte for byte; None where none was asked for.
    """

    framework: str
    model: str
    way: Way
    calls: int
    longest: int
    tokens: int
    cached: int
    bill: float
    moves: int
    announced: int
    recalled: bool | None
    source: Literal["emulated"] = "emulated"

    def as_json(self) -> dict[str, Any]:
        """The row as JSON."""
        return asdict(self)


def loops() -> tuple[dict[str, Loop], list[str]]:
    """The frameworks' loops that run here, by name, and those whose framework is missing."""
    found: dict[str, Loop] = {}
    missing: list[str] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        loop = _loaded(entry.value)
        if loop is None:
            missing.append(entry.name)
        else:
            found[entry.name] = loop
    return found, missing


def _loaded(module: str) -> Loop | None:
    try:
        return cast("Loop", import_module(module))
    except ImportError:  # MissingExtraError is one
        return None


def check(args: Namespace) -> tuple[str, ...]:
    """The models to run under; raises OptionError for options that this demo has not."""
    given: dict[str, object] = {
        "--model": args.model,
        "--slots": args.slots != 1,
        "--base-url": args.base_url,
        "--api-key-env": args.api_key_env,
        "--provider": args.provider,
        "--html": args.html,
        "--ledger": args.ledger,
    }
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise OptionError(
            f"{', '.join(wrong)}: the demo of compaction runs on the loopback provider alone. "
            "Choose whose rules it follows with --emulate MODEL, and its length with --turns N."
        )
    if args.turns is not None and args.turns < _HALF * 2:
        raise OptionError(f"--turns {args.turns}: a loop that is worth compacting is longer.")
    return EMULATED if args.emulate == "all" else (args.emulate or DEFAULT,)


def rows(
    name: str, loop: Loop, model: str, turns: int, say: Callable[[str], object]
) -> Iterator[Row]:
    """Run one framework's loop in every way; `say` is told what runs now."""
    if is_anthropic(model) and find_spec("anthropic") is None:
        raise MissingExtraError("anthropic", "anthropic")
    for way in get_args(Way):
        say(f"{name}: {way}")
        yield _row(name, loop, model, way, turns)


def _row(name: str, loop: Loop, model: str, way: Way, turns: int) -> Row:
    results = [turn.result for turn in coding_trace(turns)]
    script = _Script(turns, asks=way == "compacted")
    book = Ledger(source="emulated")
    with serve(script=script) as provider:
        claude = is_anthropic(model)
        url = provider.url if claude else provider.openai_url
        endpoint = Endpoint(url, model, "none", anthropic=claude)
        program = loop.build(endpoint, lambda step: results[step], SYSTEM, turns + _HALF)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AgentcacheWarning)
            wrapped = _in(way, program, book)
        try:
            loop.run(wrapped, task())
        except Exception as error:
            raise EndpointError(f"{name}: {type(error).__name__}: {error}.") from error
        sent = [one for one in provider.log if one.api != "other"]
    recalled = script.told[0] in results if script.told else None
    return _told(name, model, way, sent, book, recalled)


def _in(way: Way, program: object, book: Ledger) -> object:
    if way == "as it is":
        return observe(program, ledger=book)
    context = [task()]  # what a team of this project's agents would share
    compact = Compaction() if way == "compacted" else False
    return wrap(program, layout="fork", context=context, compact=compact, ledger=book)


class _Script:
    """A model that takes one step after another and, half-way, asks for a result again."""

    def __init__(self, turns: int, *, asks: bool) -> None:
        self._turns, self._taken, self._asks = turns, 0, asks
        self._asked = False
        self.told: list[str] = []
        """What came back when a result was asked for again."""

    def __call__(self, turn: Heard) -> Answer:
        if TOOL not in turn.tools:
            return Answer("It holds now.")
        if self._asked and not self.told:
            self.told = [result.text for result in turn.tool_results[-1:]]
        if self._asks and not self._asked and self._taken > self._turns // _HALF:
            name = json.dumps(turn.body).partition(_ID)[2].partition("]")[0]
            self._asked = RECALL in turn.tools and bool(name)
            if self._asked:
                return Answer(tool_calls=(ToolCall(RECALL, {"id": name}),))
        if self._taken == self._turns:
            return Answer("It holds now.")
        self._taken += 1
        return Answer(tool_calls=(ToolCall(TOOL, {"step": self._taken - 1}),))


def _told(
    name: str, model: str, way: Way, sent: Sequence[Logged], book: Ledger, recalled: bool | None
) -> Row:
    rule = rule_for(model)
    usages = [Usage(one.input_tokens, one.cached_tokens, one.cache_write_tokens) for one in sent]
    blocks = [_blocks(one) for one in sent]
    return Row(
        name,
        model,
        way,
        len(sent),
        max((usage.input_tokens or 0 for usage in usages), default=0),
        sum(usage.input_tokens or 0 for usage in usages),
        sum(usage.cached_tokens or 0 for usage in usages),
        sum(price(rule, usage) for usage in usages),
        sum(now[: len(was)] != was for was, now in pairwise(blocks)),
        sum(bool(call.moved) for call in book.calls),
        recalled,
    )


def _blocks(sent: Logged) -> list[bytes]:
    """What the provider hashes of a request, marks aside."""
    body = dict(sent.body)
    return [b.identity for b in dialect_of(body).hashed(body) if b.section != "params"]
