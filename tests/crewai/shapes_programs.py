"""The programs of the shapes: each small, on one brief, as a user would write it."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from crewai import Agent, Crew, Flow, Process, Task
from crewai.flow import listen, start
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.lite_agent import LiteAgent
from crewai.memory.unified_memory import Memory
from crewai.tools import tool
from pydantic import BaseModel

from .shapes_kit import BRIEF, Bench

__all__ = [
    "Embedder",
    "Page",
    "Writing",
    "agent",
    "alone",
    "claude",
    "count_words",
    "crew",
    "delegating",
    "embedder_config",
    "flow",
    "growing_by_step",
    "grown",
    "guarded",
    "in_parallel",
    "knowing",
    "late_lookup",
    "late_server",
    "lite",
    "managed_by_agent",
    "managed_by_model",
    "plain",
    "planned",
    "planning_config",
    "refuse_once",
    "refusing",
    "remembering",
    "same_agent_twice",
    "search_notes",
    "seeing",
    "structured",
    "task",
    "templated",
    "trio",
    "two_models",
    "with_agents",
    "with_callbacks",
    "with_own_memory",
    "without_function_calling",
]


@tool
def search_notes(query: str) -> str:
    """Search the notes."""
    return f"note on {query}"


@tool
def count_words(text: str) -> str:
    """Count words."""
    return str(len(text.split()))


@tool
def late_lookup(word: str) -> str:
    """Look a word up in a server that answers late."""
    return f"{word}: found"


class Page(BaseModel):
    """What a structured task answers."""

    title: str


def agent(bench: Bench, role: str, *tools: Any, **options: Any) -> Agent:
    options.setdefault("llm", bench.llm())
    goal, backstory = f"goal of {role}", f"Years as {role}."
    return Agent(role=role, goal=goal, backstory=backstory, tools=list(tools), **options)


def task(who: Agent | None, what: str = "Do your part.", **options: Any) -> Task:
    part = f"{BRIEF}\n\n{what} ({who.role if who else 'Anybody'})"
    return Task(description=part, expected_output="text", agent=who, **options)


def trio(bench: Bench, model: Any = None, **options: Any) -> list[Agent]:
    """Three agents of one model, two of them with tools."""
    llm = model or bench.llm()
    return [
        agent(bench, "Researcher", search_notes, llm=llm, **options),
        agent(bench, "Counter", count_words, llm=llm, **options),
        agent(bench, "Writer", llm=llm, **options),
    ]


def crew(bench: Bench, agents: Sequence[Agent] = (), **options: Any) -> Crew:
    staff_ = list(agents) or trio(bench)
    return Crew(agents=staff_, tasks=[task(a) for a in staff_], **options)


def plain(bench: Bench) -> Crew:
    return crew(bench)


def with_agents(**options: Any) -> Callable[[Bench], Crew]:
    return lambda bench: crew(bench, trio(bench, **options))


def in_parallel(bench: Bench) -> Crew:
    made = crew(bench)
    made.tasks[0].async_execution = made.tasks[1].async_execution = True
    return made


def managed_by_model(bench: Bench) -> Crew:
    return crew(bench, process=Process.hierarchical, manager_llm=bench.llm())


def managed_by_agent(bench: Bench) -> Crew:
    boss = agent(bench, "Boss", allow_delegation=True)
    return crew(bench, process=Process.hierarchical, manager_agent=boss)


def delegating(bench: Bench) -> Crew:
    llm = bench.llm()
    lead = agent(bench, "Lead", llm=llm, allow_delegation=True)
    return crew(bench, [lead, *trio(bench, llm)])


class Embedder:
    """Embeddings made of letters: nothing leaves this machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, input: Sequence[str]) -> Any:  # noqa: A002 - chromadb's word
        import numpy as np

        return [
            np.array([text.count(c) + 0.1 for c in "etaoinsh"], dtype=np.float32) for text in input
        ]

    def embed_query(self, input: Sequence[str]) -> Any:  # noqa: A002
        return self(input)

    @staticmethod
    def name() -> str:
        return "letters"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: Any) -> "Embedder":
        return Embedder()

    def default_space(self) -> str:
        return "cosine"

    def supported_spaces(self) -> list[str]:
        return ["cosine", "l2", "ip"]

    def is_legacy(self) -> bool:
        return False


def embedder_config() -> Any:
    from chromadb.api.types import EmbeddingFunction
    from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

    class Letters(Embedder, CustomEmbeddingFunction, EmbeddingFunction):  # type: ignore[misc,type-arg]
        pass

    return {"provider": "custom", "config": {"embedding_callable": Letters}}


def remembering(bench: Bench) -> Crew:
    return crew(bench, trio(bench)[::2], memory=True, embedder=embedder_config())


def with_own_memory(bench: Bench) -> Crew:
    llm = bench.llm()
    memory = Memory(llm=llm, embedder=Embedder(), storage=str(bench.folder / "memory"))
    return crew(bench, trio(bench, llm)[::2], memory=memory)


