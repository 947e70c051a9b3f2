"""The corpus, told by two other detectors, beside what is true. Run by `nox -s breaks_outside`.

promptcachelint reads OpenAI's and Anthropic's requests, cachecanary Bedrock's: Anthropic's pairs
are shown to it as InvokeModel bodies, the others are not comparable.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import promptcachelint
from cachecanary.diff import explain
from cachecanary.request import normalize

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.breaks.corpus import PAIRS, Pair

from agentcache import find_break

LOUD = {"CL001", "CL002", "CL003", "CL004", "CL006", "CL007", "CL013", "CL010", "CL011", "CL005"}
QUIET = {"prefix-identical", "checkpoint-not-moved"}
SECTIONS = {
    "tools": ("CL002", "tools-"),
    "params": ("CL003", "model-", "thinking-", "effort-", "tool-choice-"),
    "headers": ("CL003",),
    "system": ("CL001", "system-"),
    "messages": ("CL001", "history-", "prefix-truncated"),
    "marks": ("CL004", "CL007", "CL013", "CL010", "lookback-", "ttl-", "no-checkpoint"),
    "time": ("CL006",),
    "usage": ("CL005", "CL010", "CL011"),
}


def by_lint(pair: Pair) -> set[str] | None:
    """Codes of promptcachelint for the later request, as one session's second call."""
    provider = "anthropic" if pair.dialect.startswith("anthropic") else "openai"
    recorder = promptcachelint.Recorder()
    idle = pair.options.get("idle_s") or 1.0
    sent = ((pair.before, 1.0, "before_usage"), (pair.after, 1.0 + idle, "after_usage"))
    for body, at, usage in sent:
        told = pair.options.get(usage)
        response = {"usage": told} if told else None
        recorder.record(provider, body, response=response, session_id="one", at=at)
    report = promptcachelint.analyze(recorder.records)
    last = report.sessions[-1].requests[-1]
    return {finding.code for finding in last.findings if finding.severity != "info"} & LOUD


def by_canary(pair: Pair) -> set[str] | None:
    """Codes of cachecanary; None where it does not read the API."""
    if not pair.dialect.startswith("anthropic"):
        return None
    version = {"anthropic_version": "bedrock-2023-05-31"}
    bodies = ({**body, **version} for body in (pair.before, pair.after))
    one, other = (normalize(body, body["model"]) for body in bodies)
    return {reason.code for reason in explain(one, other)} - QUIET


def verdict(pair: Pair, codes: set[str] | None) -> str:
    """How an answer stands to the truth: right, wrong cause, missed, false alarm, ..."""
    if codes is None:
        return "not comparable"
    if pair.expect is None:
        return "false alarm" if codes else "right"
    if not codes:
        return "missed"
    known = SECTIONS[pair.expect.section]
    return "right place" if any(c.startswith(known) for c in codes) else "wrong cause"


def ours(pair: Pair) -> str:
    """The same of find_break, which must also name the kind."""
    found = find_break(pair.before, pair.after, **pair.options)
    if pair.expect is None or found is None:
        return "right" if found is pair.expect else "missed" if pair.expect else "false alarm"
    return "right place" if found.kind == pair.expect.kind else "wrong cause"


def main() -> None:
    """Print totals, and every disagreement with what is true."""
    totals: dict[str, Counter[str]] = {}
    for pair in PAIRS:
        for name, tell in (("promptcachelint", by_lint), ("cachecanary", by_canary)):
            try:
                codes: Any = tell(pair)
                said = verdict(pair, codes)
            except Exception as error:  # noqa: BLE001 - a detector that raises is a row too
                codes, said = {repr(error)[:60]}, "raised"
            totals.setdefault(name, Counter())[said] += 1
            if said not in ("right", "right place", "not comparable"):
                truth = pair.expect.kind if pair.expect else "healthy"
                told = ",".join(sorted(codes)) or "-"
                print(f"{name:16} {said:12} {truth:20} {told:24} {pair.name}")
        totals.setdefault("agentcache", Counter())[ours(pair)] += 1
    for name, counts in totals.items():
        print(f"{name:16}", dict(counts))


if __name__ == "__main__":
    main()
