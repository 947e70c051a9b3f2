"""The page as one HTML document: what stands in it as text, and the template around it."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from agentcache.errors import OptionError
from agentcache.ledger import Ledger, for_owner, made_for_owner
from agentcache.page.data import data_of, embedded
from agentcache.readings import read_calls
from agentcache.reports import Report, Row, report_on

__all__ = ["page_of", "write_page"]

_SLOT: Final = re.compile(r"\{\{(\w+)\}\}")
_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SHOWN: Final = 60
"""Rows of the table, and kinds of breaks, that are written out."""
_REFS: Final = 12

_SAYS: Final = {
    "emulated": "A loopback provider answered, by the published rules of the model's family. No "
    "real cache was measured.",
    "measured": "The figures are those that the provider, or a real engine, reported.",
}
_AGAIN: Final = {
    "emulated": "Point the program at the loopback provider again: of the same requests it counts "
    "the same tokens.",
    "measured": "A later run may differ: what a provider still holds is its own business.",
}
_REPRODUCE: Final = """<pre><code>agentcache.wrap(program, ledger="run.jsonl")
agentcache report run.jsonl --html page.html</code></pre>"""


def write_page(path: Path, ledger: Ledger, *, title: str = "") -> None:
    """Write the page for its owner alone.

    Where it holds what prompts hold, a page that was there and others may read is closed to them.

    Raises:
        OptionError: `path` cannot be written.

    """
    page = page_of(ledger, title=title)
    opener = for_owner if ledger.content else made_for_owner
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace", opener=opener) as file:
            file.write(page)
    except OSError as error:
        raise OptionError(f"--html {str(path)!r} cannot be written: {error.strerror}.") from error


def page_of(ledger: Ledger, *, title: str = "") -> str:
    """Draw a ledger: one HTML document that needs no network and no other file.

    It holds what the ledger holds: excerpts of what broke only where that keeps content.
    """
    readings = read_calls(ledger.calls)
    data = data_of(ledger, readings)
    report = report_on(ledger, readings).model_copy(update={"breaks": ()})  # they are told below
    template, script = (_shipped(name) for name in ("page.html", "page.js"))
    heading = _escaped(title or "What the agents shared")
    slots = {
        "policy": _policy(template, script),
        "title": heading,
        "heading": f'<bdi dir="auto">{heading}</bdi>',
        "lede": _lede(report, len(data["breaks"])),
        "source": report.source,
        "source_says": _SAYS[report.source],
        "table": _table(report, {name: n for n, name in enumerate(data["agents"])}),
        "remarks": "".join(f"<li>{_escaped(line)}</li>" for line in report.remarks()),
        "breaks": _breaks(data),
        "reproduce": f"<p>{_AGAIN[report.source]}</p>{_REPRODUCE}",
        "content": "" if ledger.content else "No prompt and no answer is in this page.",
        "made_by": f"agentcache {version('agentcache')}",
        "data": embedded(data),
        "script": script,
    }
    return _SLOT.sub(lambda slot: slots[slot[1]], template)


def _shipped(name: str) -> str:
    return files("agentcache.page").joinpath(name).read_text(encoding="utf-8")


def _policy(template: str, script: str) -> str:
    """Nothing may be loaded, and nothing run but this script."""
    style = _STYLE.search(template)
    digests = [_digest(script), _digest(style[1] if style else "")]
    return (
        f"default-src 'none'; script-src {digests[0]}; style-src {digests[1]}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _escaped(text: str) -> str:
    """Text for HTML; half a surrogate pair, which no file can hold, is replaced."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def _lede(report: Report, broken: int) -> str:
    total = report.total
    if not total.calls:
        return "No calls yet."
    read = "An unknown share" if total.hit_rate is None else f"{total.hit_rate:.1%}"
    return (
        f"{_many(total.calls, 'call')} of {_many(len(report.rows), 'agent')} sent "
        f"{total.input_tokens:,} input tokens. {read} was read from a cache; an ideal one would "
        f"have held {total.ceiling_rate:.1%}. {_many(broken, 'break')}."
    )


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _table(report: Report, numbers: Mapping[str, int]) -> str:
    """The report's own table, with hit rate and ceiling drawn beside each other."""
    head, *lines = report.texts()
    width = len(head) - (report.total.time_to_first_token_s is None)
    rows = list(zip(report.rows, lines, strict=False))[:_SHOWN]
    body = [_row(row, cells[:width], _mark(numbers.get(row.agent, 0))) for row, cells in rows]
    body.append(_row(report.total, lines[-1][:width], ""))
    names = "".join(f'<th scope="col">{_escaped(name)}</th>' for name in head[:width])
    rest = len(report.rows) - _SHOWN
    note = f'<p class="soft">{rest:,} more agents are counted in the total.</p>' if rest > 0 else ""
    return (
        '<table><caption class="sr">Figures by agent</caption>'
        f'<thead><tr>{names}<th scope="col">hit and ceiling</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>{note}"
    )


