"""The examples without a framework, run as their readers run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ROW = re.compile(
    r"^(\w+) +(in turn|parallel) +\d+ +\d+ +(\d+)% +(\d+)% +(\$[\d.]+|n/a) ", re.MULTILINE
)


@pytest.mark.parametrize("name", ["specialists", "product_plan"])
def test_an_example_shows_the_2x2(name) -> None:
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    rows = {(layout, order): rest for layout, order, *rest in ROW.findall(told)}
    assert len(rows) == 4
    for order in ("in turn", "parallel"):
        hit, ceiling, bill = rows["forked", order]
        assert int(hit) >= 0.95 * int(ceiling) > 50
        if bill != "n/a":  # genai-prices is not to be had on Python 3.10
            assert float(bill[1:]) < 0.5 * float(rows["separate", order][2][1:])
