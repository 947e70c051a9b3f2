"""What a demo runs on: the embedded engine, the loopback provider, or a live endpoint."""

import os
import re
import secrets
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from agentcache.demo.scenario import Endpoint, Scenario
from agentcache.errors import EndpointError, OptionError
from agentcache.loopback.values import Answer, Latency, Turn

__all__ = ["EMULATED", "Target", "emulated", "engine", "live"]

EMULATED = ("gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5")
"""Models shown by `--emulate all`: one of each caching family."""

_REACH_S = 5.0
_NOTE = 80
_NOTES = 8
_ON = ", on: "
"""Stands in every line of a scripted page, after whose line it is."""
_REAL_MODEL_TOKENS = 24
_SELECTION = re.compile(r"select the next role from \[([^\]]*)\] to play")
"""How both of AutoGen's families ask who speaks next, among whom."""
_LATENCY = Latency(
    prefill_tokens_per_s=12_000, cached_tokens_per_s=400_000, decode_tokens_per_s=1_500, base_s=0.05
)


@dataclass(frozen=True, slots=True)
class Target:
    """A model to run on. `open` starts it cold; `nonce` keeps runs on it apart, if needed."""

    name: str
    source: Literal["measured", "emulated"]
    open: Callable[[], AbstractContextManager[Endpoint]]
    provider: str | None = None
    nonce: Callable[[], str] = str
    warms_up: bool = True


def engine(scenario: Scenario, model: str, *, slots: int = 1) -> Target:
    """The embedded engine, started anew for every run, so that each run starts cold."""
    from agentcache.engine import ToolCue, serve, smollm2  # noqa: PLC0415 - an extra

    cues = [ToolCue(name, arguments) for name, arguments in scenario.tool_calls]
    if model == "smollm2":
        smollm2()  # downloads, and says so, before the clock runs

    @contextmanager
    def start() -> Generator[Endpoint]:
        constructed = model == "agent"
        options: dict[str, Any] = {"tools": cues} if constructed else {}
        with serve(model, slots=slots, **options) as running:
            limit = None if constructed else _REAL_MODEL_TOKENS
            yield Endpoint(
                running.openai_url, running.model, "none", max_tokens=limit, chooses=False
            )

    return Target(f"engine: {model}", "measured", start, provider="llama.cpp")


def emulated(model: str) -> Target:
    """The loopback provider under the rules of the model's family."""

    @contextmanager
    def start() -> Generator[Endpoint]:
        from agentcache.loopback import serve  # noqa: PLC0415 - an extra

        with serve(script=page, latency=_LATENCY) as provider:
            anthropic = is_anthropic(model)
            url = provider.url if anthropic else provider.openai_url
            yield Endpoint(url, model, "none", anthropic=anthropic)

    return Target(model, "emulated", start)


def is_anthropic(model: str) -> bool:
    """Whether a model is spoken to in Anthropic's API."""
    return model.startswith("claude")


def live(
    base_url: str | None, model: str, key_variable: str | None, provider: str | None
) -> Target:
    """A provider's own endpoint; the key, if it needs one, is in an environment variable."""
    key = os.environ.get(key_variable) if key_variable else "none"
    if not key:
        raise OptionError(
            f"--api-key-env {key_variable}: that variable is not set. Put your key in it, or name "
            "another variable."
        )
    if base_url:
        _check_reachable(base_url)
    endpoint = Endpoint(base_url or "", model, key, anthropic=is_anthropic(model))

    @contextmanager
    def start() -> Generator[Endpoint]:
        yield endpoint

    def nonce() -> str:
        return f"(run {secrets.token_hex(4)})\n"

    return Target(model, "measured", start, provider, nonce, warms_up=False)


def _check_reachable(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionError(f"--base-url {base_url!r} is no URL; it looks like https://host/v1.")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=_REACH_S).close()
    except OSError as error:
        raise EndpointError(
            f"--base-url {base_url}: {parts.hostname} port {port} does not answer ({error}). "
            "Start the server, or correct the URL."
        ) from error


def page(turn: Turn) -> Answer:
    """A scripted model whose answers are a page long, as the demo's tasks ask."""
    from agentcache.loopback import agent  # noqa: PLC0415 - an extra

    said = [text.text for text in turn.texts]
    selectable = _SELECTION.findall("\n".join(said))
    if selectable:
        return Answer(_next_speaker(re.findall(r"'([^']+)'", selectable[-1]), said))
    answer = agent(_without_reported(turn))
    role = re.findall(r"You are ([^.]+)\.", " ".join(said))[-1:]
    if answer.tool_calls or not role:
        return answer
    document = max(said, key=len).splitlines()
    notes = [f"- {role[0]}{_ON}{line}" for line in document if len(line) > _NOTE][:_NOTES]
    return replace(answer, text="\n".join([answer.text, *notes]))


def _next_speaker(names: Sequence[str], said: Sequence[str]) -> str:
    """Who has written least so far; of several the first."""
    whole = "\n".join(said)
    return min(names, key=lambda name: whole.count(f"- the {name}{_ON}"))


def _without_reported(turn: Turn) -> Turn:
    """The turn less tool results that a page follows: in a chat they are somebody else's."""
    heard = [text for text in turn.texts if text.role == "tool" or _ON in text.text]
    return replace(turn, tool_results=()) if heard and heard[-1].role != "tool" else turn
