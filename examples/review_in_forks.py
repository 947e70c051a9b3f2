"""Three reviewers of one text, as forks of one parent. Runs offline on the loopback provider.

    pip install '.[crewai,loopback]' && python examples/review_in_forks.py

Put your own endpoint, model and key into `LLM(...)` to run it live.
"""

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import LLM, Agent, Crew, Task

import agentcache
from agentcache import loopback
from agentcache.demo.scenario import brief

REVIEWERS = {
    "Numbers": "Check every figure against its table.",
    "Language": "Mark sentences that a tired reader would read twice.",
    "Risks": "Name what could go wrong and is not mentioned.",
}


def build(llm: LLM, text: str) -> Crew:
    """The crew as anybody would write it: the text is pasted into every task."""
    agents = [Agent(role=r, goal=g, backstory="You review.", llm=llm) for r, g in REVIEWERS.items()]
    tasks = [
        Task(
            description=f"{text}\n\n{agent.goal}",
            expected_output="a list of findings",
            agent=agent,
            async_execution=agent is not agents[-1],
        )
        for agent in agents
    ]
    return Crew(agents=agents, tasks=tasks)


def main() -> None:
    """Run once, wrapped, and show the report."""
    text = brief()
    with loopback.serve() as provider:
        llm = LLM(
            model="gpt-6-luna", provider="openai", base_url=provider.openai_url, api_key="none"
        )
        crew = agentcache.wrap(build(llm, text))
        crew.kickoff()
        agentcache.report(crew).show()


if __name__ == "__main__":
    main()
