"""`agentcache demo langchain`: a supervisor and three workers, each with a tool, on one brief."""

import warnings
from collections.abc import Callable
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool

from agentcache.demo import office
from agentcache.demo.scenario import Endpoint
from agentcache.errors import MissingExtraError


def _missing(error: ImportError) -> MissingExtraError:
    """What the extra does not bring, because the adapter itself needs none of it."""
    missing = MissingExtraError("langchain", error.name or "langgraph")
    missing.msg = (
        f"The demo needs {error.name!r}. Install what it runs on, from a checkout of agentcache: "
        "pip install '.[langchain]' langgraph langchain-openai langchain-anthropic"
    )
    return missing


try:
    from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
        END,
        START,
        MessagesState,
        StateGraph,
    )
    from langgraph.prebuilt import (
        create_react_agent,  # pyright: ignore[reportDeprecated, reportUnknownVariableType]
    )
except ImportError as _error:
    raise _missing(_error) from _error

__all__ = ["build", "made_agent", "model_at", "run", "text_of", "tool_calls"]

tool_calls: Final = office.tool_calls

_SUPERVISOR: Final = (
    "You are the supervisor. You ran a chain of workshops and put the decision first. As long as "
    "nobody has reported, say in a few lines who has to find out what. Once all have reported, "
    "write the page that the board decides on, in plain text and short sentences."
)
_RESEARCHER: Final = (
    "You are the market researcher. You spent ten years in field interviews and trust records "
    "over opinions. List what fleets need, with the records that support it."
)
_ANALYST: Final = (
    "You are the pricing analyst. You were a controller in a repair chain and never round in your "
    "own favour. Compare the three ways to sell it, and show which breaks even and when."
)
_REVIEWER: Final = (
    "You are the reviewer. You have killed three launches and regret none of them. Find every "
    "claim in the reports that the brief does not support."
)


def build(endpoint: Endpoint, brief: str, *, parallel: bool) -> Runnable[Any, Any]:
    """A graph as its user wrote it: one history of messages, a prompt of its own for every agent.

    The supervisor hands out the work and, once the last worker has reported, writes the page.
    """
    model = model_at(endpoint)
    graph: Any = StateGraph(MessagesState)
    graph.add_node("supervisor", _supervisor(model))
    graph.add_node("researcher", _worker(model, "researcher", _RESEARCHER, office.search_records))
    graph.add_node("analyst", _worker(model, "analyst", _ANALYST, office.break_even_months))
    graph.add_node("reviewer", _worker(model, "reviewer", _REVIEWER, office.check_sections))
    graph.add_edge(START, "supervisor")
    if parallel:
        graph.add_conditional_edges("supervisor", _next("researcher", "analyst"))
        graph.add_edge(["researcher", "analyst"], "reviewer")
    else:
        graph.add_conditional_edges("supervisor", _next("researcher"))
        graph.add_edge("researcher", "analyst")
        graph.add_edge("analyst", "reviewer")
    graph.add_edge("reviewer", "supervisor")

    def ask(_nothing: None) -> dict[str, Any]:
        return {"messages": [HumanMessage(brief)]}

    program: Runnable[Any, Any] = RunnableLambda(ask) | graph.compile()
    return program


def run(program: object) -> str:
    """Invoke the graph and return the text of its last message."""
    graph: Any = program
    return text_of(graph.invoke(None)["messages"][-1])


def _supervisor(model: BaseChatModel) -> Callable[[MessagesState], dict[str, Any]]:
    def supervisor(state: MessagesState) -> dict[str, Any]:
        said = model.invoke([SystemMessage(_SUPERVISOR), *state["messages"]])
        return _report("supervisor", said)

    return supervisor


def _next(*workers: str) -> Callable[[MessagesState], list[str]]:
    def route(state: MessagesState) -> list[str]:
        reported = any(message.name == "reviewer" for message in state["messages"])
        return [END] if reported else list(workers)

    return route


def _worker(
    model: BaseChatModel, name: str, prompt: str, does: Callable[..., str]
) -> Callable[[MessagesState], dict[str, Any]]:
    """A node that reports an agent's last answer; how the agent got there is not for the others."""
    agent = made_agent(model, [tool(does)], prompt, name)

    def worker(state: MessagesState) -> dict[str, Any]:
        return _report(name, agent.invoke(dict(state))["messages"][-1])

    return worker


def made_agent(model: BaseChatModel, tools: list[Any], prompt: str, name: str) -> Any:
    """LangGraph's own agent: LangGraph 1 points to `langchain`, which a demo does without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        make: Any = create_react_agent  # pyright: ignore[reportDeprecated, reportUnknownVariableType]
        return make(model, tools, prompt=prompt, name=name)


def _report(name: str, said: BaseMessage) -> dict[str, Any]:
    """What an agent said, as the others hear it: from a colleague, not from themselves."""
    return {"messages": [HumanMessage(text_of(said), name=name)]}


def text_of(said: BaseMessage) -> str:
    """Return the text of a message; Anthropic's comes in blocks."""
    content: Any = said.content
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def model_at(endpoint: Endpoint) -> BaseChatModel:
    """A chat model of LangChain's that answers there."""
    options: dict[str, Any] = {
        "model": endpoint.model,
        "api_key": endpoint.api_key,
        "base_url": endpoint.base_url or None,
        "streaming": True,
    }
    if endpoint.max_tokens is not None:
        options["max_tokens"] = endpoint.max_tokens
    try:
        if endpoint.anthropic:
            from langchain_anthropic import ChatAnthropic  # noqa: PLC0415 - it alone takes seconds

            return ChatAnthropic(**options)
        from langchain_openai import ChatOpenAI  # noqa: PLC0415 - only where it is used
    except ImportError as error:
        raise _missing(error) from error
    # An endpoint that only resembles OpenAI's may not speak the newer of its two APIs.
    return ChatOpenAI(use_responses_api=False if endpoint.base_url else None, **options)
