"""`agentcache loopback`: run the emulated provider in a terminal until Ctrl-C."""

import argparse
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from rich.console import Console

from agentcache.errors import OptionError
from agentcache.loopback.families import FAMILIES
from agentcache.loopback.scripts import agent, echo
from agentcache.loopback.serving import Loopback, serve
from agentcache.loopback.values import Latency, Logged, Script
from agentcache.loopback.wire import dumps

__all__ = ["add_arguments", "run"]

_SCRIPTS: dict[str, Script] = {"agent": agent, "echo": echo}
_LATENCY = {
    "base": "base_s",
    "cached": "cached_tokens_per_s",
    "decode": "decode_tokens_per_s",
    "prefill": "prefill_tokens_per_s",
    "scale": "scale",
}
_POLL_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--port", type=int, default=8808, help="port on 127.0.0.1; 0 takes a free one"
    )
    parser.add_argument(
        "--script", choices=sorted(_SCRIPTS), default="echo", help="what the model answers"
    )
    parser.add_argument(
        "--latency",
        type=_latency,
        metavar="prefill=N,decode=N,cached=N,base=S,scale=X",
        help="tokens per second and seconds; instant when left out",
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE.jsonl", help="append every request, with its content"
    )


def run(args: argparse.Namespace, *, stop: threading.Event | None = None) -> int:
    """Serve until Ctrl-C, or until `stop` is set; print one line per request.

    Raises EndpointError when the port is taken.
    """
    console = Console(highlight=False, markup=False)
    log: Path | None = args.log
    try:
        opened = log.open("a", encoding="utf-8") if log else nullcontext()
    except OSError as error:
        raise OptionError(
            f"--log {log}: {error.strerror}. Name a file in a folder that is there."
        ) from error
    with (
        opened as file,
        serve(port=args.port, script=_SCRIPTS[args.script], latency=args.latency) as provider,
    ):
        _introduce(provider, console)
        try:
            _follow(
                provider, stop or threading.Event(), lambda logged: _show(logged, console, file)
            )
        except KeyboardInterrupt:
            console.print("stopped")
    return 0


def _introduce(provider: Loopback, console: Console) -> None:
    curl = f"curl {provider.openai_url}/chat/completions -H 'content-type: application/json' -d"
    body = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'
    lines = [
        "agentcache loopback provider: everything it reports is emulated, nothing is measured",
        f"  OpenAI base URL     {provider.openai_url}",
        f"  Anthropic base URL  {provider.url}",
        "  the model's name chooses the caching rules:",
        *(f"    {family:<18} {rule}" for family, rule in FAMILIES.items()),
        f"  {curl} '{body}'",
        "Ctrl-C stops it.",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _follow(provider: Loopback, stop: threading.Event, show: Callable[[Logged], None]) -> None:
    shown: set[str] = set()
    while True:
        last = stop.is_set()
        for logged in provider.log:
            if logged.ended_s is not None and logged.id not in shown:
                shown.add(logged.id)
                show(logged)
        if last:
            return
        stop.wait(_POLL_S)


def _show(logged: Logged, console: Console, file: IO[str] | None) -> None:
    console.print(_line(logged), soft_wrap=True)
    if file is not None:
        file.write(dumps(_record(logged)) + "\n")
        file.flush()


def _line(logged: Logged) -> str:
    seconds = (logged.ended_s or logged.started_s) - logged.started_s
    line = f"{logged.id} {logged.status} {logged.path} {logged.model} {seconds:.2f} s"
    if logged.input_tokens is None:
        return line
    written = logged.cache_write_tokens
    parts = [
        f"{logged.input_tokens} in",
        f"{logged.cached_tokens} cached",
        "writes not billed" if written is None else f"{written} written",
        f"{logged.output_tokens} out",
    ]
    return f"{line}: {', '.join(parts)} (emulated, {logged.family})"


def _record(logged: Logged) -> dict[str, object]:
    names = (
        "id", "path", "api", "model", "family", "stream", "status", "input_tokens",
        "cached_tokens", "cache_write_tokens", "output_tokens", "started_s", "first_event_s",
        "ended_s",
    )  # fmt: skip
    record: dict[str, object] = {
        "emulated": True,
        **{name: getattr(logged, name) for name in names},
    }
    answer = logged.answer
    calls = (
        [{"name": c.name, "arguments": dict(c.arguments)} for c in answer.tool_calls]
        if answer
        else []
    )
    return {
        **record,
        "headers": dict(logged.headers),
        "body": dict(logged.body),
        "answer": None if answer is None else {"text": answer.text, "tool_calls": calls},
    }


def _positive(number: str) -> float:
    value = float(number)
    if not value > 0:
        raise ValueError(number)
    return value


def _latency(text: str) -> Latency:
    given: dict[str, float] = {}
    for pair in text.split(","):
        name, _, number = pair.partition("=")
        try:
            given[_LATENCY[name.strip()]] = _positive(number)
        except (KeyError, ValueError):
            raise argparse.ArgumentTypeError(
                f"{pair!r} is not one of {', '.join(_LATENCY)} with a number above 0, as base=0.3"
            ) from None
    return Latency(**given)
