"""Measure what agentcache costs: `python benchmarks/run.py [--only NAME] [--json FILE]`.

A benchmark is a function that returns rows; add it to BENCHMARKS. Times are only ever compared
within one run.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path

from compaction import compaction
from deciding import deciding
from finding import finding
from forking import forking
from graphs import clusters, graphs
from importing import import_time
from kickoff import kickoff
from looking import looking
from memory import memory
from rows import Row, SkippedError

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "import": import_time,
    "fork": forking,
    "breaks": finding,
    "looking": looking,
    "compaction": compaction,
    "deciding": deciding,
    "memory": memory,
    "graphs": graphs,
    "dask": clusters,
    "kickoff": kickoff,
}
_PACKAGES = ("agentcache", "anthropic", "crewai", "distributed", "openai", "pydantic")
_MET = {True: "met", False: "NOT MET", None: ""}


def _header() -> str:
    columns = f"{'benchmark':<46}{'value':>10}    {'compared with':<18}{'':>9}{'ratio':>9}"
    return f"{columns}  {'target':<10}"


def _line(row: Row) -> str:
    value = f"{row.name:<46}{row.value:>10.2f} {row.unit:<2}"
    baseline = f"{row.baseline:<18}{row.baseline_value:>9.2f}{row.ratio:>8.2f}x"
    return f"{value} {baseline}  {row.target:<10}{_MET[row.met]:<8}{row.note}".rstrip()


def _versions() -> dict[str, str]:
    installed = {found.name: found.version for found in distributions()}
    return {name: installed[name] for name in _PACKAGES if name in installed}


def _write_json(
    path: Path, chosen: Sequence[str], rows: list[Row], skipped: dict[str, str]
) -> None:
    extra = [{"ratio": row.ratio, "target": row.target, "met": row.met} for row in rows]
    found = {
        "command": " ".join(["python benchmarks/run.py", *(f"--only {name}" for name in chosen)]),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processors": os.cpu_count(),
        },
        "python": platform.python_version(),
        "versions": _versions(),
        "results": [{**asdict(row), **more} for row, more in zip(rows, extra, strict=True)],
        "skipped": skipped,
    }
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"Numbers: {path}")


def main() -> None:
    """Run the benchmarks; print a table and, if asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="run just this one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    arguments = parser.parse_args()
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    print(_header(), flush=True)
    for name in arguments.only or BENCHMARKS:
        try:
            found = BENCHMARKS[name]()
        except SkippedError as reason:
            skipped[name] = str(reason)
            print(f"{name}: skipped. {reason}", flush=True)
            continue
        print(*map(_line, found), sep="\n", flush=True)
        rows += found
    if arguments.json:
        _write_json(arguments.json, arguments.only or (), rows, skipped)


if __name__ == "__main__":
    main()
