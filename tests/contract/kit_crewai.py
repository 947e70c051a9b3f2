"""CrewAI's kit for the contract suite."""

from collections.abc import Callable, Sequence

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from agentcache.demo.scenario import Endpoint

executed: list[str] = []
"""Names of the tools that really ran."""


@tool
def search_notes(query: str) -> str:
    """Search the notes."""
    executed.append("search_notes")
    return f"note on {query}"


@tool
def delete_everything(confirm: str) -> str:
    """Delete all notes; only the analyst may."""
    executed.append("delete_everything")
    return f"deleted ({confirm})"


TOOLS: dict[str, Callable[[], object]] = {
    "search_notes": lambda: search_notes,
    "delete_everything": lambda: delete_everything,
}


def program(
    endpoint: Endpoint, brief: str, *, parallel: bool = False, stream: bool = False
) -> Crew:
    """Three workers on one brief: a researcher, an analyst with other tools, a writer without."""
    llm = _llm(endpoint, stream=stream)
    researcher = Agent(
        role="Researcher", goal="find facts", backstory="Thorough.", tools=[search_notes], llm=llm
    )
    analyst = Agent(
        role="Analyst", goal="clean up", backstory="Strict.", tools=[delete_everything], llm=llm
    )
    writer = Agent(role="Writer", goal="write", backstory="Eloquent.", llm=llm)
    find = _task(brief, "Find facts.", researcher, parallel=parallel)
    clean = _task(brief, "Clean up.", analyst, parallel=parallel)
    write = _task(brief, "Write it.", writer, needs=[find, clean])
    return Crew(agents=[researcher, analyst, writer], tasks=[find, clean, write])


def run(crew: Crew) -> str:
    """Run the program and return its answer."""
    return str(crew.kickoff().raw)


def give_all_tools_to_everyone(crew: Crew) -> None:
    """The naive union: what a guard protects from."""
    for agent, task in zip(crew.agents, crew.tasks, strict=True):
        agent.tools = [search_notes, delete_everything]
        task.tools = [search_notes, delete_everything]


def _task(
    brief: str, what: str, agent: Agent, *, needs: Sequence[Task] = (), parallel: bool = False
) -> Task:
    return Task(
        description=f"{brief}\n\n{what}",
        expected_output="text",
        agent=agent,
        context=list(needs),
        async_execution=parallel,
    )


def _llm(endpoint: Endpoint, *, stream: bool) -> LLM:
    return LLM(
        model=endpoint.model,
        provider="anthropic" if endpoint.anthropic else "openai",
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        stream=stream,
    )
