"""Cells: one run of the program, as it is or wrapped, in turn or in parallel."""

import time
import warnings
from typing import Literal

from pydantic import BaseModel, ConfigDict

import agentcache
from agentcache.demo.scenario import Scenario
from agentcache.demo.targets import Target
from agentcache.errors import CacheBreakWarning, EndpointError
from agentcache.ledger import Ledger
from agentcache.reports import Report, report_on

__all__ = ["Cell", "cell_of", "run_cell", "warm_up"]


class Cell(BaseModel):
    """One run. Times are seconds; `after_leader_s` runs from the end of the first call."""

    model_config = ConfigDict(frozen=True)

    target: str
    source: Literal["measured", "emulated"]
    layout: Literal["separate", "forked"]
    order: Literal["sequential", "parallel"]
    report: Report
    seconds: float
    after_leader_s: float
    workers_first_token_s: float | None
    answer: str


def run_cell(
    scenario: Scenario,
    target: Target,
    brief: str,
    layout: Literal["separate", "forked"],
    order: Literal["sequential", "parallel"],
) -> Cell:
    """Run the program once, on a cold target."""
    text = target.nonce() + brief
    ledger = agentcache.Ledger(source=target.source)
    with target.open() as endpoint:
        program = scenario.build(endpoint, text, parallel=order == "parallel")
        agentcache.wrap(
            program,
            layout="fork" if layout == "forked" else "as_is",
            provider=target.provider,
            ledger=ledger,
        )
        started = time.monotonic()
        with warnings.catch_warnings():
            if layout == "separate":  # it breaks: that is what the table shows
                warnings.simplefilter("ignore", CacheBreakWarning)
            answer = _answer(scenario, program, target)
        seconds = time.monotonic() - started
    return cell_of(target, layout, order, ledger, seconds, answer)


def cell_of(
    target: Target,
    layout: Literal["separate", "forked"],
    order: Literal["sequential", "parallel"],
    ledger: Ledger,
    seconds: float,
    answer: str,
) -> Cell:
    """What a run was, from its ledger."""
    calls = sorted((c for c in ledger.calls if not c.error), key=lambda c: c.started_s)
    later = [t for c in calls[1:] if (t := c.time_to_first_token_s) is not None]
    return Cell(
        target=target.name,
        source=target.source,
        layout=layout,
        order=order,
        report=report_on(ledger),
        seconds=seconds,
        after_leader_s=max((c.ended_s for c in calls), default=0.0)
        - (calls[0].ended_s if calls else 0.0),
        workers_first_token_s=sum(later) / len(later) if later else None,
        answer=answer,
    )


def _answer(scenario: Scenario, program: object, target: Target) -> str:
    try:
        return scenario.run(program)
    except Exception as error:
        raise EndpointError(
            f"The run on {target.name} failed: {type(error).__name__}: {error}. "
            "Check the model's name, the key and the provider's status."
        ) from error


def warm_up(scenario: Scenario, target: Target) -> None:
    """Run once unmeasured, so that the first run does not pay for the framework's own start."""
    if target.warms_up:
        run_cell(scenario, target, "Say that you are ready.", "separate", "sequential")
