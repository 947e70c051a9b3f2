"""What `agentcache demo compaction` prints: one table over all frameworks that run here."""

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from agentcache.demo.compaction import GROUP, TURNS, Row, check, loops, rows
from agentcache.errors import OptionError

__all__ = ["run"]

_THOUSAND = 1000
_COLUMNS = (
    *("framework", "run", "calls", "longest", "input", "bill", "x"),
    *("moves", "told", "recall"),
)
_LEGEND = """\
One agent takes one step after another; the steps' results are listings, searches, files and test \
logs made from this package's own sources.
moves: requests that do not begin with all of the one before; told: steps that the ledger \
announced. recall: whether `recall_result` answered the original, byte for byte.
bill: the input in tokens of full price, by the rules; x: beside the same loop forked, without \
compaction. emulated: the loopback provider's caching rules."""


def run(args: Namespace) -> int:
    """Run the loop on every framework that is installed."""
    models = check(args)
    found, missing = loops()
    if not found:
        raise OptionError(
            f"No framework is installed that has a loop to show ({', '.join(missing)}). Install "
            "one, from a checkout of agentcache: pip install '.[crewai]'"
        )
    console = Console(stderr=args.json)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    told: list[Row] = []
    with Progress(*columns, console=console, transient=True) as progress:
        shown = progress.add_task("", total=None)
        for model in models:
            for name, loop in found.items():
                turns = args.turns or TURNS
                said = rows(
                    name, loop, model, turns, lambda t: progress.update(shown, description=t)
                )
                told += said
    if args.json:
        print(json.dumps([row.as_json() for row in told], indent=1))
        return 0
    for model in models:
        console.print(_table(model, [row for row in told if row.model == model], args.turns))
    for line in [*_verdict(told), *_LEGEND.splitlines(), *_absent(missing)]:
        console.print(line, style="dim", highlight=False)
    return 0


def _table(model: str, told: Sequence[Row], turns: int | None) -> Table:
    title = f"{turns or TURNS} turns on {model} (emulated)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for name in _COLUMNS:
        words = name in ("framework", "run")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    before = ""
    for row in told:
        base = next(r.bill for r in told if r.framework == row.framework and r.way == "forked")
        first = row.framework if row.framework != before else ""
        table.add_row(first, row.way, *_cells(row, base))
        before = row.framework
    return table


def _cells(row: Row, base: float) -> tuple[str, ...]:
    recalled = {None: "-", True: "exact", False: "WRONG"}[row.recalled]
    counts = (row.longest, row.tokens, row.bill)
    told = (str(row.moves), str(row.announced), recalled)
    return (str(row.calls), *map(_count, counts), f"{row.bill / base:.2f}", *told)


def _verdict(told: Sequence[Row]) -> Iterator[str]:
    for row in told:
        if row.way == "compacted":
            base = next(
                r.bill
                for r in told
                if (r.framework, r.model, r.way) == (row.framework, row.model, "forked")
            )
            yield (
                f"{row.framework} on {row.model}: input bill {row.bill / base:.2f}x, "
                f"{_moves(row.moves)} of the prefix, {row.announced} announced (emulated)"
            )


def _moves(count: int) -> str:
    return "1 move" if count == 1 else f"{count} moves"


def _absent(missing: Sequence[str]) -> Iterator[str]:
    if missing:
        yield f"Not installed here: {', '.join(missing)} (entry points of {GROUP})."


def _count(value: float) -> str:
    if value < _THOUSAND:
        return str(round(value))
    thousands = value / _THOUSAND
    return f"{thousands:.1f}k" if thousands < _THOUSAND else f"{thousands / _THOUSAND:.2f}M"
