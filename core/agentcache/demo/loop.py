"""A tool loop driven through a strategy on the loopback provider, and what its input costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from agentcache.blocks import dumps
from agentcache.demo.strategies import Once, Shaped, Strategy
from agentcache.demo.targets import is_anthropic
from agentcache.demo.traces import SYSTEM, TOOLS, ToolTurn, task
from agentcache.dialects import Json
from agentcache.loopback.provider import Provider
from agentcache.loopback.tokens import pieces
from agentcache.loopback.values import Answer, Turn
from agentcache.rules import Rule, rule_for
from agentcache.usage import Usage

__all__ = ["Driven", "drive", "price"]

_TURN_S: Final = 15.0
"""Between two calls of an agent that runs tools."""
_UNREAD: Final = Turn("other", "", (), (), (), None, (), None, {})
"""What a script is shown that says the same to all."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What a loop's input cost, emulated: `bill` in tokens of full price.

    `longest` is its longest request. `moves` are calls whose messages do not begin with those of
    the call before, byte for byte; `announced` are steps that the strategy named, `unannounced` the
    moves that it did not. `recalled` results were asked for again, and sent whole.
    """

    calls: int
    tokens: int
    bill: float
    longest: int
    moves: int
    announced: int
    unannounced: int
    recalled: int


def drive(model: str, turns: Sequence[ToolTurn], strategy: Strategy) -> Driven:
    """Send the loop's requests, one more than it has turns, each shaped by the strategy."""
    api = _Messages(model) if is_anthropic(model) else _Chat(model)
    sent = _Sent(model)
    rows = api.head()
    for turn in [*turns, None]:
        sent.add(api.path, strategy.shape(api.request(rows)))
        while (asked := strategy.wants()) is not None:
            rows += api.turn(asked, f"call_{len(rows)}")
            sent.add(api.path, strategy.shape(api.request(rows)), recalled=rows[-1])
        if turn is not None:
            rows += api.turn(turn, f"call_{len(rows)}")
    return sent.driven()


@dataclass(frozen=True, slots=True)
class _Chat:
    """Chat Completions; where the model takes marks, one stands behind the task."""

    model: str
    path: str = "/v1/chat/completions"

    def head(self) -> list[Json]:
        part: Json = {"type": "text", "text": task()}
        if rule_for(self.model).marks:
            part["prompt_cache_breakpoint"] = {"mode": "explicit"}
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": [part]}]

    def turn(self, turn: ToolTurn, call_id: str) -> list[Json]:
        function = {"name": turn.tool, "arguments": dumps(turn.arguments)}
        call = {"id": call_id, "type": "function", "function": function}
        return [
            {"role": "assistant", "content": turn.said, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": turn.result},
        ]

    def request(self, rows: Sequence[Json]) -> Json:
        tools = [
            {"type": "function", "function": {"name": name, "parameters": _schema(name)}}
            for name in TOOLS
        ]
        return {"model": self.model, "tools": tools, "messages": list(rows)}


@dataclass(frozen=True, slots=True)
class _Messages:
    """Anthropic Messages: a mark behind the task, and one that goes along with the end."""

    model: str
    path: str = "/v1/messages"

    def head(self) -> list[Json]:
        part = {"type": "text", "text": task(), "cache_control": {"type": "ephemeral"}}
        return [{"role": "user", "content": [part]}]

    def turn(self, turn: ToolTurn, call_id: str) -> list[Json]:
        said = {"type": "text", "text": turn.said}
        used = {"type": "tool_use", "id": call_id, "name": turn.tool, "input": turn.arguments}
        told = {"type": "tool_result", "tool_use_id": call_id, "content": turn.result}
        return [{"role": "assistant", "content": [said, used]}, {"role": "user", "content": [told]}]

    def request(self, rows: Sequence[Json]) -> Json:
        return {
            "model": self.model,
            "max_tokens": 1_000,
            "cache_control": {"type": "ephemeral"},
            "system": SYSTEM,
            "tools": [{"name": name, "input_schema": _schema(name)} for name in TOOLS],
            "messages": list(rows),
        }


def _schema(tool: str) -> Json:
    told = {key: {"type": "string", "description": text} for key, text in TOOLS[tool].items()}
    return {"type": "object", "properties": told}


class _Sent:
    """The requests of one loop on a cold provider of its own."""

    def __init__(self, model: str) -> None:
        self._rule = rule_for(model)
        self._ask = _provider()
        self._last: list[Json] = []
        self._usages: list[Usage] = []
        self._moves: list[bool] = []
        """Whether each move was announced."""
        self._announced = 0
        self._whole = 0

    def add(self, path: str, shaped: Shaped, recalled: Json | None = None) -> None:
        """Send a request; the last of its messages should tell what was `recalled`, whole."""
        for request in (*shaped.before, shaped.request):
            self._usages.append(self._ask(path, request))
        messages: list[Json] = shaped.request["messages"]
        if not _begins(messages, self._last):
            self._moves.append(shaped.announced)
        self._announced += shaped.announced
        self._whole += recalled is not None and _same(messages[-1], recalled)
        self._last = messages

    def driven(self) -> Driven:
        """What all of them came to."""
        tokens = [usage.input_tokens or 0 for usage in self._usages]
        return Driven(
            len(tokens),
            sum(tokens),
            sum(price(self._rule, usage) for usage in self._usages),
            max(tokens),
            len(self._moves),
            self._announced,
            self._moves.count(False),
            self._whole,
        )


def _begins(messages: Sequence[Json], before: Sequence[Json]) -> bool:
    """Whether messages begin with those that were sent before, byte for byte."""
    return len(messages) >= len(before) and all(map(_same, messages, before))


def _same(one: Json, other: Json) -> bool:
    return one is other or dumps(one) == dumps(other)


def price(rule: Rule, usage: Usage) -> float:
    """A call's input in tokens of full price, by what its usage says."""
    read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    fresh = (usage.input_tokens or 0) - read - written
    return fresh + read * rule.read_multiplier + written * rule.ttl.write_multiplier


def _provider() -> Callable[[str, Json], Usage]:
    """The loopback provider without its network, cold; its clock goes on with every call."""
    ticks = count()
    now = [0.0]
    written: Once[str] = Once(dumps)
    provider = Provider(
        script=lambda _: Answer("ok"),
        latency=None,
        faults=(),
        tokenizer=pieces,
        clock=lambda: now[0],
    )

    def ask(path: str, request: Json) -> Usage:
        now[0] = next(ticks) * _TURN_S
        front = dumps({key: value for key, value in request.items() if key != "messages"})
        rows = ",".join(map(written, request["messages"]))
        raw = f'{front[:-1]},"messages":[{rows}]}}'.encode("utf-8", "surrogatepass")
        call = provider.receive(path, {}, raw)
        reading = provider.read(call)
        reply = provider.answer(call, _UNREAD, reading, with_usage=True)
        provider.publish(reading)
        provider.log.clear()
        return Usage.from_payload(provider.body(call, reply)["usage"])

    return ask
