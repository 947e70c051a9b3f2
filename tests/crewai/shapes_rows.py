"""The shapes: each a factory of one small program on one brief, as a user would write it."""

import asyncio
import builtins
import importlib.util
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from crewai import Agent, Crew, Flow, Process, Task
from crewai.flow import listen, start
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.lite_agent import LiteAgent
from crewai.memory.unified_memory import Memory
from crewai.tools import tool
from pydantic import BaseModel

from agentcache import loopback

from .shapes_kit import BRIEF, CREWAI, Bench, Shape, speaker, staff

__all__ = ["SHAPES"]


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


def later(method: str) -> Callable[[Any], Any]:
    async def go(program: Any) -> Any:
        return await getattr(program, method)()

    return lambda program: asyncio.run(go(program))


def for_each(program: Crew) -> Any:
    program.tasks[2].description += " About {topic}."
    return program.kickoff_for_each([{"topic": "tea"}, {"topic": "coal"}])


def streamed(program: Crew) -> Any:
    stream: Any = program.kickoff()
    assert "".join(chunk.content for chunk in stream)
    return stream.result


# Hierarchical crews and delegation


def managing(turn: loopback.Turn) -> loopback.Answer:
    if speaker(turn) not in ("Crew Manager", "Boss", "Lead"):
        return staff(turn)
    if turn.tool_results or "delegate_work_to_coworker" not in turn.callable_tools:
        return loopback.Answer(f"The {speaker(turn)} is done.")
    ask = {"task": "Find it.", "context": "none", "coworker": "Researcher"}
    return loopback.Answer(tool_calls=(loopback.ToolCall("delegate_work_to_coworker", ask),))


def managed_by_model(bench: Bench) -> Crew:
    return crew(bench, process=Process.hierarchical, manager_llm=bench.llm())


def managed_by_agent(bench: Bench) -> Crew:
    boss = agent(bench, "Boss", allow_delegation=True)
    return crew(bench, process=Process.hierarchical, manager_agent=boss)


def delegating(bench: Bench) -> Crew:
    llm = bench.llm()
    lead = agent(bench, "Lead", llm=llm, allow_delegation=True)
    return crew(bench, [lead, *trio(bench, llm)])


# Memory and knowledge


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


# Planning


def planned(bench: Bench) -> Crew:
    llm = bench.llm()
    return crew(bench, trio(bench, llm)[::2], planning=True, planning_llm=llm)


def plan_script(turn: loopback.Turn) -> loopback.Answer:
    if turn.response_schema and "list_of_plans_per_task" in json.dumps(turn.response_schema):
        plans = [{"task_number": n, "task": "t", "plan": f"plan {n}"} for n in (1, 2)]
        return loopback.Answer(json.dumps({"list_of_plans_per_task": plans}))
    return reasoning(turn)


def reasoning(turn: loopback.Turn) -> loopback.Answer:
    if "create_reasoning_plan" in turn.callable_tools:
        step = {"step_number": 1, "description": "Do", "tool_to_use": None, "depends_on": []}
        plan = {"plan": "one step", "steps": [step], "ready": True}
        return loopback.Answer(tool_calls=(loopback.ToolCall("create_reasoning_plan", plan),))
    if turn.response_schema and "step_completed_successfully" in json.dumps(turn.response_schema):
        return loopback.Answer(
            json.dumps(
                {
                    "step_completed_successfully": True,
                    "key_information_learned": "done",
                    "remaining_plan_still_valid": True,
                    "suggested_refinements": None,
                    "needs_full_replan": False,
                    "replan_reason": None,
                    "goal_already_achieved": False,
                }
            )
        )
    if turn.response_schema or turn.callable_tools:
        return staff(turn)
    return loopback.Answer("Thought: done\nFinal Answer: The step is done.")


def planning_config(**options: Any) -> Callable[[Bench], Crew]:
    def build(bench: Bench) -> Crew:
        from crewai.agent.planning_config import PlanningConfig

        return crew(bench, trio(bench, planning_config=PlanningConfig(**options))[::2])

    return build


# Guardrails and structured output


