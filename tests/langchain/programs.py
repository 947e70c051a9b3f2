"""Real multi-agent programs of the LangChain family, each over models that a test makes.

A factory takes `make_model()` and gives a `Program`: what to wrap or search, how to run it, whose
models it holds, which tools ran. The user's message is one long brief; every agent has a prompt
and tools of its own. `script` is what the provider must answer for each program to run through.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from langchain_core.tools import BaseTool, StructuredTool

from agentcache import loopback
from agentcache.loopback.scripts import _listed_tools

MakeModel = Callable[[], BaseChatModel]

BRIEF = "Prepare the board memo on the Harbour Line from this dossier.\n\n" + "\n".join(
    f"{n}. In week {n} the Harbour Line carried {n * 7919 % 9973} passengers over {n * 37 % 61} "
    f"crossings; {n * 13 % 29} were late, most of them at pier {n % 7}, and the crew of ferry "
    f"{n * 31 % 17} asked for a review of the winter timetable."
    for n in range(1, 51)
)
"""About 2,500 tokens, the same for every agent."""

ROLES = {
    "researcher": ("You are the researcher. Find what the archive says.", "search_archive"),
    "analyst": ("You are the analyst. Check every figure before you use it.", "check_figures"),
    "writer": ("You are the writer. Draft in plain sentences.", "draft_memo"),
}
"""Each worker's prompt and the tool of its own."""

_CALLS = (
    *(
        loopback.ToolCall(own, {"query": f"winter timetable, by {own}"})
        for _, own in ROLES.values()
    ),
    *(loopback.ToolCall(f"transfer_to_{name}") for name in ROLES),
    *(
        loopback.ToolCall("task", {"description": f"Do the {name}'s part.", "subagent_type": name})
        for name in ("researcher", "analyst")
    ),
)


def script(turn: loopback.Turn) -> loopback.Answer:
    """Make each call of the play that this agent may make and nobody made before, then end."""
    if turn.forced_tool is not None or turn.response_schema is not None:
        return loopback.agent(turn)
    mine, made = _listed_tools(turn), list(_made(turn.body))
    forked = any("you are that subagent" in said.text for said in turn.texts)
    for call in _CALLS:
        again = (call.name, call.arguments.get("subagent_type")) in made
        if call.name in mine and not again and not (forked and call.name == "task"):
            return loopback.Answer(tool_calls=(call,))
    return loopback.Answer("Memo: nothing is left to do.")


def _made(body: Any) -> Any:
    """The tool calls in a request, with the sub-agent they name, in any API's shape."""
    if isinstance(body, dict):
        arguments = body.get("arguments", body.get("input"))
        if isinstance(body.get("name"), str) and arguments is not None:
            told = [name for name in ROLES if f'"{name}"' in str(arguments).replace("'", '"')]
            yield body["name"], told[0] if body["name"] == "task" and told else None
        for value in body.values():
            yield from _made(value)
    elif isinstance(body, list):
        for value in body:
            yield from _made(value)


@dataclass
class Program:
    """A program to run: `agents` hold the models, `tools` run in a whole run, `ran` did."""

    root: Any
    run: Callable[[], Any]
    agents: tuple[str, ...]
    tools: tuple[str, ...] = ()
    ran: list[str] = field(default_factory=list[str])
    models: tuple[BaseChatModel, ...] = ()


@dataclass
class _Desk:
    """The tools of a program and the note of which ran."""

    ran: list[str] = field(default_factory=list[str])

    def tool(self, name: str) -> BaseTool:
        def work(query: str) -> str:
            self.ran.append(name)
            return f"{name} found 3 notes on {query}"

        return StructuredTool.from_function(work, name=name, description=f"Use {name} on a query.")


def _program(root: Any, desk: _Desk, model: BaseChatModel, *agents: str) -> Program:
    """A graph over messages that is given the brief; each run is a fresh conversation."""

    def run() -> Any:
        return root.invoke({"messages": [HumanMessage(BRIEF)]}, {"recursion_limit": 60})

    return Program(root, run, agents, (), desk.ran, (model,))


