"""`agentcache demo graph`: two graphs of tasks, as forks of one session and as they usually are.

A coordinator with three specialists, and a product plan of seven tasks. Separate, each task is a
conversation of its own, with its role in front and the brief in its prompt.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final, Literal

from agentcache.asking import OpenSession
from agentcache.demo import office
from agentcache.demo.scenario import Endpoint
from agentcache.errors import MissingExtraError
from agentcache.graphs import GraphResult, TaskGraph
from agentcache.graphs.checking import levels
from agentcache.ledger import Ledger
from agentcache.sessions import Session

__all__ = ["NAME", "WORKLOADS", "Job", "Ran", "Workload", "built", "in_waves", "run"]

NAME: Final = "graph"
_SYSTEM: Final = "You are one of a team that plans a launch. All of you work on the same brief."


@dataclass(frozen=True, slots=True)
class Job:
    """A task as its user wrote it: who does it, what is asked, behind which others."""

    name: str
    role: str
    prompt: str
    needs: tuple[str, ...] = ()
    tool: Callable[..., str] | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """A graph by its name."""

    name: str
    jobs: Sequence[Job]


WORKLOADS: Final = (
    Workload(
        "specialists",
        (
            Job(
                "question",
                "You are the coordinator. You put the decision first.",
                "Say in a few lines what has to be found out about the launch, and by whom.",
            ),
            Job(
                "needs",
                "You are the researcher. You trust records over opinions.",
                "Find what fleets need, with the records that support it. {question}",
                ("question",),
                office.search_records,
            ),
            Job(
                "price",
                "You are the analyst. You never round in your own favour.",
                "Show which of the three ways to sell it breaks even, and when. {question}",
                ("question",),
                office.break_even_months,
            ),
            Job(
                "risks",
                "You are the reviewer. You have killed three launches.",
                "Find what the brief claims and does not support. {question}",
                ("question",),
                office.check_sections,
            ),
            Job(
                "page",
                "You are the coordinator. You put the decision first.",
                "Write the page that the board decides on.\n{needs}\n{price}\n{risks}",
                ("needs", "price", "risks"),
            ),
        ),
    ),
    Workload(
        "product",
        (
            Job(
                "market",
                "You are the market researcher. You count before you judge.",
                "Describe the market: who pays, for what, and how many there are.",
                tool=office.search_records,
            ),
            Job(
                "competitor",
                "You are the competition analyst. You buy what others sell.",
                "Compare what others offer these fleets, and at what price.",
            ),
            Job(
                "interviews",
                "You are the interviewer. You quote, and do not paraphrase.",
                "Sum up what the people in the interviews complain about.",
                tool=office.search_records,
            ),
            Job(
                "spec",
                "You are the engineer. You write what can be tested.",
                "Write the specification.\n{market}\n{competitor}",
                ("market", "competitor"),
                office.check_sections,
            ),
            Job(
                "ux",
                "You are the designer. You begin with the mechanic's hands.",
                "Describe how it is used, step by step.\n{interviews}",
                ("interviews",),
            ),
            Job(
                "plan",
                "You are the planner. You know what slips first.",
                "Plan the first six months.\n{spec}\n{ux}",
                ("spec", "ux"),
                office.break_even_months,
            ),
            Job(
                "review",
                "You are the reviewer. You have killed three launches.",
                "Review the plan, and say whether the board may decide.\n{plan}",
                ("plan",),
                office.check_sections,
            ),
        ),
    ),
)
_TOOLS: Final = (office.search_records, office.break_even_months, office.check_sections)


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a workload."""

    result: GraphResult
    ledger: Ledger
    seconds: float


def client_at(endpoint: Endpoint) -> Any:
    """An SDK's client for an endpoint; raises MissingExtraError with the install line."""
    package, name = ("anthropic", "Anthropic") if endpoint.anthropic else ("openai", "OpenAI")
    try:
        kind = getattr(import_module(package), name)
    except ImportError as error:
        raise MissingExtraError(package, package) from error
    return kind(base_url=endpoint.base_url or None, api_key=endpoint.api_key)


def built(
    workload: Workload,
    endpoint: Endpoint,
    brief: str,
    layout: Literal["separate", "forked"],
    ledger: Ledger,
    provider: str | None = None,
) -> tuple[TaskGraph, Callable[[], None]]:
    """The graph, and what closes its client."""
    client = client_at(endpoint)
    common: dict[str, Any] = {"model": endpoint.model, "ledger": ledger, "provider": provider}
    if layout == "forked":
        session = Session.open(client, system=_SYSTEM, context=[brief], tools=_TOOLS, **common)
        graph = TaskGraph(session)
        for job in workload.jobs:
            tools = [job.tool] if job.tool else []
            graph.add(job.name, job.prompt, needs=job.needs, role=job.role, tools=tools)
        return graph, client.close
    graph = TaskGraph()
    for job in workload.jobs:
        own: OpenSession = Session.open(
            client,
            system=f"{_SYSTEM} {job.role}",
            tools=[job.tool] if job.tool else [],
            layout="as_is",
            **common,
        )
        graph.add(job.name, f"{brief}\n\n{job.prompt}", needs=job.needs, session=own)
    return graph, client.close


def in_waves(graph: TaskGraph) -> TaskGraph:
    """The same tasks, each behind all of the row above: how a graph runs in waves."""
    made = TaskGraph(graph.session, inputs=graph.inputs)
    above: tuple[str, ...] = ()
    for row in levels(graph.check().tasks):
        for task in row:
            made.put(replace(task, after=tuple(dict.fromkeys((*task.after, *above)))))
        above = tuple(task.name for task in row)
    return made


def run(
    graph: TaskGraph, ledger: Ledger, *, limit: int, on: object = None, progress: bool = False
) -> Ran:
    """Run it and take the time."""
    began = time.monotonic()
    result = graph.run(limit=limit, on=on, progress=progress)
    return Ran(result.check(), ledger, time.monotonic() - began)
