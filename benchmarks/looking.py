"""Time and memory of comparing every call with the one before it, as conversations grow long."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from rows import Row, busy_ms
from transcripts import MODELS, request, text_of

from agentcache.breaks import CacheBreak, Lookout, Seen
from agentcache.dialects import dialect
from agentcache.rules import rule_for
from agentcache.usage import Usage

__all__ = ["calls", "looking"]

_TOKENS = 250
"""Of one message; a call says two more than the one before."""
_LONG, _SHORT = 360, 2
"""Messages that a conversation begins with: it is 100,000 or 10,000 tokens long on average."""
_TURNS = 40
_AGENTS = 5
_RUNS = 5
_DRAWN = 30_000
_CALLS = 10_000
_AUTOMATIC = {"anthropic.messages": {"cache_control": {"type": "ephemeral"}}}
_CHILD = """
import gc, json, resource, sys
from looking import calls
from agentcache import Ledger
from agentcache.blocks import Cuts
from agentcache.prints import Printer
from agentcache.breaks import Lookout
from agentcache.ledger import Call
model, recorded, most = sys.argv[1], sys.argv[2] == "recorded", int(sys.argv[3])

def now():
    gc.collect()
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # no /proc: the peak, which is no less
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

made, lookout, ledger = calls(model), Lookout(), Ledger()
cuts, prints, found, empty = Cuts(), Printer(), [], now()
for number in range(1, most + 1):
    seen = next(made)
    if recorded:
        sent = prints(seen.wire.hashed(seen.request, cuts))
        ledger.record(
            Call(seen.agent, model, seen.rule.id, "one", False, "", "ungated", seen.usage, sent,
                 sent, seen.started_s, None, seen.ended_s, request=seen.request)
        )
    else:
        lookout.judged(seen)
    if number in (most // 5, most):
        found.append(now() - empty)
print(json.dumps(found))
"""


def looking() -> list[Row]:
    """What a call takes by the length of what was said before, and memory after many calls."""
    return [*map(_growing, MODELS), *map(_clocked, MODELS), *map(_held, ("looked at", "recorded"))]


def calls(model: str, begun: int = _LONG, agents: int = _AGENTS) -> Iterator[Seen]:
    """Agents in turn, each in a conversation that grows; then each begins another one."""
    wire, rule = dialect(MODELS[model]), rule_for(model)
    chance, number = random.Random(1), 0  # made up, not secret
    while True:
        talks = [[_message(n, chance) for n in range(begun)] for _ in range(agents)]
        for turn in range(agents * _TURNS):
            said = talks[turn % agents]
            said += [_message(len(said) + n, chance) for n in range(2)]
            body = {**request(model, said), **_AUTOMATIC.get(wire.name, {})}
            total = _TOKENS * len(said)
            used = Usage(input_tokens=total, cached_tokens=total)
            at_s = float(number)
            agent = f"Agent {turn % agents}"
            yield Seen(wire, rule, agent, body, {}, used, at_s, at_s + 0.5, number)
            number += 1


def _message(n: int, chance: random.Random) -> dict[str, Any]:
    text = _text()
    size = len(text) * _TOKENS // _DRAWN
    at = chance.randrange(len(text) - size)
    return {"role": ("user", "assistant")[n % 2], "content": f"{n}: {text[at : at + size]}"}


@cache
def _text() -> str:
    return text_of(_DRAWN, 1)


def _growing(model: str) -> Row:
    """Calls that say 500 tokens more than the one before."""
    long, short = (_per_call([*islice(calls(model, n, 1), _TURNS)]) for n in (_LONG, _SHORT))
    return Row(f"500 tokens after 100k {model}", long, "ms", "after 10k", short, 4.0, "ratio")


def _clocked(model: str) -> Row:
    """Calls with the time in front of all they say: nothing is read, and all is new."""
    seen = [replace(each, request=_at(each)) for each in islice(calls(model, agents=1), _TURNS)]
    encoded = min(busy_ms(lambda: json.dumps(seen[_TURNS // 2].request)) for _ in range(_RUNS))
    title = f"100k, the time in front {model}"
    return Row(title, _per_call(seen, "timestamp"), "ms", "json.dumps of it", encoded, 50.0)


def _at(seen: Seen) -> dict[str, Any]:
    now, body = f"It is 2026-11-23 10:{seen.number:02}.", dict(seen.request)
    if "system" in body:
        return {**body, "system": now}
    return {**body, "messages": [{"role": "system", "content": now}, *body["messages"][1:]]}


def _per_call(seen: Sequence[Seen], kind: str | None = None) -> float:
    """Milliseconds of each call after the first, which all break so; the best of several runs."""
    return min(_run(seen, kind) for _ in range(_RUNS))


def _run(seen: Sequence[Seen], kind: str | None) -> float:
    lookout, found = Lookout(), list[CacheBreak | None]()
    lookout.judged(seen[0])
    took = busy_ms(lambda: found.extend(lookout.judged(each)[0] for each in seen[1:]))
    assert {broke and broke.kind for broke in found} == {kind}
    return took / len(found)


def _held(how: str) -> Row:
    """What the process holds for the lookout, or for a ledger without content, which is a log."""
    model = "gpt-6-luna"
    command = [sys.executable, "-c", _CHILD, model, how, str(_CALLS)]
    here = Path(__file__).parent
    done = subprocess.run(command, cwd=here, check=True, capture_output=True, text=True)
    few, many = (bytes_ / 1e6 for bytes_ in json.loads(done.stdout))
    below = 1.2 if how == "looked at" else None
    return Row(f"10,000 calls of 100k {how}", many, "MB", "2,000 calls", few, below, "ratio")
