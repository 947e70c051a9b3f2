"""Separate and forked, in turn and in parallel, side by side: what the examples here print."""

from collections.abc import Callable

import openai

import agentcache
from agentcache import Ledger, TaskGraph, loopback

Build = Callable[[openai.OpenAI, Ledger], TaskGraph]
"""Makes a graph on a client, with the calls written to a ledger."""

LATENCY = loopback.Latency(
    prefill_tokens_per_s=12_000, cached_tokens_per_s=400_000, decode_tokens_per_s=1_500, base_s=0.05
)


def show(separate: Build, forked: Build) -> None:
    """Run both at both widths, each on a cold provider, and print a row each."""
    print("                    input  cached  hit rate  ceiling  input bill  seconds  (emulated)")
    for name, build in (("separate", separate), ("forked", forked)):
        for order, limit in (("in turn", 1), ("parallel", 8)):
            ledger = Ledger(source="emulated")
            with (
                loopback.serve(latency=LATENCY) as provider,
                openai.OpenAI(base_url=provider.openai_url, api_key="none") as client,
            ):
                result = build(client, ledger).run(limit=limit, progress=False).check()
            report = agentcache.report(ledger)
            total = report.total
            cached = (total.cached_own or 0) + (total.cached_across or 0)
            dollars = report.unit == "USD" and total.cost is not None  # Python 3.11+
            bill = f"${total.cost:.5f}" if dollars else "n/a"
            print(
                f"{name:<9}{order:<9}{total.input_tokens:>8}{cached:>8}"
                f"{total.hit_rate or 0:>10.0%}{total.ceiling_rate:>9.0%}{bill:>12}"
                f"{result.seconds:>9.2f}"
            )
