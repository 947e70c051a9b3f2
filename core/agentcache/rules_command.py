"""`agentcache rules`: which caching rules there are, and which apply to a model, with sources."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentcache.errors import OptionError
from agentcache.rule_words import cited, facts, times
from agentcache.rules import Match, Rule, all_rules, match_rule

__all__ = ["add_arguments", "run"]

_HEAD: Final = ("reads", "from", "lives", "write", "read", "as of", "affinity")
_GRADES: Final = "A read or run, B documentation, C third party"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache rules`."""
    parser.add_argument("model", nargs="?", help="a model's name; without one: a table of all rows")
    parser.add_argument("--base-url", default="", help="the endpoint: its host decides")
    parser.add_argument("--provider", help="a provider's name or a row's id: decides over both")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(args: Namespace) -> int:
    """Show the table, or all that applies to one model.

    Raises:
        OptionError: a provider that no row names, or an endpoint without a model.

    """
    if args.model is None and args.base_url:
        raise OptionError(
            f"--base-url {args.base_url!r} needs a model: agentcache rules MODEL --base-url URL."
        )
    console = Console(highlight=False)
    if args.model is None:
        rows = all_rules() if args.provider is None else _of(args.provider)
        if args.json:
            print(json.dumps([_dumped(rule) for rule in rows], indent=1))
        else:
            _show_all(console, rows, together=args.provider is None)
        return 0
    found = match_rule(args.model, args.base_url, args.provider)
    if args.json:
        said = {"model": args.model, "by": found.by, "why": found.why, "rule": _dumped(found.rule)}
        print(json.dumps(said, indent=1))
    else:
        _show_one(console, args.model, found)
    return 0


def _of(provider: str) -> list[Rule]:
    broadest = match_rule("", provider=provider).rule  # raises for a provider that is unknown
    if provider == broadest.id != broadest.provider:
        return [broadest]
    return [rule for rule in all_rules() if rule.provider == broadest.provider]


def _dumped(rule: Rule) -> dict[str, object]:
    return rule.model_dump(mode="json")


def _show_all(console: Console, rows: Sequence[Rule], *, together: bool) -> None:
    console.print(Text(_figures(*_HEAD), "bold underline"), soft_wrap=True)
    groups: dict[str, int] = {}
    for rule in rows:
        group = _group(rule) if together and rule.like else ""
        groups[group] = groups.get(group, 0) + 1
        if not group:
            console.print(Text.assemble((rule.id, "bold"), "  ", rule.title))
            console.print(Text(_figures(*_cells(rule))), soft_wrap=True)
        elif groups[group] == 1:
            whose = rule.title.partition(":")[0].partition(",")[0]
            as_whose = f"as {rule.like.partition('-')[0]}'s rows, one for each"
            console.print(Text.assemble((group, "bold"), f"  {whose}: {as_whose}"))
    console.print(f"\n{len(rows)} rows. What applies to a model: agentcache rules MODEL")


def _group(rule: Rule) -> str:
    return f"{rule.id.partition('/')[0]}/{rule.like.partition('-')[0]}*"


def _figures(
    reads: str, least: str, lives: str, write: str, read: str, date: str, affinity: str
) -> str:
    line = f"  {reads:<10} {least:>5} {lives:<14} {write:<11} {read:<6} {date:<7} {affinity}"
    return line.rstrip()


def _cells(rule: Rule) -> tuple[str, str, str, str, str, str, str]:
    prices = dict.fromkeys(times(ttl.write_multiplier) for ttl in rule.ttls)
    return (
        rule.matching,
        f"{rule.min_tokens:,}",
        ", ".join(ttl.name for ttl in rule.ttls),
        ", ".join(prices) if rule.billed else "-",
        times(rule.read_multiplier) if rule.billed else "-",
        _date(rule),
        "-" if rule.affinity is None else rule.affinity.name,
    )


def _date(rule: Rule) -> str:
    return max(source.date for source in rule.sources)[:7]


def _show_one(console: Console, model: str, found: Match) -> None:
    rule = found.rule
    console.print(Text.assemble((model or "(no name)", "bold"), " gets ", (rule.id, "bold")))
    console.print(Text(rule.title))
    console.print(Text(f"{_DECIDED[found.by]}{found.why}."))
    if not rule.known:
        console.print(Text(_safe(), "yellow"))
    console.print()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for label, text in facts(rule):
        table.add_row(label, Text(text))
    console.print(table)
    _show_list(console, f"Sources ({_GRADES})", cited(rule))
    _show_list(console, "Open questions", rule.open_questions)


_DECIDED: Final = {
    "provider": "Decided by the provider: ",
    "host": "Decided by the host: ",
    "name": "Decided by the name: ",
    "unknown": "Decided by nothing: ",
}


def _safe() -> str:
    names = ", ".join(sorted({r.provider for r in all_rules()} - {"unknown"}))
    return (
        "No rules are known for it: the safe common denominator applies (no marks, no extra "
        "parameters, one request first, then the rest). If you know whose rules hold, name them "
        f"with --provider, and wrap(..., provider=...) in a program: {names}, or a row's id."
    )


def _show_list(console: Console, title: str, lines: Iterable[str]) -> None:
    found = list(lines)
    if not found:
        return
    console.print(Text(f"\n{title}", "bold"))
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(ratio=1, overflow="fold")
    for line in found:
        table.add_row("-", Text(line))
    console.print(table)