def guarded(**options: Any) -> Callable[[Bench], Crew]:
    def build(bench: Bench) -> Crew:
        made = trio(bench)
        tasks = [task(made[0]), task(made[2], **options)]
        return Crew(agents=made, tasks=tasks)

    return build


def judging(turn: loopback.Turn) -> loopback.Answer:
    if speaker(turn) == "Guardrail Agent" or "feedback" in json.dumps(turn.response_schema):
        return loopback.Answer(json.dumps({"valid": True, "feedback": None}))
    return staff(turn)


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


# People, text tools, templates


def asked(answers: Sequence[str]) -> Callable[[Crew], Any]:
    def run(program: Crew) -> Any:
        program.tasks[-1].human_input = True
        with mock.patch.object(builtins, "input", side_effect=[*answers, ""]):
            return program.kickoff()

    return run


def text_tools(turn: loopback.Turn) -> loopback.Answer:
    """A model that calls tools in text."""
    said = "\n".join(s.text for s in turn.texts)
    acted = any("Action Input:" in s.text for s in turn.texts if s.role == "assistant")
    if "Tool Name: search_notes" in said and not acted:
        call = 'Thought: look\nAction: search_notes\nAction Input: {"query": "mill"}'
        return loopback.Answer(call)
    return loopback.Answer(f"Thought: enough\nFinal Answer: The {speaker(turn)} is done.")


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


# Flows, agents alone


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


def ask(program: Any) -> Any:
    return program.kickoff(f"{BRIEF}\n\nDo your part.")


def three_at_once(program: Crew) -> Any:
    async def go() -> Any:
        text = f"{BRIEF}\n\nDo your part."
        return await asyncio.gather(*(a.kickoff_async(text) for a in program.agents))

    return asyncio.run(go())


def lite(bench: Bench) -> LiteAgent:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrewAI deprecates it
        return LiteAgent(
            role="Researcher", goal="g", backstory="b", tools=[search_notes], llm=bench.llm()
        )


# Copies


def copied(program: Crew) -> Any:
    return program.copy().kickoff()


def trained(program: Crew) -> Any:
    with mock.patch.object(builtins, "input", return_value="Shorter."):
        program.train(n_iterations=1, filename="trained.pkl")


def replayed(program: Crew) -> Any:
    program.kickoff()
    return program.replay(str(program.tasks[1].id))


# Tools that appear late


def grown(bench: Bench) -> Crew:
    made = crew(bench)

    def grow(inputs: Any) -> Any:
        made.tasks[1].tools = [late_lookup]
        return inputs

    made.before_kickoff_callbacks.append(grow)
    return made


# Models


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


def always_searching(turn: loopback.Turn) -> loopback.Answer:
    if "search_notes" in turn.callable_tools and speaker(turn) == "Researcher":
        query = {"query": f"try {len(turn.tool_results)}"}
        return loopback.Answer(tool_calls=(loopback.ToolCall("search_notes", query),))
    return staff(turn)


def in_steps(method: str) -> Callable[[Any], Any]:
    """Run for two inputs at once, awaiting what this method returns."""

    async def go(program: Any) -> Any:
        return await getattr(program, method)([{"topic": "tea"}, {"topic": "coal"}])

    return lambda program: asyncio.run(go(program))


def tested(program: Crew) -> Any:
    program.test(n_iterations=1, eval_llm=program.agents[0].llm)


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


_OLD = CREWAI < (1, 15)
_OLD_CLAUDE = "CrewAI 1.14 leaves cached tokens out" if _OLD else ""
_TWO_IN_ONE = "two requests in one call, and the ledger has the last one's usage" if _OLD else ""
_GROWS: dict[str, Any] = {"anew": 1, "notes": "Epoch 2: agent 'Counter' brought 'late_lookup'"}
_DELEGATES = 0.94  # a manager's tools name another coworker for every task
_STEPS = 0.93  # a planning step's own instructions are long

