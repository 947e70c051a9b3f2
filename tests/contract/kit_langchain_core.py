"""LangChain's kit for the contract suite: three agents of langgraph's own maker in one graph."""

import warnings
from collections.abc import Callable
from operator import add
from typing import Annotated, Any, TypedDict
from weakref import WeakKeyDictionary

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.prebuilt import create_react_agent

from agentcache.demo.scenario import Endpoint

executed: list[str] = []
"""Names of the tools that really ran."""

Hire = Callable[[str, list[Any]], None]
_hires: WeakKeyDictionary[Any, Hire] = WeakKeyDictionary()


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


PROMPTS = {
    "researcher": "You are the researcher. Thorough, you find facts.",
    "analyst": "You are the analyst. Strict, you clean up.",
    "writer": "You are the writer. Eloquent, you write.",
}


class State(TypedDict):
    """What the workers said, the last of them the program's answer."""

    said: Annotated[list[str], add]


def program(endpoint: Endpoint, brief: str, *, parallel: bool = False, stream: bool = False) -> Any:
    """Three workers on one brief: a researcher, an analyst with other tools, a writer without."""
    model = _model(endpoint, stream=stream)
    agents: dict[str, Any] = {}

    def hire(name: str, tools: list[Any]) -> None:
        agents[name] = _agent(model, name, tools)

    hire("researcher", [search_notes])
    hire("analyst", [delete_everything])
    hire("writer", [])
    graph = StateGraph(State)
    graph.add_node("researcher", _node(agents, "researcher", f"{brief}\n\nFind facts."))
    graph.add_node("analyst", _node(agents, "analyst", f"{brief}\n\nClean up."))
    graph.add_node("writer", _node(agents, "writer", f"{brief}\n\nWrite it.", hears=True))
    graph.add_edge(START, "researcher")
    if parallel:
        graph.add_edge(START, "analyst")
        graph.add_edge(["researcher", "analyst"], "writer")
    else:
        graph.add_edge("researcher", "analyst")
        graph.add_edge("analyst", "writer")
    compiled = graph.compile()
    _hires[compiled] = hire
    return compiled


def run(graph: Any) -> str:
    """Run the program and return its answer."""
    return str(graph.invoke({"said": []})["said"][-1])


def give_all_tools_to_everyone(graph: Any) -> None:
    """The naive union: what a guard protects from."""
    for name in PROMPTS:
        _hires[graph](name, [search_notes, delete_everything])


def _agent(model: BaseChatModel, name: str, tools: list[Any]) -> Any:
    with warnings.catch_warnings():
        # LangGraph 1 points to the package `langchain`, which the oldest environment has not.
        warnings.simplefilter("ignore", DeprecationWarning)
        return create_react_agent(model, tools, prompt=PROMPTS[name], name=name)


def _node(
    agents: dict[str, Any], name: str, task: str, *, hears: bool = False
) -> Callable[[State], dict[str, Any]]:
    def work(state: State) -> dict[str, Any]:
        asked = "\n\n".join([task, *state["said"]]) if hears else task
        answer = agents[name].invoke({"messages": [HumanMessage(asked)]})
        return {"said": [_text(answer["messages"][-1])]}

    return work


def _text(said: BaseMessage) -> str:
    content: Any = said.content
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def _model(endpoint: Endpoint, *, stream: bool) -> BaseChatModel:
    options: dict[str, Any] = {
        "model": endpoint.model,
        "base_url": endpoint.base_url,
        "api_key": endpoint.api_key,
        "streaming": stream,
    }
    if endpoint.anthropic:
        return ChatAnthropic(**options)
    return ChatOpenAI(use_responses_api=False, **options)
