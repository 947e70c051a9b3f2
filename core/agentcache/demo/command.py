"""`agentcache demo NAME`: the 2x2 of separate/forked x sequential/parallel, and one table."""

import argparse
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from agentcache.demo import (
    breaks,
    breaks_shown,
    compaction,
    compaction_shown,
    graph,
    graph_shown,
    targets,
)
from agentcache.demo.cells import Cell, run_cell, warm_up
from agentcache.demo.scenario import Scenario, brief, find_scenario, scenarios
from agentcache.demo.table import tables_of, verdict
from agentcache.errors import MissingExtraError, OptionError
from agentcache.rules import all_rules

__all__ = ["add_arguments", "run"]

_GRID: Sequence[tuple[Literal["separate", "forked"], Literal["sequential", "parallel"]]] = tuple(
    product(("separate", "forked"), ("sequential", "parallel"))
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("name", help=f"which program: {', '.join(_names()) or 'none installed'}")
    parser.add_argument(
        "--model",
        default=None,
        help="embedded engine: 'agent' (constructed, default), 'smollm2', or a .gguf file; "
        "with --base-url: the model's name there",
    )
    parser.add_argument("--slots", type=int, default=1, help="parallel slots of the engine")
    parser.add_argument(
        "--emulate",
        metavar="MODEL|all",
        help="run on the loopback provider under this model's caching rules; "
        f"'all' is {', '.join(targets.EMULATED)}",
    )
    parser.add_argument("--base-url", help="run on a live endpoint")
    parser.add_argument("--api-key-env", help="environment variable that holds its key")
    parser.add_argument(
        "--provider",
        choices=sorted({rule.provider for rule in all_rules()}),
        help="whose caching rules the live endpoint follows",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument(
        "--turns",
        type=int,
        metavar="N",
        help=f"with the demo of compaction: how long its loop is ({compaction.TURNS})",
    )
    parser.add_argument(
        "--on",
        metavar="local|ADDRESS",
        help="with the demo of graphs: on a Dask cluster too, made here or at an address (dask)",
    )
    only = "with the demo of breaks: write"
    parser.add_argument(
        "--html", type=Path, metavar="OUT.html", help=f"{only} a page that shows it"
    )
    parser.add_argument(
        "--ledger", metavar="OUT.jsonl", help=f"{only} the ledger of the crew as it is"
    )


def _names() -> list[str]:
    return sorted([*scenarios(), compaction.NAME, graph.NAME])


def run(args: argparse.Namespace) -> int:
    """Run the demo; everything is checked before anything is sent."""
    own: dict[str, Callable[[argparse.Namespace], int]] = {
        breaks.NAME: breaks_shown.run,
        compaction.NAME: compaction_shown.run,
        graph.NAME: graph_shown.run,
    }
    if args.on is not None and args.name != graph.NAME:
        raise OptionError("--on is for `agentcache demo graph`.")
    if args.name in own:
        return own[args.name](args)
    if args.turns is not None:
        raise OptionError("--turns is for `agentcache demo compaction`.")
    if args.html is not None or args.ledger is not None:
        raise OptionError("--html and --ledger are for `agentcache demo breaks`.")
    console = Console(stderr=args.json)
    scenario = find_scenario(args.name)
    chosen = _targets(args, scenario)
    cells = _run_all(console, scenario, chosen)
    if args.json:
        print(json.dumps([c.model_dump() for c in cells], indent=1))
        return 0
    for table in tables_of(cells):
        console.print(table)
    for line in [*verdict(cells), *_legend(args, scenario, cells)]:
        console.print(line, style="dim", highlight=False)
    return 0


def _targets(args: argparse.Namespace, scenario: Scenario) -> list[targets.Target]:
    wants_live = args.base_url is not None or args.api_key_env is not None
    if args.emulate and (wants_live or args.model):
        raise OptionError("--emulate names its model itself; drop --model, --base-url and keys.")
    if args.emulate:
        models = targets.EMULATED if args.emulate == "all" else (args.emulate,)
        if any(map(targets.is_anthropic, models)) and find_spec("anthropic") is None:
            raise _missing(scenario, "anthropic")
        return [targets.emulated(model) for model in models]
    if wants_live:
        if not args.model:
            raise OptionError("A live run needs --model, the model's name there.")
        return [targets.live(args.base_url, args.model, args.api_key_env, args.provider)]
    if args.provider:
        raise OptionError("--provider is for a live endpoint: give --base-url and --model too.")
    if args.slots < 1:
        raise OptionError(f"--slots {args.slots}: an engine needs at least one.")
    return [targets.engine(scenario, args.model or "agent", slots=args.slots)]


def _run_all(console: Console, scenario: Scenario, chosen: Sequence[targets.Target]) -> list[Cell]:
    text = brief()
    cells: list[Cell] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for target in chosen:
            warm_up(scenario, target)
            for layout, order in _GRID:
                task = progress.add_task(f"{target.name}: {layout}, {order}", total=1)
                cells.append(run_cell(scenario, target, text, layout, order))
                progress.update(task, completed=1)
    return cells


def _missing(scenario: Scenario, package: str) -> MissingExtraError:
    say: Callable[[str], MissingExtraError] | None = getattr(scenario, "missing", None)
    return say(package) if say is not None else MissingExtraError(package, package)


def _legend(args: argparse.Namespace, scenario: Scenario, cells: Sequence[Cell]) -> list[str]:
    lines: list[str] = [getattr(scenario, "reading", _READING), _MEASURES]
    if any(cell.report.unit == "input-token equivalents" for cell in cells):
        lines.append("t: input-token equivalents; dollars need Python 3.11 and the extra prices.")
    if not args.emulate and not args.base_url:
        lines.append("An embedded engine bills nothing, so the input bill is n/a.")
        lines += [note] if (note := getattr(scenario, "engine_note", "")) else []
    if args.emulate:
        lines.append("emulated: the loopback provider's caching rules and latency model.")
    return lines


_READING = (
    "seq., par.: the first two workers in turn, or in parallel. own loop, across agents: tokens "
    "read from the cache that the same agent, or only others, had sent before."
)
_MEASURES = (
    "ceiling: what an ideal cache would have read under the provider's rules. first token: mean "
    "of all calls after the first, in seconds."
)
