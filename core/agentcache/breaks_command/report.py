"""`agentcache report`: the report on a recorded run, in a terminal, as JSON or as a page."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console

from agentcache.breaks_command.words import say
from agentcache.recordings import FORMS, read
from agentcache.reports import report_on

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache report`."""
    parser.add_argument("recording", metavar="FILE", help="; ".join(FORMS.values()))
    parser.add_argument("--form", choices=sorted(FORMS), help="what FILE is, if it does not tell")
    parser.add_argument("--provider", help="whose rules hold, if models and hosts do not tell")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    parser.add_argument(
        "--html", type=Path, metavar="OUT.html", help="write one page that shows it"
    )


def run(args: Namespace) -> int:
    """Show the report, and write the page if one is asked for.

    Raises:
        OptionError: a file that is no recording, a provider that no row names, or a page that
            cannot be written.

    """
    ledger = read(args.recording, form=args.form).ledger(args.provider)
    report = report_on(ledger)
    if args.html is not None:
        from agentcache.page import write_page  # noqa: PLC0415 - only a page needs it

        write_page(args.html, ledger)
    if args.json:
        print(report.model_dump_json(indent=1))
    elif Console().is_terminal:
        report.show()
    else:
        print(report)
    if args.html is not None and not args.json:
        say(Console(highlight=False), f"The page: {args.html}")
    return 0
