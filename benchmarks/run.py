"""Measure what agentcache costs: `python benchmarks/run.py [--json FILE]`.

A benchmark is a function that returns rows; add it to BENCHMARKS.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

RUNS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One number: `value_ms`, the median of `runs`, beside what it is compared with."""

    name: str
    value_ms: float
    baseline: str
    baseline_ms: float
    runs: int = RUNS

    @property
    def ratio(self) -> float:
        """Times slower than the baseline."""
        return self.value_ms / self.baseline_ms


def _elapsed_ms(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1000


def import_time() -> list[Row]:
    """Time a fresh process that only imports agentcache against one that does nothing."""
    codes = {"pass": "pass", "agentcache": "import agentcache"}
    for code in codes.values():  # the first run compiles and fills the disk cache
        _elapsed_ms(code)
    # In turn, so that a slow moment of the machine falls on both.
    turns = [{name: _elapsed_ms(code) for name, code in codes.items()} for _ in range(RUNS)]
    median_ms = {name: statistics.median(turn[name] for turn in turns) for name in codes}
    return [Row("import agentcache", median_ms["agentcache"], "python -c pass", median_ms["pass"])]


BENCHMARKS: list[Callable[[], list[Row]]] = [import_time]


def _print_table(rows: list[Row]) -> None:
    print(f"{'benchmark':<24}{'ms':>10}  {'compared with':<24}{'ms':>10}{'ratio':>8}")
    for row in rows:
        print(
            f"{row.name:<24}{row.value_ms:>10.1f}  "
            f"{row.baseline:<24}{row.baseline_ms:>10.1f}{row.ratio:>7.2f}x"
        )


def _write_json(path: Path, rows: list[Row]) -> None:
    results = [{**asdict(row), "ratio": row.ratio} for row in rows]
    machine = {"python": platform.python_version(), "system": platform.system()}
    path.write_text(json.dumps({**machine, "results": results}, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Run every benchmark; print a table and, if asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    arguments = parser.parse_args()
    rows = [row for benchmark in BENCHMARKS for row in benchmark()]
    _print_table(rows)
    if arguments.json:
        _write_json(arguments.json, rows)


if __name__ == "__main__":
    main()
