"""`agentcache demo crewai`: four workers on one launch brief, two of them with tools."""

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

# CrewAI reads these when it is imported; a demo reports nothing to anybody and leaves no files.
for _name, _value in {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
    "CREWAI_STORAGE_DIR": str(Path(tempfile.gettempdir()) / "agentcache-demo"),
}.items():
    os.environ.setdefault(_name, _value)

try:
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool
except ImportError as _error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("crewai", "crewai") from _error

from agentcache.demo import office  # noqa: E402
from agentcache.demo.scenario import Endpoint  # noqa: E402

__all__ = ["Agent", "Crew", "Task", "build", "llm_at", "run", "tool_calls", "tool_of", "tools"]

logging.getLogger("crewai.llms.base_llm").setLevel(logging.ERROR)  # its guess at token counts

tool_calls: Final = office.tool_calls

tool_of: Final = tool
_search_records = tool(office.search_records)
_break_even_months = tool(office.break_even_months)
_check_sections = tool(office.check_sections)

tools: Final = (_search_records, _break_even_months, _check_sections)


def build(endpoint: Endpoint, brief: str, *, parallel: bool) -> Crew:
    """A crew as its user wrote it: every task carries the brief, every agent its own role."""
    llm = llm_at(endpoint)
    researcher = Agent(
        role="Market researcher",
        goal="Find what fleets need and what the records support",
        backstory="You spent ten years in field interviews and trust records over opinions.",
        tools=[_search_records],
        llm=llm,
    )
    analyst = Agent(
        role="Pricing analyst",
        goal="Show which price breaks even and when",
        backstory="You were a controller in a repair chain. You never round in your own favour.",
        tools=[_break_even_months],
        llm=llm,
    )
    writer = Agent(
        role="Board writer",
        goal="Turn findings into one page that a board can decide on",
        backstory="You write short sentences and put the decision first.",
        llm=llm,
    )
    reviewer = Agent(
        role="Reviewer",
        goal="Find every claim that the brief does not support",
        backstory="You have killed three launches and regret none of them.",
        tools=[_check_sections],
        llm=llm,
    )
    research = _task(brief, "List what fleets need, with records.", researcher, parallel=parallel)
    pricing = _task(brief, "Compare the three ways to sell it.", analyst, parallel=parallel)
    page = _task(brief, "Write the page for the board.", writer, needs=[research, pricing])
    review = _task(
        brief,
        "Review the page against the brief and the findings.",
        reviewer,
        needs=[research, pricing, page],
    )
    return Crew(
        agents=[researcher, analyst, writer, reviewer],
        tasks=[research, pricing, page, review],
        verbose=False,
    )


def run(program: object) -> str:
    """Kick the crew off and return its last answer."""
    crew: Any = program
    return str(crew.kickoff().raw)


def _task(
    brief: str, what: str, agent: Agent, *, needs: Sequence[Task] = (), parallel: bool = False
) -> Task:
    return Task(
        description=f"{brief}\n\nYour part: {what}",
        expected_output="One page in plain text",
        agent=agent,
        context=list(needs),
        async_execution=parallel,
    )


def llm_at(endpoint: Endpoint) -> Any:
    """A model of CrewAI's that answers there."""
    limit: dict[str, Any] = (
        {} if endpoint.max_tokens is None else {"max_tokens": endpoint.max_tokens}
    )
    return LLM(
        model=endpoint.model,
        provider="anthropic" if endpoint.anthropic else "openai",
        base_url=endpoint.base_url or None,
        api_key=endpoint.api_key,
        stream=True,
        **limit,
    )
