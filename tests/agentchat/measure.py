"""What a program sent, read and said: counted on what the provider received."""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from autogen_agentchat.base import TaskResult

from agentcache import loopback

from . import play, programs

MODELS = ("gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5")
PRICE = {  # read, write, as multiples of a fresh input token
    "gpt-6-luna": (0.1, 1.25),
    "gpt-4.1-mini": (0.25, 1.0),
    "claude-haiku-5-5": (0.1, 1.25),
}
_MARKS = {"cache_control", "prompt_cache_breakpoint"}
_OWN_TO_A_RUN = {"id", "call_id", "models_usage", "created_at", "full_message_id", "request_id"}

Log = Sequence[loopback.Logged]


class Stage:
    """A provider whose play can be changed; made by `staged()`."""

    provider: loopback.Loopback

    def __init__(self) -> None:
        """Nothing is played yet."""
        self._script: loopback.Script = loopback.echo

    def answer(self, turn: loopback.Turn) -> loopback.Answer:
        """Answer as the play has it that is on."""
        return self._script(turn)

    def begin(self, script: loopback.Script | None = None) -> loopback.Loopback:
        """Begin a new play, before a provider that remembers nothing."""
        self._script = script or play.Play()
        self.provider.reset()
        return self.provider


@contextmanager
def staged() -> Iterator[Stage]:
    """A provider for several runs, one after another."""
    stage = Stage()
    with loopback.serve(script=stage.answer) as stage.provider:
        yield stage


@dataclass(frozen=True)
class Ran:
    """A program that ran, what the provider received of it, and what came of it."""

    program: programs.Program
    log: Log
    model: str
    result: TaskResult

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The requests to the model, in order of arrival."""
        return [json.loads(request.raw) for request in self.log]

    @property
    def transcript(self) -> list[Any]:
        """What was said, to be compared with another run of the program."""
        return transcript(self.result, ordered=self.program.ordered)

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Input, read and written tokens."""
        return tokens(self.log)

    @property
    def read(self) -> float:
        """The share of the input that the provider read from its cache."""
        total, cached, _ = self.tokens
        return cached / total

    @property
    def bill(self) -> float:
        """What the input cost, in fresh input tokens."""
        return bill(self.log, self.model)


async def run(
    factory: Callable[..., programs.Program],
    model: str,
    prepare: Callable[[programs.Program], Any] = lambda _program: None,
    *,
    info: Mapping[str, Any] | None = None,
    script: loopback.Script | None = None,
    stage: Stage | None = None,
    **options: Any,
) -> Ran:
    """Run a program, its agents on one client, on a fresh provider; `prepare` may wrap it.

    `info` overrides the client's model info; `options` go to the factory.
    """
    lent: AbstractContextManager[Stage] = nullcontext(stage) if stage else staged()
    with lent as made:
        provider = made.begin(script)
        client = programs.client(provider, model, **(info or {}))
        program = factory(lambda: client, **options)
        prepare(program)
        try:
            result = await program.arun()
        finally:
            await client.close()
        return Ran(program, calls(provider), model, result)


def calls(provider: loopback.Loopback) -> Log:
    """Requests to a model, as received."""
    return [request for request in provider.log if request.api != "other"]


def rendered(body: Mapping[str, Any]) -> str:
    """A request as a prompt's template renders it, without its marks: what a model reads.

    A message is its role and the texts of its parts; tools, their calls and results are JSON.
    """
    system = body.get("system")
    lines = [_json(tool) for tool in body.get("tools") or []]
    lines += [_json(body["response_format"])] if "response_format" in body else []
    lines += [f"system: {_text(system)}"] if system else []
    return "\n".join([*lines, *map(_message, body["messages"])])


def _message(message: Mapping[str, Any]) -> str:
    said = [_text(message.get("content") or [])]
    said += [_json(call) for call in message.get("tool_calls") or []]
    known = [message[key] for key in ("role", "name", "tool_call_id") if message.get(key)]
    return f"{' '.join(known)}: " + "\n".join(filter(None, said))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] if part["type"] == "text" else _json(part) for part in content)


def _json(value: Any) -> str:
    return json.dumps(_unmarked(value), ensure_ascii=False)


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _unmarked(v) for k, v in value.items() if k not in _MARKS}
    return [_unmarked(each) for each in value] if isinstance(value, list) else value


def extending(bodies: Sequence[Mapping[str, Any]]) -> float:
    """The share of all characters with which a request begins as an earlier one does."""
    texts = [rendered(body) for body in bodies]
    common = sum(
        max((_common(text, before) for before in texts[:at]), default=0)
        for at, text in enumerate(texts)
    )
    return common / sum(map(len, texts))


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    sizes = range(1, min(len(one), len(other)) + 1)
    return bisect_left(sizes, True, key=lambda size: one[:size] != other[:size])


def tokens(log: Log) -> tuple[int, int, int]:
    """Input, read and written tokens of a run, as the provider counted them."""
    return (
        sum(request.input_tokens or 0 for request in log),
        sum(request.cached_tokens or 0 for request in log),
        sum(request.cache_write_tokens or 0 for request in log),
    )


def bill(log: Log, model: str) -> float:
    """What the input of a run cost, in fresh input tokens."""
    read, write = PRICE[model]
    total, cached, written = tokens(log)
    return total - cached - written + cached * read + written * write


def transcript(result: TaskResult, *, ordered: bool = True) -> list[Any]:
    """The messages of a run and why it stopped, without ids, times and usage.

    Unordered, the messages are sorted: for agents that speak at the same time.
    """
    said = [_stable(message.model_dump(mode="json")) for message in result.messages]
    if not ordered:
        said.sort(key=lambda message: json.dumps(message, sort_keys=True))
    return [*said, result.stop_reason]


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _stable(v) for k, v in value.items() if k not in _OWN_TO_A_RUN}
    return [_stable(each) for each in value] if isinstance(value, list) else value