def quietly(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a maker that newer LangGraph deprecates, and programs still use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return make(*args, **kwargs)


def react_worker(name: str, model: Any, tools: Sequence[BaseTool], **options: Any) -> Any:
    """One agent of langgraph's own maker."""
    prebuilt = pytest.importorskip("langgraph.prebuilt")
    prompt, _own = ROLES[name]
    return quietly(
        prebuilt.create_react_agent, model, list(tools), name=name, **{"prompt": prompt, **options}
    )


def supervisor(make_model: MakeModel) -> Program:
    """A supervisor that hands over to three workers, all on one model object."""
    maker = pytest.importorskip("langgraph_supervisor")
    desk, model = _Desk(), make_model()
    workers = [react_worker(name, model, [desk.tool(own)]) for name, (_, own) in ROLES.items()]
    prompt = "You are the supervisor. Hand over to one worker at a time, then end."
    graph = quietly(maker.create_supervisor, workers, model=model, prompt=prompt).compile()
    program = _program(graph, desk, model, "supervisor", *ROLES)
    program.tools = tuple(own for _, own in ROLES.values())
    return program


def swarm(make_model: MakeModel) -> Program:
    """Three agents that hand over to each other."""
    maker = pytest.importorskip("langgraph_swarm")
    desk, model = _Desk(), make_model()
    names = list(ROLES)
    workers = []
    for name, after in zip(names, [*names[1:], ""], strict=True):
        hand = [maker.create_handoff_tool(agent_name=after)] if after else []
        workers.append(react_worker(name, model, [desk.tool(ROLES[name][1]), *hand]))
    graph = quietly(maker.create_swarm, workers, default_active_agent=names[0]).compile()
    program = _program(graph, desk, model, *names)
    program.tools = tuple(own for _, own in ROLES.values())
    return program


def react(make_model: MakeModel) -> Program:
    """One agent with two tools."""
    desk, model = _Desk(), make_model()
    tools = [desk.tool("search_archive"), desk.tool("check_figures")]
    program = _program(react_worker("researcher", model, tools), desk, model, "researcher")
    program.tools = ("search_archive", "check_figures")
    return program


def agents(make_model: MakeModel) -> Program:
    """Three create_agent agents, one after another in a graph."""
    maker = pytest.importorskip("langchain.agents")
    graphs = pytest.importorskip("langgraph.graph")
    desk, model = _Desk(), make_model()
    graph = graphs.StateGraph(graphs.MessagesState)
    before = graphs.START
    for name, (prompt, own) in ROLES.items():
        tools = [desk.tool(own)]
        agent = maker.create_agent(model, tools, system_prompt=prompt, name=name)
        graph.add_node(name, agent)
        graph.add_edge(before, name)
        before = name
    program = _program(graph.compile(), desk, model, *ROLES)
    program.tools = tuple(own for _, own in ROLES.values())
    return program


def deep(make_model: MakeModel, **options: Any) -> Program:
    """A deep agent with two sub-agents that start from their task alone."""
    maker = pytest.importorskip("deepagents")
    desk, model = _Desk(), make_model()
    subagents = [
        {
            "name": name,
            "description": f"The {name}.",
            "system_prompt": ROLES[name][0],
            "tools": [desk.tool(ROLES[name][1])],
            **options,
        }
        for name in ("researcher", "analyst")
    ]
    prompt, own = ROLES["writer"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mode="fork" is a beta
        graph = maker.create_deep_agent(
            model, [desk.tool(own)], system_prompt=prompt, subagents=subagents, name="writer"
        )
    program = _program(graph, desk, model, "writer", "general-purpose", "researcher", "analyst")
    program.tools = ("draft_memo", "search_archive", "check_figures")
    return program


def deep_forked(make_model: MakeModel) -> Program:
    """The same with sub-agents that deepagents itself forks off the lead's conversation."""
    return deep(make_model, mode="fork")


class _Pier(TypedDict):
    pier: int


class _Board(TypedDict):
    brief: str
    reviews: Annotated[list[str], add]
    memo: str


def send_map_reduce(make_model: MakeModel) -> Program:
    """Four reviews at once by Send, each over a model in a closure, then one memo."""
    graphs = pytest.importorskip("langgraph.graph")
    types = pytest.importorskip("langgraph.types")
    model = make_model()
    chain = ChatPromptTemplate.from_messages(
        [("system", "You are the editor. Merge the reviews."), ("human", "{brief}\n\n{reviews}")]
    ) | (model | StrOutputParser())

    def fan_out(_state: _Board) -> list[Any]:
        return [types.Send("review", {"pier": pier}) for pier in range(4)]

    def review(state: _Pier) -> dict[str, Any]:
        asked = [("system", "You review one pier."), ("human", f"{BRIEF}\n\nPier {state['pier']}.")]
        return {"reviews": [str(model.invoke(asked).content)]}

    def merge(state: _Board) -> dict[str, Any]:
        reviews = "\n".join(state["reviews"])
        return {"memo": chain.invoke({"brief": state["brief"], "reviews": reviews})}

    graph = graphs.StateGraph(_Board)
    graph.add_node("review", review)
    graph.add_node("merge", merge)
    graph.add_conditional_edges(graphs.START, fan_out, ["review"])
    graph.add_edge("review", "merge")
    root = graph.compile()

    def run() -> Any:
        return root.invoke({"brief": BRIEF, "reviews": [], "memo": ""})

    return Program(root, run, ("review", "merge"), models=(model,))


def lcel(make_model: MakeModel) -> Program:
    """Two readers side by side, then a writer with a tool bound, without any graph."""
    desk, model = _Desk(), make_model()

    def reader(name: str) -> Runnable[Any, str]:
        prompt = ChatPromptTemplate.from_messages(
            [("system", ROLES[name][0]), ("human", "{brief}")]
        )
        return prompt | model.with_retry() | StrOutputParser()

    readers = {name: reader(name) for name in ("researcher", "analyst")}
    tools = [desk.tool("draft_memo")]
    writer = (
        ChatPromptTemplate.from_messages(
            [("system", ROLES["writer"][0]), ("human", "{brief}\n\n{researcher}\n\n{analyst}")]
        )
        | model.bind_tools(tools)
        | RunnableLambda(lambda said: [tools[0].invoke(call) for call in said.tool_calls])
    )
    both = RunnableParallel(**readers, brief=lambda given: given["brief"])
    root: Runnable[Any, Any] = both | writer

    def run() -> Any:
        return root.invoke({"brief": BRIEF})

    return Program(
        root, run, ("researcher", "analyst", "agent"), ("draft_memo",), desk.ran, (model,)
    )


PROGRAMS = (supervisor, swarm, react, agents, deep, deep_forked, send_map_reduce, lcel)
