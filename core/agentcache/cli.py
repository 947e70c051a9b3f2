"""Fork the agents of a program from one shared parent: a demo, an engine, a provider, rules."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final

from agentcache.errors import AgentcacheError

__all__ = ["main"]

_PIPE: Final = 141
"""What a shell makes of SIGPIPE."""
_COMMANDS: Final = {
    "breaks": ("agentcache.breaks_command.breaks", "say what broke in a recorded run"),
    "compact": (
        "agentcache.compact_command",
        "say what compaction would replace in a recorded run",
    ),
    "demo": ("agentcache.demo.command", "run one program as it is and wrapped, and compare"),
    "diff": ("agentcache.breaks_command.diff", "say what broke between two requests"),
    "engine": ("agentcache.engine.command", "run the embedded engine until Ctrl-C"),
    "lock": ("agentcache.lock_command", "write down or check what a program's agents share"),
    "loopback": ("agentcache.loopback.command", "run the emulated provider until Ctrl-C"),
    "report": ("agentcache.breaks_command.report", "report on a recorded run"),
    "rules": ("agentcache.rules_command", "show the caching rules, of all models or of one"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors of ours are one line on standard error, without a traceback."""
    try:
        return _told(list(sys.argv[1:] if argv is None else argv))
    except OSError as error:
        if not _is_shut():
            raise
        return _unheard(error)
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        return _PIPE  # rich ends with 1, which is a verdict here
    except KeyboardInterrupt:
        print("agentcache: stopped.", file=sys.stderr, flush=True)
        os._exit(130)  # a framework's threads would print tracebacks for seconds


def _told(words: list[str]) -> int:
    try:
        return _run(words)
    except AgentcacheError as error:
        print(f"agentcache: {error}", file=sys.stderr)
        return 2
    finally:
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - where it is closed
            sys.stdout.flush()  # here, where it can still be said that it fails


def _is_shut() -> bool:
    """Whether standard output takes nothing more."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def _unheard(error: OSError) -> int:
    """End for an output that takes no more: silently if its reader, such as head, has enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
    if isinstance(error, BrokenPipeError):
        return _PIPE
    print(f"agentcache: standard output cannot be written: {error.strerror}.", file=sys.stderr)
    return 2


def _run(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="agentcache", description=__doc__)
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name in words[:1]:
            import_module(module).add_arguments(sub)
    args = parser.parse_args(words)
    return int(import_module(_COMMANDS[args.command][0]).run(args))


def _version() -> str:
    return f"agentcache {version('agentcache')}"


if __name__ == "__main__":
    sys.exit(main())
