"""`agentcache engine`: serve a real model until Ctrl-C."""

import json
import signal
from argparse import ArgumentParser, Namespace
from threading import Event

from agentcache.engine.server import Engine, serve

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache engine`."""
    parser.add_argument(
        "--model",
        default="agent",
        metavar="agent|smollm2|PATH",
        help="the constructed agent (2.4 MB, written now), SmolLM2-135M (93 MB, downloaded once), "
        "or a GGUF file",
    )
    parser.add_argument("--slots", type=int, default=1, help="requests at once (default: 1)")
    parser.add_argument("--threads", type=int, help="default: 1 for agent, else 2")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")


def run(args: Namespace) -> int:
    """Serve as the arguments say; return 0 after Ctrl-C or SIGTERM.

    Raises:
        EngineError: the model or the port cannot be had.
    """
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serve(args.model, slots=args.slots, threads=args.threads, port=args.port) as engine:
            print(_sign(engine), flush=True)
            Event().wait()
    except KeyboardInterrupt:
        print("Stopped.")
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _sign(engine: Engine) -> str:
    asked = {"model": engine.model, "messages": [{"role": "user", "content": "Hello"}]}
    return (
        f"OpenAI base URL     {engine.openai_url}\n"
        f"Anthropic base URL  {engine.url}\n"
        f"Model               {engine.model} ({engine.slots} x {engine.context} tokens)\n"
        f"Counters            {engine.url}/metrics\n\n"
        f"curl {engine.openai_url}/chat/completions"
        f" -H 'Content-Type: application/json' -d '{json.dumps(asked)}'\n\n"
        "Ctrl-C stops it."
    )