SHAPES = (
    Shape("kickoff", plain),
    Shape("kickoff_async", plain, later("kickoff_async")),
    Shape("akickoff", plain, later("akickoff")),
    Shape("async_execution", in_parallel, parallel=True),
    Shape("kickoff_for_each", plain, for_each),
    Shape("kickoff_for_each_async", plain, in_steps("kickoff_for_each_async"), parallel=True),
    Shape("akickoff_for_each", plain, in_steps("akickoff_for_each"), parallel=True),
    Shape("kickoff, Anthropic", lambda b: crew(b, trio(b, claude(b))), unmetered=_OLD_CLAUDE),
    Shape("two models", two_models, unmetered=_OLD_CLAUDE),
    Shape("stream=True on the model", lambda b: crew(b, trio(b, b.llm(stream=True)))),
    Shape("crew with stream=True", lambda b: crew(b, stream=True), streamed),
    Shape("same agent, two tasks", same_agent_twice),
    Shape("same agent in parallel", same_agent_twice, lacks="CrewAI refuses: executor is running"),
    Shape("hierarchical, manager_llm", managed_by_model, script=managing, least=_DELEGATES),
    Shape("hierarchical, manager_agent", managed_by_agent, script=managing, least=_DELEGATES),
    Shape("delegation", delegating, script=managing),
    Shape(
        "memory=True",
        remembering,
        lacks="its memory has a model of CrewAI's own" if _OLD else "",
        unmetered="counted beside the crew: CrewAI rebuilds its memory at kickoff",
        passed=4,
    ),
    Shape("memory=Memory(...)", with_own_memory, passed=4),
    Shape("knowledge_sources", knowing, passed=2),
    Shape("Crew(planning=True)", planned, script=plan_script, passed=1),
    Shape(
        "planning_config, low",
        planning_config(reasoning_effort="low"),
        script=reasoning,
        least=_STEPS,
        passed=4 if _OLD else 2,
    ),
    Shape(
        "planning_config, high",
        planning_config(reasoning_effort="high"),
        script=reasoning,
        least=_STEPS,
        passed=4,
    ),
    Shape("guardrail, text", guarded(guardrail="Be kind."), script=judging, passed=1),
    Shape(
        "guardrails, list", guarded(guardrails=["Be kind.", "Be short."]), script=judging, passed=2
    ),
    Shape("guardrail, callable", refusing),
    Shape("output_pydantic, no tools", structured(2, output_pydantic=Page), passed=1),
    Shape(
        "output_pydantic, tools",
        structured(0, output_pydantic=Page),
        broken=_TWO_IN_ONE,
        passed=3 if _OLD else 1,
    ),
    Shape("output_json, no tools", structured(2, output_json=Page), passed=1),
    Shape(
        "output_json, tools",
        structured(0, output_json=Page),
        outside=0 if _OLD else 1,
        broken=_TWO_IN_ONE,
        passed=3 if _OLD else 0,
    ),
    Shape(
        "human_input",
        plain,
        asked(["Shorter."]),
        lacks="CrewAI's own executor raises AttributeError" if _OLD else "",
    ),
    Shape("callbacks", with_callbacks),
    Shape("tools in text (ReAct)", without_function_calling, script=text_tools),
    Shape("templates", templated),
    Shape("use_system_prompt=False", with_agents(use_system_prompt=False)),
    Shape("inject_date", with_agents(inject_date=True)),
    Shape("max_iter reached", with_agents(max_iter=2), script=always_searching),
    Shape("multimodal=True", seeing),
    Shape("tools grown before kickoff", grown, **_GROWS),
    Shape("tools grown in step_callback", growing_by_step, **_GROWS),
    Shape("tools of a server (MCP)", late_server, **_GROWS),
    Shape("Flow with a crew and an agent", flow, wraps=lambda f: [f.crew, f.writer]),
    Shape("Agent.kickoff", alone, ask),
    Shape("three Agent.kickoff at once", plain, three_at_once, parallel=True),
    Shape("LiteAgent", lite, ask, script=text_tools),
    Shape("crew.copy()", plain, copied),
    Shape("crew.train()", plain, trained, lacks="as human_input" if _OLD else "", passed=3),
    Shape("crew.test()", plain, tested, passed=3),
    Shape("crew.replay()", plain, replayed),
    Shape(
        "input_files",
        plain,
        lacks="" if importlib.util.find_spec("crewai_files") else "needs crewai-files",
    ),
)
