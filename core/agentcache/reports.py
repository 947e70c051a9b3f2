"""The report: per agent what was sent, read and written, beside ceiling and unshared bill."""

import html
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from agentcache.breaks import CacheBreak
from agentcache.ledger import Ledger
from agentcache.pricing import price_of
from agentcache.readings import Reading, read_calls
from agentcache.rules import rule_by_id

__all__ = ["PassedThrough", "Report", "Row", "report_on"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Row(_Value):
    """One agent's figures, or the total. Tokens are input tokens; None means not reported.

    `hit_rate` = cached / input; read it beside `ceiling_rate`, what an ideal cache would have
    reached. `cost` and `unshared_cost` are input bills in `Report.unit`.
    """

    agent: str
    calls: int
    input_tokens: int
    cached_own: int | None
    cached_across: int | None
    written: int | None
    ceiling: int
    ceiling_across: int
    cost: float | None
    unshared_cost: float | None
    time_to_first_token_s: float | None
    seconds: float

    @property
    def cached(self) -> int | None:
        """All tokens read from a cache."""
        if self.cached_own is None or self.cached_across is None:
            return None
        return self.cached_own + self.cached_across

    @property
    def hit_rate(self) -> float | None:
        """Share of the input that was read from a cache."""
        return None if self.cached is None else self.cached / max(self.input_tokens, 1)

    @property
    def ceiling_rate(self) -> float:
        """Share of the input that an ideal cache would have held."""
        return self.ceiling / max(self.input_tokens, 1)


class PassedThrough(_Value):
    """Calls that were sent as the program made them, and why."""

    agent: str
    reason: str
    calls: int


class Report(_Value):
    """What a wrapped program did. Show it in a terminal, a notebook, or as JSON.

    `compacted_tokens` are those that compaction kept from being sent, estimated, over all calls.
    """

    source: Literal["measured", "emulated"]
    unit: Literal["USD", "input-token equivalents", "n/a"]
    rules: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Row
    passed_through: tuple[PassedThrough, ...]
    errors: int
    notes: tuple[str, ...]
    breaks: tuple[CacheBreak, ...] = ()
    compacted_tokens: int = 0
    compaction_steps: int = 0

    def __rich__(self) -> RenderableType:
        """Render as a table, with what passed through below it."""
        return _table(self)

    def __str__(self) -> str:
        """Plain text form."""
        out = io.StringIO()
        console = Console(file=out, width=140, color_system=None)
        console.print(_table(self))
        for line in self.remarks():
            console.print(line, markup=False)
        return out.getvalue()

    def remarks(self) -> list[str]:
        """Say what stands below the table: rules, bill, calls not forked, notes."""
        if not self.total.calls and not self.errors:
            return ["No calls yet.", *self.notes]
        lines = [f"Rules: {'; '.join(self.rules)}. Figures: {self.source}."]
        if self.unit == "input-token equivalents":
            lines.append("No dollars: they need the extra prices, and a known price of each model.")
        if self.total.cost is not None:
            bill, alone = (
                _money(v, self.unit) for v in (self.total.cost, self.total.unshared_cost)
            )
            lines.append(f"Input bill: {bill}; the same calls unshared (estimated): {alone}.")
        for reason in dict.fromkeys(p.reason for p in self.passed_through):
            who = [f"{p.agent} x{p.calls}" for p in self.passed_through if p.reason == reason]
            lines.append(f"Not forked ({', '.join(who)}). {reason}")
        if self.compacted_tokens:
            times = "once" if self.compaction_steps == 1 else f"{self.compaction_steps} times"
            lines.append(
                f"Compaction kept about {self.compacted_tokens:,} input tokens from being sent "
                f"(estimated); a prefix moved {times if self.compaction_steps else 'not once'} "
                "for it."
            )
        if self.errors:
            lines.append(f"{self.errors} call(s) failed and are not counted.")
        return [*lines, *self._broken(), *self.notes]

    def _broken(self) -> list[str]:
        """The breaks, one line for each cause; the first of many tells the place."""
        causes: dict[tuple[str, str, str], list[CacheBreak]] = {}
        for found in self.breaks:
            causes.setdefault((found.agent, found.kind, found.section), []).append(found)
        lines: list[str] = []
        for every in causes.values():
            more = f" ({len(every)} times)" if len(every) > 1 else ""
            lines.append(f"Broken{more}: {every[0]}")
        return lines

    def show(self) -> None:
        """Print to the terminal."""
        console = Console()
        console.print(_table(self))
        for line in self.remarks():
            console.print(line, markup=False, style="dim")

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The table as texts: its head, a row per agent, and the total."""
        head = tuple(name.replace("\n", " ") for name in _HEAD)
        return (head, *(_cells(row) for row in (*self.rows, self.total)))

    def _repr_html_(self) -> str:
        names, *cells = self.texts()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in cells
        )
        notes = "".join(f"<li>{html.escape(line)}</li>" for line in self.remarks())
        return (
            f"<table><caption>agentcache ({self.source})</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table><ul>{notes}</ul>"
        )


_AGENT_WIDTH = 10
_HEAD = (
    "agent",
    "calls",
    "input",
    "cached\nown loop",
    "cached\nacross",
    "written",
    "hit\nrate",
    "ceiling",
    "cost vs\nunshared",
    "first\ntoken",
)


def report_on(ledger: Ledger, readings: Sequence[Reading] | None = None) -> Report:
    """Make a report of a ledger's calls; `readings` are theirs, where they have been made."""
    calls = ledger.calls
    readings = read_calls(calls) if readings is None else readings
    agents = list(dict.fromkeys(c.agent for c in calls if not c.error))
    unit = _unit(readings)
    rows = tuple(_row(a, [r for r in readings if r.call.agent == a], unit) for a in agents)
    passed = Counter((c.agent, c.reason) for c in calls if not c.forked and not c.error)
    return Report(
        source=ledger.source,
        unit=unit,
        rules=tuple(dict.fromkeys(rule_by_id(c.rule_id).title for c in calls)),
        rows=rows,
        total=_row("total", readings, unit),
        passed_through=tuple(
            PassedThrough(agent=a, reason=r, calls=n) for (a, r), n in passed.items()
        ),
        errors=sum(bool(c.error) for c in calls),
        notes=ledger.notes,
        breaks=tuple(b if ledger.content else b.bare() for b in ledger.breaks),
        compacted_tokens=sum(c.saved for c in calls),
        compaction_steps=sum(bool(c.moved) for c in calls),
    )


def _unit(readings: Sequence[Reading]) -> Literal["USD", "input-token equivalents", "n/a"]:
    if not readings or any(r.cost is None for r in readings):
        return "n/a"
    models = {(r.call.model, rule_by_id(r.call.rule_id).provider) for r in readings}
    known = all(price_of(*m) for m in models)
    return "USD" if known else "input-token equivalents"


def _row(agent: str, readings: Sequence[Reading], unit: str) -> Row:
    firsts = [t for r in readings if (t := r.call.time_to_first_token_s) is not None]
    return Row(
        agent=agent,
        calls=len(readings),
        input_tokens=sum(r.input_tokens for r in readings),
        cached_own=_sum(r.cached_own for r in readings),
        cached_across=_sum(r.cached_across for r in readings),
        written=_sum(r.written for r in readings),
        ceiling=sum(r.ceiling for r in readings),
        ceiling_across=sum(r.ceiling_across for r in readings),
        cost=_bill(readings, unit, actual=True),
        unshared_cost=_bill(readings, unit, actual=False),
        time_to_first_token_s=sum(firsts) / len(firsts) if firsts else None,
        seconds=sum(r.call.ended_s - r.call.started_s for r in readings),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _bill(readings: Sequence[Reading], unit: str, *, actual: bool) -> float | None:
    if unit == "n/a":
        return None
    bill = 0.0
    for reading in readings:
        tokens = reading.cost if actual else reading.unshared_cost
        price = price_of(reading.call.model, rule_by_id(reading.call.rule_id).provider)
        rate = price.input_usd if unit == "USD" and price else 1.0
        bill += (tokens or 0.0) * rate
    return bill


def _table(report: Report) -> Table:
    title = f"agentcache ({report.source})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    streamed = report.total.time_to_first_token_s is not None
    head = _HEAD if streamed else _HEAD[:-1]
    for name in head:
        left = name == "agent"
        width = _AGENT_WIDTH if left else None
        table.add_column(
            name, justify="left" if left else "right", no_wrap=not left, min_width=width
        )
    for row in report.rows:
        table.add_row(*_cells(row)[: len(head)])
    table.add_section()
    table.add_row(*_cells(report.total)[: len(head)], style="bold")
    return table


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.agent,
        str(row.calls),
        f"{row.input_tokens:,}",
        _count(row.cached_own),
        _count(row.cached_across),
        _count(row.written),
        "?" if row.hit_rate is None else f"{row.hit_rate:.1%}",
        f"{row.ceiling_rate:.1%}",
        _ratio(row),
        "-" if row.time_to_first_token_s is None else f"{row.time_to_first_token_s:.2f}s",
    )


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _ratio(row: Row) -> str:
    if row.cost is None or not row.unshared_cost:
        return "n/a"
    return f"{row.cost / row.unshared_cost:.2f}x"


def _money(value: float | None, unit: str) -> str:
    if value is None:
        return "n/a"
    if unit != "USD":
        return f"{value:,.0f} {unit}"
    return f"${value:.5f}"
