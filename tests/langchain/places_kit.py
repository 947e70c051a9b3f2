"""What the searches are tested with: a provider, models that are counted, small programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    Runnable,
    RunnableLambda,
)
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from agentcache import loopback
from agentcache_langchain.finding import Finder
from agentcache_langchain.places import Found, Place, find

from . import programs

MODELS = ("gpt-4.1-mini", "gpt-6-luna", "claude-haiku-5-5")


@dataclass
class Bench:
    """A provider, models for it, and which calls went through a replaced one."""

    provider: loopback.Loopback
    name: str
    recorded: list[str] = field(default_factory=list[str])

    def model(self) -> BaseChatModel:
        if self.name.startswith("claude"):
            url = self.provider.url
            return ChatAnthropic(model=self.name, base_url=url, api_key="x", max_retries=0)  # type: ignore[call-arg]
        url = self.provider.openai_url
        return ChatOpenAI(model=self.name, base_url=url, api_key="x", max_retries=0)  # type: ignore[arg-type]

    def requests(self) -> list[loopback.Logged]:
        return [request for request in self.provider.log if request.api != "other"]

    def recording(self, name: str, model: BaseChatModel) -> BaseChatModel:
        """A copy of a model, of a subclass that notes each request it makes."""
        cls: Any = type(model)
        noted = self.recorded

        class Recording(cls):
            def _generate(self, *args: Any, **kwargs: Any) -> Any:
                noted.append(name)
                return super()._generate(*args, **kwargs)

            async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
                noted.append(name)
                return await super()._agenerate(*args, **kwargs)

            def _stream(self, *args: Any, **kwargs: Any) -> Any:
                noted.append(name)
                return super()._stream(*args, **kwargs)

        copy = model.model_copy()
        object.__setattr__(copy, "__class__", Recording)
        return copy

    def replace(self, found: Found) -> None:
        for place in found.places:
            place.put(self.recording(place.name, place.model))

    def check(self, root: Any, run: Callable[[], Any]) -> Found:
        """Run replaced, then undone: all requests go through the replaced models, then none."""
        before = references(root)
        found = find(root)
        self.replace(found)
        run()
        assert len(self.recorded) == len(self.requests()) > 0
        for place in found.places:
            place.put(place.model)
        after = references(root)
        assert all(after[key] is value for key, value in before.items())
        calls = len(self.recorded)
        run()
        assert len(self.recorded) == calls < len(self.requests())
        return found


@contextmanager
def serving(name: str = MODELS[0]) -> Iterator[Bench]:
    """Serve the play of the programs to models of one name."""
    with loopback.serve(script=programs.script) as provider:
        yield Bench(provider, name)


def references(root: Any) -> dict[Any, Any]:
    """What every reference holds that a search found a model in."""
    finder = Finder(lambda _model: False)
    finder.walk(root)
    return {key: holding.slot.ref.value for key, holding in finder.holdings.items()}


def names(found: Found, use: str = "agent") -> list[str]:
    return [place.name for place in found.places if place.use == use]


def sent_by(place: Place, tools: list[Any]) -> bool:
    """Whether a place sends these tools; a middleware may hide or reword some."""
    if not place.varies:
        return list(place.tools) == tools
    return bool(tools) and set(tool_names(tools)) <= set(tool_names(place.tools))


def tool_names(tools: Any) -> tuple[str, ...]:
    return tuple((tool.get("function") or tool)["name"] for tool in tools)


PROMPT = ChatPromptTemplate.from_messages([("system", "You are terse."), ("human", "{text}")])


class Verdict(BaseModel):
    """What a reader thinks."""

    fit: bool


@tool
def look_up(query: str) -> str:
    """Look a word up."""
    return query


class Pen:
    """A callable object, and one with a method, that holds a model."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, state: Any) -> Any:
        return {"messages": [self.model.invoke(state["messages"])]}

    def write(self, state: Any) -> Any:
        return self(state)


def ask(model: Any, state: Any) -> Any:
    return {"messages": [model.invoke(state["messages"])]}


def graph_of(nodes: dict[str, Any], *, compiled: bool = True) -> Any:
    graphs = pytest.importorskip("langgraph.graph")
    graph = graphs.StateGraph(graphs.MessagesState)
    before = graphs.START
    for name, node in nodes.items():
        graph.add_node(name, _messages(node))
        graph.add_edge(before, name)
        before = name
    return graph.compile() if compiled else graph


def _messages(node: Any) -> Any:
    """A chain answers with a message; a node must answer with an update."""
    is_chain = isinstance(node, Runnable) and not hasattr(node, "nodes")
    return node | RunnableLambda(lambda said: {"messages": [said]}) if is_chain else node
