"""`import agentcache` in a fresh process."""

import subprocess
import sys

from rows import Row, in_turn_ms

__all__ = ["import_time"]

_RUNS = 11


def import_time() -> list[Row]:
    """A process that only imports agentcache, beside one that does nothing."""

    def started(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True)

    works = {"pass": lambda: started("pass"), "import": lambda: started("import agentcache")}
    in_turn_ms(works, 1)  # the first run compiles and fills the disk cache
    ms = in_turn_ms(works, _RUNS)
    return [Row("import agentcache", ms["import"], "ms", "python -c pass", ms["pass"], 100)]