def _row(row: Row, cells: Sequence[str], mark: str) -> str:
    name, *figures = cells
    rest = "".join(f"<td>{_escaped(cell)}</td>" for cell in figures)
    head = f'<th scope="row">{mark}<bdi>{_escaped(name)}</bdi></th>'
    return f"<tr>{head}{rest}<td>{_bar(row)}</td></tr>"


def _mark(agent: int) -> str:
    shape = f'<use href="#s{agent % 5}"/>'
    return f'<svg class="mark c{agent % 8}" aria-hidden="true">{shape}</svg>'


def _bar(row: Row) -> str:
    hit, ceiling = (min(max(r or 0.0, 0.0), 1.0) for r in (row.hit_rate, row.ceiling_rate))
    return (
        '<svg aria-hidden="true"><rect class="fresh" width="100%" height="100%"/>'
        f'<rect class="own" width="{hit:.1%}" height="100%"/>'
        f'<line class="ceiling" x1="{ceiling:.1%}" x2="{ceiling:.1%}" y1="0" y2="100%"/></svg>'
    )


def _breaks(data: Mapping[str, Any]) -> str:
    """What broke, by agent and kind: the first one's paragraph, its cure, and all their calls."""
    found: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for broke in data["breaks"]:
        agent = data["calls"]["agent"][broke["call"]]
        found.setdefault((agent, broke["kind"]), []).append(broke)
    if not found:
        return "<p>None.</p>"
    most = sorted(found.items(), key=lambda item: -_lost(item[1]))
    items = "".join(_item(data, agent, kind, broken) for (agent, kind), broken in most[:_SHOWN])
    rest = len(most) - _SHOWN
    note = f'<p class="soft">{rest:,} more kinds are pinned in the drawing.</p>' if rest > 0 else ""
    return f'<ol class="breaks">{items}</ol>{note}'


def _lost(broken: Sequence[Mapping[str, Any]]) -> int:
    return sum(max(broke["lost"], 0) for broke in broken)


def _item(
    data: Mapping[str, Any], agent: int, kind: int, broken: Sequence[Mapping[str, Any]]
) -> str:
    labels, first, lost = data["labels"], broken[0], _lost(broken)
    name = _escaped(data["agents"][agent])
    meta = _many(len(broken), "call") + (f", about {lost:,} tokens not read" if lost else "")
    refs = "".join(
        f'<button type="button" class="quiet" data-call="{broke["call"]}">'
        f"#{data['calls']['index'][broke['call']]}</button>"
        for broke in broken[:_REFS]
    )
    more = f"<span>and {len(broken) - _REFS:,} more</span>" if len(broken) > _REFS else ""
    return (
        f'<li data-agent="{name}"><h3>{_mark(agent)}<bdi>{name}</bdi>: '
        f'{_escaped(labels[kind])}<span class="meta">{meta}</span></h3>'
        f"<p>{_escaped(labels[first['said']])}</p>"
        f'<p class="cure"><b>Cure:</b> {_escaped(labels[first["cure"]])}</p>'
        f'<div class="refs">{refs}{more}</div></li>'
    )
