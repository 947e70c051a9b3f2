"""What a program sent, read and said: counted on what the provider received."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcache import loopback

from . import programs

MODELS = ("gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5")
PRICE = {  # read, write, as multiples of a fresh input token
    "gpt-6-luna": (0.1, 1.25),
    "gpt-4.1-mini": (0.25, 1.0),
    "claude-haiku-5-5": (0.1, 1.25),
}
_MARKS = {"cache_control", "prompt_cache_breakpoint"}
_OWN_TO_A_RUN = {"id", "tool_call_id"}


@dataclass(frozen=True)
class Ran:
    """A program that ran on a provider of its own, and what came of it."""

    program: programs.Program
    provider: loopback.Loopback
    model: str
    outcome: programs.Outcome

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The requests to the model, in order of arrival."""
        return [json.loads(request.raw) for request in calls(self.provider)]

    @property
    def transcript(self) -> list[Any]:
        """What was said, to be compared with another run of the program."""
        return transcript(self.outcome)

    @property
    def bill(self) -> float:
        """What the input cost, in fresh input tokens."""
        return bill(self.provider, self.model)


def run(
    factory: Callable[..., programs.Program],
    model: str,
    prepare: Callable[[programs.Program], Any] = lambda _program: None,
    *,
    entry: Mapping[str, Any] | None = None,
    **options: Any,
) -> Ran:
    """Run a program on a fresh provider; `prepare` may wrap it.

    `entry` adds to the config's entry; `options` go to the factory.
    """
    with loopback.serve(script=programs.Play()) as provider:
        program = factory(programs.llm_config(provider, model, **(entry or {})), **options)
        prepare(program)
        return Ran(program, provider, model, program.run())


async def arun(
    factory: Callable[..., programs.Program],
    model: str,
    prepare: Callable[[programs.Program], Any] = lambda _program: None,
    *,
    entry: Mapping[str, Any] | None = None,
    **options: Any,
) -> Ran:
    """The same, by the chat's asynchronous twin."""
    with loopback.serve(script=programs.Play()) as provider:
        program = factory(programs.llm_config(provider, model, **(entry or {})), **options)
        prepare(program)
        return Ran(program, provider, model, await program.arun())


def calls(provider: loopback.Loopback) -> list[loopback.Logged]:
    """Requests to a model, as received."""
    return [request for request in provider.log if request.api != "other"]


def rendered(body: Mapping[str, Any]) -> str:
    """A request in the order a prompt is rendered in, without its marks, one part a line."""
    system = body.get("system")
    parts = [
        *(body.get("tools") or []),
        *([body["response_format"]] if "response_format" in body else []),
        *([system] if isinstance(system, str) else system or []),
        *body["messages"],
    ]
    return "\n".join(json.dumps(_unmarked(part), ensure_ascii=False) for part in parts)


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
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def tokens(provider: loopback.Loopback) -> tuple[int, int, int]:
    """Input, read and written tokens of a run, as the provider counted them."""
    made = calls(provider)
    return (
        sum(request.input_tokens or 0 for request in made),
        sum(request.cached_tokens or 0 for request in made),
        sum(request.cache_write_tokens or 0 for request in made),
    )


def bill(provider: loopback.Loopback, model: str) -> float:
    """What the input of a run cost, in fresh input tokens."""
    read, write = PRICE[model]
    total, cached, written = tokens(provider)
    return total - cached - written + cached * read + written * write


def transcript(outcome: programs.Outcome) -> list[Any]:
    """What was said to all, the summary, and what each agent holds of it, without ids."""
    return [_stable(outcome.said), _stable(outcome.summary), _stable(outcome.heard)]


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _stable(v) for k, v in value.items() if k not in _OWN_TO_A_RUN}
    return [_stable(each) for each in value] if isinstance(value, list) else value