def knowing(bench: Bench) -> Crew:
    import crewai.rag.chromadb.config as chroma

    chroma.DEFAULT_STORAGE_PATH = str(bench.folder / "chroma")  # type: ignore[misc]
    source = StringKnowledgeSource(content="The mill was built in 1848.")
    return crew(bench, trio(bench)[::2], knowledge_sources=[source], embedder=embedder_config())


def planned(bench: Bench) -> Crew:
    llm = bench.llm()
    return crew(bench, trio(bench, llm)[::2], planning=True, planning_llm=llm)


def planning_config(**options: Any) -> Callable[[Bench], Crew]:
    def build(bench: Bench) -> Crew:
        from crewai.agent.planning_config import PlanningConfig

        return crew(bench, trio(bench, planning_config=PlanningConfig(**options))[::2])

    return build


def guarded(**options: Any) -> Callable[[Bench], Crew]:
    def build(bench: Bench) -> Crew:
        made = trio(bench)
        tasks = [task(made[0]), task(made[2], **options)]
        return Crew(agents=made, tasks=tasks)

    return build


def refuse_once() -> Callable[[Any], tuple[bool, Any]]:
    seen: list[Any] = []

    def check(output: Any) -> tuple[bool, Any]:
        seen.append(output)
        return (True, output.raw) if len(seen) > 1 else (False, "Once more.")

    return check


def refusing(bench: Bench) -> Crew:
    return guarded(guardrail=refuse_once())(bench)


def structured(who: int, **options: Any) -> Callable[[Bench], Crew]:
    def build(bench: Bench) -> Crew:
        made = trio(bench)
        tasks = [task(a, **(options if n == who else {})) for n, a in enumerate(made)]
        return Crew(agents=made, tasks=tasks)

    return build


def without_function_calling(bench: Bench) -> Crew:
    llm = bench.llm()
    quiet = type("Quiet", (type(llm),), {"supports_function_calling": lambda self: False})
    llm.__class__ = quiet
    return crew(bench, trio(bench, llm))


def templated(bench: Bench) -> Crew:
    return crew(
        bench,
        trio(
            bench,
            system_template="<<S>>{{ .System }}<<E>>",
            prompt_template="<<U>>{{ .Prompt }}<<E>>",
            response_template="<<A>>{{ .Response }}<<E>>",
        ),
    )


class Writing(Flow):  # type: ignore[type-arg]
    crew: Any = None
    writer: Any = None

    @start()
    def research(self) -> Any:
        return self.crew.kickoff().raw

    @listen(research)
    def write(self, found: str) -> Any:
        return self.writer.kickoff(f"{BRIEF}\n\nWrite: {found}").raw


def flow(bench: Bench) -> Any:
    made = trio(bench)
    running = Writing()
    running.crew = crew(bench, made[:2])
    running.writer = made[2]
    return running


def alone(bench: Bench) -> Agent:
    return trio(bench)[0]


def lite(bench: Bench) -> LiteAgent:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrewAI deprecates it
        return LiteAgent(
            role="Researcher", goal="g", backstory="b", tools=[search_notes], llm=bench.llm()
        )


def grown(bench: Bench) -> Crew:
    made = crew(bench)

    def grow(inputs: Any) -> Any:
        made.tasks[1].tools = [late_lookup]
        return inputs

    made.before_kickoff_callbacks.append(grow)
    return made


def two_models(bench: Bench) -> Crew:
    luna, claude = bench.llm(), bench.llm("claude-haiku-5-5")
    made = [*trio(bench, luna)[::2], *trio(bench, claude)[::2]]
    for n, one in enumerate(made[2:]):
        one.role = f"Second {('Researcher', 'Writer')[n]}"
    return crew(bench, made)


def same_agent_twice(bench: Bench) -> Crew:
    made = trio(bench)
    twice = made[0]
    tasks = [task(twice, "One."), task(twice, "Two."), task(made[2])]
    return Crew(agents=[made[0], made[2]], tasks=tasks)


def with_callbacks(bench: Bench) -> Crew:
    said: list[str] = []
    made = crew(bench)
    made.step_callback = lambda step: said.append(type(step).__name__)
    made.task_callback = lambda done: said.append(done.raw)
    made.before_kickoff_callbacks.append(lambda inputs: inputs)

    def note(result: Any) -> Any:
        result.raw += f" ({len(said)}: {', '.join(said)})"
        return result

    made.after_kickoff_callbacks.append(note)
    return made


def seeing(bench: Bench) -> Crew:
    made = trio(bench)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrewAI deprecates it
        made[2].multimodal = True
    return crew(bench, made)


def late_server(bench: Bench) -> Crew:
    """What an MCP server lists is known only when CrewAI asks it, at the task."""
    made = trio(bench)
    made[1].mcps = ["https://mcp.invalid/mcp"]
    object.__setattr__(made[1], "get_mcp_tools", lambda mcps: [late_lookup])
    return crew(bench, made)


def growing_by_step(bench: Bench) -> Crew:
    made = crew(bench)

    def grow(_step: Any) -> None:
        made.tasks[1].tools = [late_lookup]

    made.step_callback = grow
    return made


def claude(bench: Bench) -> Any:
    return bench.llm("claude-haiku-5-5")
