"""A graph as a picture: Mermaid, and SVG."""

from collections.abc import Collection, Sequence
from html import escape
from typing import Final

from agentcache.graphs.checking import levels, waits_for
from agentcache.graphs.tasks import Task

__all__ = ["mermaid", "svg"]

_WIDE: Final = 7.2
"""Pixels of a letter, about."""
_HIGH, _ACROSS, _DOWN, _EDGE = 34, 28, 58, 16
_STYLE: Final = (
    "<style>text{font:13px ui-sans-serif,system-ui,sans-serif;fill:#1f2937}"
    "rect{fill:#f3f4f6;stroke:#6b7280}path{fill:none;stroke:#9ca3af;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}rect{fill:#1f2937;stroke:#9ca3af}}"
    "</style>"
)


def mermaid(ordered: Sequence[Task], inputs: Collection[str]) -> str:
    """A Mermaid flowchart; inputs have round ends, what only waits a dotted line."""
    # Not a name itself: "end", say, is a word of Mermaid's.
    ids = {name: f"t{n}" for n, name in enumerate([*inputs, *(t.name for t in ordered)])}
    lines = ["flowchart TD"]
    lines += [f'    {ids[name]}(["{name}"])' for name in inputs]
    lines += [f'    {ids[task.name]}["{task.name}"]' for task in ordered]
    for task in ordered:
        lines += [f"    {ids[name]} --> {ids[task.name]}" for name in task.needs]
        late = [name for name in task.after if name not in task.needs]
        lines += [f"    {ids[name]} -.-> {ids[task.name]}" for name in late]
    return "\n".join(lines) + "\n"


def svg(ordered: Sequence[Task]) -> str:
    """A picture with the tasks in rows, by how many stand before them."""
    rows = levels(ordered)
    sizes = [[_WIDE * len(task.name) + 2 * _EDGE for task in row] for row in rows]
    wide = max((sum(row) + _ACROSS * (len(row) - 1) for row in sizes), default=0.0) + 2 * _EDGE
    places: dict[str, tuple[float, float, float]] = {}
    for depth, (row, widths) in enumerate(zip(rows, sizes, strict=True)):
        at = (wide - sum(widths) - _ACROSS * (len(row) - 1)) / 2
        for task, width in zip(row, widths, strict=True):
            places[task.name] = (at, _EDGE + depth * (_HIGH + _DOWN), width)
            at += width + _ACROSS
    high = 2 * _EDGE + len(rows) * (_HIGH + _DOWN) - (_DOWN if rows else 0)
    size = f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', _STYLE]
    parts += [
        _line(places[name], places[task.name])
        for task in ordered
        for name in waits_for(task, places)
    ]
    parts += [_box(task.name, places[task.name]) for task in ordered]
    return "".join([*parts, "</svg>"])


def _line(above: tuple[float, float, float], below: tuple[float, float, float]) -> str:
    x, y = above[0] + above[2] / 2, above[1] + _HIGH
    to_x, to_y = below[0] + below[2] / 2, below[1]
    middle = (y + to_y) / 2
    curve = f"M{x:.1f} {y:.1f}C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
    return f'<path d="{curve}"/>'


def _box(name: str, place: tuple[float, float, float]) -> str:
    x, y, width = place
    text = f'<text x="{x + width / 2:.1f}" y="{y + _HIGH / 2 + 4:.1f}" text-anchor="middle">'
    box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HIGH}" rx="6"/>'
    return f"<g>{box}{text}{escape(name)}</text></g>"
