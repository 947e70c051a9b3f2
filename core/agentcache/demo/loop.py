"""A tool loop driven through a strategy on the loopback provider, and what its input costs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from agentcache.blocks import dumps
from agentcache.compaction import RECALL
from agentcache.demo.strategies import Strategy
from agentcache.demo.targets import is_anthropic
from agentcache.demo.traces import SYSTEM, TOOLS, ToolTurn, task
from agentcache.dialects import Json
from agentcache.loopback.provider import Provider
from agentcache.loopback.tokens import pieces
from agentcache.loopback.values import Answer
from agentcache.rules import Rule, rule_for
from agentcache.usage import Usage

__all__ = ["Driven", "drive"]

_TURN_S: Final = 15.0
"""Between two calls of an agent that runs tools."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What a loop's input cost, emulated: `bill` in tokens of full price.

    `longest` is its longest request. `moves` are calls whose messages do not begin with those of
    the call before; `announced` are those that the strategy named as steps, `unannounced` the moves
    that it did not. `recalled` results were asked for again, and sent whole.
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
    rows = list(api.head())
    for turn in [*turns, None]:
        sent.add(api, strategy, rows)
        while (asked := strategy.wants()) is not None:
            rows += api.turn(asked, f"call_{len(rows)}")
            sent.add(api, strategy, rows)
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
    """The requests of one loop on a provider of its own, and the sums over them."""

    def __init__(self, model: str) -> None:
        self._rule = rule_for(model)
        self._ask = _provider()
        self._last: list[str] = []
        self._calls = self._tokens = self._longest = 0
        self._bill = 0.0
        self._moves = self._announced = self._unannounced = self._recalled = 0

    def add(self, api: _Chat | _Messages, strategy: Strategy, rows: Sequence[Json]) -> None:
        """Send what the strategy makes of these messages."""
        shaped = strategy.shape(api.request(rows))
        for request in shaped.before:
            self._charge(api.path, request)
        self._charge(api.path, shaped.request)
        messages = [dumps(row) for row in shaped.request["messages"]]
        moved = messages[: len(self._last)] != self._last
        self._last = messages
        self._moves += moved
        self._announced += shaped.announced
        self._unannounced += moved and not shaped.announced
        called = dumps(rows[-2]) if len(rows) > 1 else ""
        self._recalled += f'"{RECALL}"' in called and messages[-1] == dumps(rows[-1])

    def _charge(self, path: str, request: Json) -> None:
        usage = self._ask(path, request)
        self._calls += 1
        self._tokens += usage.input_tokens or 0
        self._longest = max(self._longest, usage.input_tokens or 0)
        self._bill += _price(self._rule, usage)

    def driven(self) -> Driven:
        """The sums."""
        return Driven(
            self._calls,
            self._tokens,
            self._bill,
            self._longest,
            self._moves,
            self._announced,
            self._unannounced,
            self._recalled,
        )


def _price(rule: Rule, usage: Usage) -> float:
    """A call's input in tokens of full price, by what its usage says."""
    read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    fresh = (usage.input_tokens or 0) - read - written
    return fresh + read * rule.read_multiplier + written * rule.ttl.write_multiplier


def _provider() -> Callable[[str, Json], Usage]:
    """The loopback provider without its network, cold; its clock goes on with every call."""
    ticks = count()
    now = [0.0]
    provider = Provider(
        script=lambda _: Answer("ok"),
        latency=None,
        faults=(),
        tokenizer=pieces,
        clock=lambda: now[0],
    )

    def ask(path: str, request: Json) -> Usage:
        now[0] = next(ticks) * _TURN_S
        call = provider.receive(path, {}, dumps(request).encode("utf-8", "surrogatepass"))
        turn, reading = provider.turn(call), provider.read(call)
        reply = provider.answer(call, turn, reading, with_usage=True)
        provider.publish(reading)
        body: Any = json.loads(json.dumps(provider.body(call, reply)))
        provider.log.clear()
        return Usage.from_payload(body["usage"])

    return ask
