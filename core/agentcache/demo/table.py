"""The demo's table."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from agentcache.demo.cells import Cell

__all__ = ["tables_of", "verdict"]

_HEAD = (
    "run",
    "input",
    "own\nloop",
    "across\nagents",
    "writ-\nten",
    "hit\nrate",
    "ceil-\ning",
    "input\nbill",
    "first\ntoken",
    "secs",
    "figures",
)
_THOUSAND = 1000
_ORDER = {"sequential": "seq.", "parallel": "par."}


def tables_of(cells: Sequence[Cell]) -> list[Table]:
    """One table per target, one row per run: tokens cached by whom, beside the ceiling."""
    found: dict[str, Table] = {}
    for cell in cells:
        if cell.target not in found:
            rules = ", ".join(title.partition(":")[0] for title in cell.report.rules)
            found[cell.target] = _empty(f"{cell.target} ({cell.source}; rules: {rules})")
        found[cell.target].add_row(*_cells(cell))
    return list(found.values())


def _empty(title: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for name in _HEAD:
        table.add_column(name, justify="left" if name == "run" else "right", no_wrap=True)
    return table


def _cells(cell: Cell) -> tuple[str, ...]:
    total = cell.report.total
    first = cell.workers_first_token_s
    return (
        f"{cell.layout} {_ORDER[cell.order]}",
        _count(total.input_tokens),
        _count(total.cached_own),
        _count(total.cached_across),
        "-" if total.written is None else _count(total.written),
        "?" if total.hit_rate is None else f"{total.hit_rate:.1%}",
        f"{total.ceiling_rate:.1%}",
        _money(total.cost, cell.report.unit),
        "-" if first is None else f"{first:.2f}",
        f"{cell.seconds:.1f}",
        cell.source,
    )


def verdict(cells: Sequence[Cell]) -> list[str]:
    """One line per target and order: forked against separate."""
    lines: list[str] = []
    for one in cells:
        if one.layout != "separate":
            continue
        twin = next(
            c for c in cells if (c.target, c.order, c.layout) == (one.target, one.order, "forked")
        )
        how = f"{one.target}, {_ORDER[one.order]} forked vs separate"
        lines.append(f"{how}: {_compare(one, twin)} ({one.source})")
    return lines


def _compare(separate: Cell, forked: Cell) -> str:
    first = _times(forked.workers_first_token_s, separate.workers_first_token_s)
    said = [f"first token {first}"]
    said.append(f"time after the leader {_times(forked.after_leader_s, separate.after_leader_s)}")
    bill, was = forked.report.total.cost, separate.report.total.cost
    if bill is not None and was:
        said.append(f"input bill {_times(bill, was)}")
    return ", ".join(said)


def _times(value: float | None, of: float | None) -> str:
    return "n/a" if value is None or not of else f"{value / of:.2f}x"


def _count(value: int | None) -> str:
    if value is None:
        return "?"
    return str(value) if value < _THOUSAND else f"{value / _THOUSAND:.1f}k"


def _money(value: float | None, unit: str) -> str:
    if value is None:
        return "n/a"
    return f"${value:.5f}" if unit == "USD" else f"{value:,.0f}t"
