"""`agentcache demo graph`, in a terminal: live, as a table, and beside waves."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, Final, Literal

from rich.console import Console

from agentcache.demo import graph, targets
from agentcache.demo.cells import Cell, cell_of
from agentcache.demo.scenario import brief
from agentcache.demo.table import tables_of, verdict
from agentcache.errors import OptionError
from agentcache.graphs import GraphResult
from agentcache.ledger import Ledger

__all__ = ["run"]

_MODEL: Final = "gpt-6-luna"
_WIDE: Final = 8
_GRID: Final[Sequence[tuple[Literal["separate", "forked"], Literal["sequential", "parallel"]]]] = (
    ("separate", "sequential"),
    ("separate", "parallel"),
    ("forked", "sequential"),
    ("forked", "parallel"),
)


def run(args: argparse.Namespace) -> int:
    """Run the demo; everything is checked before anything is sent."""
    for name in ("turns", "html", "ledger"):
        if getattr(args, name) is not None:
            raise OptionError(f"--{name} is not for `agentcache demo graph`.")
    console = Console(stderr=args.json)
    live = not args.json and sys.stderr.isatty()
    found: list[dict[str, Any]] = []
    for target in _targets(args):
        for workload in graph.WORKLOADS:
            told = _shown(console, target, workload, args, live=live)
            found.append({"workload": workload.name, "target": target.name, **told})
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    emulated = "emulated: the loopback provider's caching rules and latency model."
    for text in (*_LEGEND, *([] if args.base_url else [emulated])):
        console.print(text, style="dim", highlight=False)
    return 0


_LAYOUTS: Final = (
    "separate: each task a conversation of its own, the brief in its prompt; forked: forks of one "
    f"session. seq., par.: one task at a time, or up to {_WIDE}, each as soon as what it needs is "
    "there; in waves, a row of tasks waits for all of the row above."
)
_COLUMNS: Final = (
    "own loop, across agents: tokens read from the cache that the same task, or only others, had "
    "sent before. ceiling: what an ideal cache would have read under the provider's rules."
)
_STARTED: Final = " with the start of its two workers"
_LEGEND: Final = (_LAYOUTS, _COLUMNS)


def _targets(args: argparse.Namespace) -> list[targets.Target]:
    if args.base_url is not None or args.api_key_env is not None:
        if not args.model or args.emulate:
            raise OptionError("A live run needs --model, the model's name there, and no --emulate.")
        return [targets.live(args.base_url, args.model, args.api_key_env, args.provider)]
    if args.model:
        raise OptionError("--model is for a live endpoint; --emulate MODEL chooses the rules here.")
    models = targets.EMULATED if args.emulate == "all" else (args.emulate or _MODEL,)
    return [targets.emulated(model) for model in models]


def _shown(
    console: Console,
    target: targets.Target,
    workload: graph.Workload,
    args: argparse.Namespace,
    *,
    live: bool,
) -> dict[str, Any]:
    """Run one workload in the 2x2, in waves, and on a cluster if one is asked for."""
    cells: list[Cell] = []
    result: GraphResult | None = None
    for layout, order in _GRID:
        if live:
            console.print(f"{workload.name}: {layout}, {order}", style="dim")
        ran = _run(target, workload, layout, _WIDE if order == "parallel" else 1, live=live)
        result = ran.result
        answer = str(list(result.values())[-1])
        cells.append(cell_of(target, layout, order, ran.ledger, ran.seconds, answer))
    waves = _run(target, workload, "forked", _WIDE, waves=True)
    away = (
        None if args.on is None else _run(target, workload, "forked", _WIDE, on=args.on, live=live)
    )
    if args.json:
        held: dict[str, Any] = {"cells": [c.model_dump() for c in cells], "waves_s": waves.seconds}
        return held if away is None else {**held, "on": args.on, "on_s": away.seconds}
    console.print(f"\n[bold]{workload.name}[/], {len(workload.jobs)} tasks", highlight=False)
    if result is not None:
        result.show()
    for table in tables_of(cells):
        console.print(table)
    for line in verdict(cells):
        console.print(line, style="dim", highlight=False)
    told = f"In waves the forked graph takes {waves.seconds:.1f} s, here {cells[-1].seconds:.1f} s."
    console.print(told, style="dim", highlight=False)
    if away is not None:
        _compared(console, cells[-1], away, str(args.on))
    return {}


def _compared(console: Console, here: Cell, away: graph.Ran, on: str) -> None:
    """What ran on a cluster, beside what ran here."""
    away.result.show()
    cold = [c for c in away.ledger.calls if not c.usage.cached_tokens]
    cached = sum(c.usage.cached_tokens or 0 for c in away.ledger.calls)
    same = str(list(away.result.values())[-1]) == here.answer
    console.print(
        f"On {on}: {away.seconds:.1f} s{_STARTED if on == 'local' else ''}, "
        f"{len(away.ledger.calls)} calls, {len(cold)} of them cold, {cached:,} tokens read from "
        f"the cache; {'the same' if same else 'another'} answer.",
        style="dim",
        highlight=False,
    )


def _run(
    target: targets.Target,
    workload: graph.Workload,
    layout: Literal["separate", "forked"],
    limit: int,
    *,
    waves: bool = False,
    on: object = None,
    live: bool = False,
) -> graph.Ran:
    """Run a workload once, on a cold target."""
    ledger = Ledger(source=target.source)
    with target.open() as endpoint:
        text = target.nonce() + brief()
        made, close = graph.built(workload, endpoint, text, layout, ledger, target.provider)
        try:
            held = graph.in_waves(made) if waves else made
            return graph.run(held, ledger, limit=limit, on=on, progress=live)
        finally:
            close()
