"""`agentcache demo compaction` under CrewAI: one agent, one tool, many turns."""

from collections.abc import Callable
from typing import Any

from agentcache.demo.scenario import Endpoint
from agentcache_crewai.demo import Agent, Crew, Task, llm_at, tool_of

__all__ = ["build", "run"]

_MORE = 10
"""Turns that CrewAI allows beyond those that are needed: at its limit it forces an answer."""


def build(endpoint: Endpoint, tool: Callable[[int], str], system: str, turns: int) -> Any:
    """A crew of one."""

    def run_step(step: int) -> str:
        """Take one step and say what came of it."""
        return tool(step)

    engineer = Agent(
        role="Engineer",
        goal="Repair what fails",
        backstory=system,
        tools=[tool_of(run_step)],
        llm=llm_at(endpoint),
        max_iter=turns + _MORE,
    )
    job = Task(description="{asked}", expected_output="Three sentences", agent=engineer)
    return Crew(agents=[engineer], tasks=[job], verbose=False)


def run(program: object, asked: str) -> str:
    """Kick the crew off."""
    crew: Any = program
    return str(crew.kickoff(inputs={"asked": asked}).raw)
