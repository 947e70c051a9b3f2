"""Memory of a thousand forks of one large parent."""

import json
import subprocess
import sys
from pathlib import Path

from rows import Row

__all__ = ["memory"]

_CHILD = """
import gc, json, resource, sys, tracemalloc
from transcripts import request, session, text_of
model, traced, forks = sys.argv[1], sys.argv[2] == "traced", int(sys.argv[3])

def now():
    gc.collect()
    if traced:
        return tracemalloc.get_traced_memory()[0]
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # no /proc: the peak, which is no less
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

warm = session(model).fork("warm").rewrite(request(model, [{"role": "user", "content": "?"}]))
assert warm.forked
del warm
if traced:
    tracemalloc.start()
empty = now() if traced else 0
parent = session(model, 100_000)
alone = now() - empty
kept = []
for n in range(forks):
    fork = parent.fork(f"Worker {n}")
    asked = {"role": "user", "content": f"Part {n}: {text_of(50, n)}"}
    made = fork.rewrite(request(model, [asked]))
    assert made.forked
    kept.append(fork)
    del made
print(json.dumps([alone, now() - empty]))
"""
_FORKS = 1000


def memory() -> list[Row]:
    """What Python allocated, and what the process holds, after 1,000 forks made one call each."""
    rows: list[Row] = []
    for model in ("gpt-6-luna", "claude-haiku-5-5"):
        for how, name in (("traced", "allocated"), ("held", "resident")):
            alone, forked = (bytes_ / 1e6 for bytes_ in _measured(model, how))
            title = f"1,000 forks {name} {model}"
            rows.append(Row(title, forked, "MB", "the parent alone", alone, 1.2, "ratio"))
    return rows


def _measured(model: str, how: str) -> list[float]:
    command = [sys.executable, "-c", _CHILD, model, how, str(_FORKS)]
    here = Path(__file__).parent
    done = subprocess.run(command, cwd=here, check=True, capture_output=True, text=True)
    found: list[float] = json.loads(done.stdout)
    return found
