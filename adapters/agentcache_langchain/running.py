"""Models, agents and graphs as tasks: what each is given, and what of its answer is the text."""

from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from agentcache.errors import OptionError, UnknownObjectError
from agentcache_langchain.kinds import is_graph
from agentcache_langchain.places import find
from agentcache_langchain.walk import loaded

__all__ = ["in_parallel", "runner"]


def runner(agent: object) -> Callable[[str], Any]:
    """How a runnable answers a prompt: a text, or what its last part makes of it.

    No copies are made: a runnable keeps nothing between calls, and what a graph keeps it keeps by
    thread, of which each call has its own.
    """
    if isinstance(agent, loaded("langgraph.graph.state", "StateGraph")):
        raise OptionError("This graph is not compiled: pass graph.compile().")
    if not isinstance(agent, Runnable):
        raise UnknownObjectError(
            f"A task of a graph can be a LangChain Runnable, not {type(agent).__qualname__}."
        )
    one: Runnable[Any, Any] = agent  # pyright: ignore[reportUnknownVariableType]
    shaped = _shape(one)

    def ask(prompt: str) -> Any:
        return _text(one.invoke(shaped(prompt), _config(one)))

    async def ask_async(prompt: str) -> Any:
        return _text(await one.ainvoke(shaped(prompt), _config(one)))

    return ask_async if _is_async(one) else ask


def in_parallel(x: object, _inputs: object, _run: object) -> Any:
    """Refuse, with what to do instead."""
    if is_graph(x):
        raise OptionError(
            "LangGraph runs its own nodes in parallel already, wave by wave: use graph.invoke(). "
            "Of several graphs or agents make a TaskGraph: graph.add(name, agent, prompt)."
        )
    raise OptionError(
        f"{type(x).__name__} has no tasks of its own to run in parallel. In a graph it is a task "
        "itself: TaskGraph().add(name, runnable, prompt)."
    )


def _shape(one: Runnable[Any, Any]) -> Callable[[str], Any]:
    """What a runnable is given for a prompt."""
    if not is_graph(one):
        return lambda prompt: prompt
    keys = list(one.get_input_jsonschema().get("properties", {}))
    if "messages" not in keys:
        raise OptionError(
            f"This graph takes {', '.join(map(repr, keys)) or 'no messages'}, and no 'messages': "
            "pass a function that calls graph.invoke(...) with what it takes."
        )
    return lambda prompt: {"messages": [{"role": "user", "content": prompt}]}


def _config(one: Any) -> Any:
    """A thread of its own for each call of a graph that keeps its state."""
    kept = is_graph(one) and getattr(one, "checkpointer", None)
    return {"configurable": {"thread_id": uuid4().hex}} if kept else None


def _is_async(one: Runnable[Any, Any]) -> bool:
    """Whether a node or a tool of a graph can be awaited only.

    All else is called in a thread: an asynchronous client stays on the loop of its first run.
    """
    if not is_graph(one):
        return False
    graph: Any = one
    nodes = [getattr(node, "bound", None) for node in graph.nodes.values()]
    tools = [t for held in find(one).runners for t in getattr(held, "tools_by_name", {}).values()]
    return any(map(_only_awaited, nodes)) or any(_only_awaited(tool, "coroutine") for tool in tools)


def _only_awaited(x: Any, name: str = "afunc") -> bool:
    return getattr(x, "func", None) is None and getattr(x, name, None) is not None


def _text(answer: Any) -> Any:
    """The text of a message, or of the last one in a graph's state; anything else as it is."""
    if isinstance(answer, dict):
        messages: Any = cast("dict[str, Any]", answer).get("messages")
        if not messages:
            return cast("Any", answer)
        answer = messages[-1]
    if not isinstance(answer, BaseMessage):
        return answer
    content: Any = answer.content
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)
