"""`agentcache breaks`: what broke in a recorded run, with an exit status for CI."""

import json
from argparse import ArgumentParser, Namespace
from typing import Final, get_args

from rich.console import Console

from agentcache.breaks.values import Kind
from agentcache.breaks_command.words import as_json, say, summary
from agentcache.errors import OptionError
from agentcache.recordings import FORMS, read

__all__ = ["add_arguments", "run"]

_KINDS: Final[tuple[str, ...]] = get_args(Kind)
_FORMS: Final = "; ".join(FORMS.values())


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache breaks`."""
    parser.add_argument("recording", metavar="FILE", help=_FORMS)
    parser.add_argument("--form", choices=sorted(FORMS), help="what FILE is, if it does not tell")
    parser.add_argument("--provider", help="whose rules hold, if models and hosts do not tell")
    parser.add_argument(
        "--fail-on",
        default="any",
        metavar="KIND,...",
        help="kinds of breaks for which the exit status is 1: 'any' (the default), 'none', or a "
        f"list of: {', '.join(_KINDS)}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(args: Namespace) -> int:
    """Say what broke; 1 if any of it is of the kinds to fail on.

    Raises:
        OptionError: a file that is no recording, or a kind or a provider that does not exist.

    """
    failing = _kinds(args.fail_on)
    recording = read(args.recording, form=args.form)
    ledger = recording.ledger(args.provider)
    broken = [call for call in ledger.calls if call.broke is not None]
    found = ledger.breaks
    if args.json:
        told = [
            {"call": call.index, "compared_with": call.kin, **as_json(call.broke)}
            for call in broken
            if call.broke is not None
        ]
        head = {"file": str(recording.path), "form": recording.form, "calls": len(recording)}
        print(json.dumps({**head, "notes": recording.remarks(), "breaks": told}, indent=1))
    else:
        console = Console(highlight=False)
        for one in found:
            say(console, f"{one}\n")
        agents = len({call.agent for call in ledger.calls})
        say(console, summary(found, len(recording), agents), "bold")
        for line in recording.remarks():
            say(console, line, "dim")
    return int(any(one.kind in failing for one in found))


def _kinds(wished: str) -> frozenset[str]:
    words = [word.strip() for word in wished.split(",") if word.strip()]
    if words in (["any"], ["none"]):
        return frozenset(_KINDS if words == ["any"] else ())
    unknown = [word for word in words if word not in _KINDS]
    if unknown or not words:
        raise OptionError(
            f"--fail-on {wished!r}: {', '.join(map(repr, unknown)) or 'nothing'} is no kind of "
            f"break. Choose any, none, or of: {', '.join(_KINDS)}."
        )
    return frozenset(words)
