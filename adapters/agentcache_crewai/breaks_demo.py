"""The crew of `agentcache demo breaks`: three agents under whom something moves."""

from typing import Any, Final

from agentcache.demo.breaks import Cause
from agentcache.demo.scenario import Endpoint
from agentcache_crewai.demo import Agent, Crew, Task, llm_at, tools  # first: it prepares CrewAI

__all__ = ["build", "causes", "move", "run"]

_RESEARCHER, _ANALYST, _REVIEWER = "Market researcher", "Pricing analyst", "Reviewer"

causes: Final = (
    Cause(
        _RESEARCHER,
        "`Current time:` in a backstory",
        "Its own text stands behind what all share, so only that is sent anew.",
    ),
    Cause(_ANALYST, "tools from a set", "Forks carry all tools, in one order."),
    Cause(_REVIEWER, "another model", "A model has a cache of its own."),
)


def build(endpoint: Endpoint, brief: str) -> Crew:
    """A crew as its user wrote it; `{now}` is filled in by every kickoff."""
    llm = llm_at(endpoint)
    researcher = Agent(
        role=_RESEARCHER,
        goal="Find what fleets need and what the records support",
        backstory="You trust records over opinions. Current time: {now}. Quote your sections.",
        tools=_of("search_records", "check_sections"),
        llm=llm,
    )
    analyst = Agent(
        role=_ANALYST,
        goal="Show which price breaks even and when",
        backstory="You were a controller in a repair chain. You never round in your own favour.",
        tools=list(tools),
        llm=llm,
    )
    reviewer = Agent(
        role=_REVIEWER,
        goal="Find every claim that the brief does not support",
        backstory="You have killed three launches and regret none of them.",
        tools=_of("check_sections", "search_records"),
        llm=llm,
    )
    tasks = [
        _task(brief, "List what fleets need, with records.", researcher),
        _task(brief, "Compare the three ways to sell it.", analyst),
        _task(brief, "List the claims of the brief that it does not support.", reviewer),
    ]
    return Crew(agents=[researcher, analyst, reviewer], tasks=tasks, verbose=False)


def run(program: object, now: str) -> None:
    """Kick the crew off, as a service does it at every request."""
    crew: Any = program
    crew.kickoff(inputs={"now": now})


def move(program: object, endpoint: Endpoint) -> None:
    """Give the analyst its tools in another order, as a set does, and the reviewer a model."""
    crew: Any = program
    _, pricing, review = crew.tasks
    first, *others = pricing.tools
    pricing.tools = [*others, first]
    review.agent.llm = llm_at(endpoint)


def _of(*names: str) -> list[Any]:
    return [tool for name in names for tool in tools if tool.name == name]


def _task(brief: str, what: str, agent: Agent) -> Task:
    return Task(
        description=f"{brief}\n\nYour part: {what}",
        expected_output="One page in plain text",
        agent=agent,
        context=[],
    )
