"""What an object is to the search: a graph, an aside, a dead end, or something to report."""

from collections import deque
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.tools import BaseTool

from agentcache_langchain.leaves import is_composed, leaves
from agentcache_langchain.walk import is_a, loaded, walkable

__all__ = [
    "Use",
    "graph_name",
    "is_aside",
    "is_graph",
    "is_part",
    "leads_on",
    "makes_models",
    "part_of_agent",
    "why_not",
]

Use = Literal["agent", "side"]

_OWN_NODES = frozenset({"__start__", "agent", "generate_structured_response", "model", "tools"})
_HOOKS = ("pre_model_hook", "post_model_hook")


def is_graph(x: object) -> bool:
    """Whether this is a LangGraph graph, compiled or not."""
    compiled = loaded("langgraph.pregel", "Pregel")
    return isinstance(x, compiled + loaded("langgraph.graph.state", "StateGraph"))


def graph_name(graph: Any) -> str:
    """The name that a graph was given, or nothing."""
    name = getattr(graph, "name", None)
    return name if isinstance(name, str) and name != "LangGraph" else ""


def part_of_agent(node: str, nodes: Any) -> Use | None:
    """Whether a node is a part of the agent that its graph is: its own, a hook beside it, or not.

    create_agent names the nodes of a middleware "<middleware>.<hook>".
    """
    if node in _OWN_NODES:
        return "agent"
    if node in _HOOKS or ("." in node and "model" in nodes):
        return "side"
    return None


def is_aside(x: object) -> bool:
    """Whether this is a middleware that calls the models it holds for itself."""
    return isinstance(x, loaded("langchain.agents.middleware.types", "AgentMiddleware")) and not (
        isinstance(
            x, loaded("langchain.agents.middleware.model_fallback", "ModelFallbackMiddleware")
        )
    )


def is_part(x: object) -> bool:
    """Whether a global is a part of the program that holds its own models."""
    return is_graph(x) or isinstance(x, BaseTool) or type(x).__module__.startswith("langgraph.")


def makes_models(x: object) -> bool:
    """Whether this is a chat model's class, or LangChain's function that makes one."""
    if isinstance(x, FunctionType):
        return x.__name__ == "init_chat_model" and x.__module__.startswith("langchain")
    return isinstance(x, type) and issubclass(x, BaseChatModel) and x is not BaseChatModel


def leads_on(x: Any) -> bool:
    """Whether what is no model itself may hold one.

    A dict that describes a sub-agent does not: deepagents has built the agent from it already.
    """
    if is_a(x, dict) and {"name", "description", "model"} <= x.keys():
        return False
    return walkable(x) or is_composed(x) or isinstance(x, MethodType)


def why_not(x: Any) -> str:
    """Why a model in this cannot be replaced, and the cure; nothing where there is none."""
    if isinstance(x, loaded("langchain.chat_models.base", "_ConfigurableModel")):
        return (
            "calls a model that init_chat_model(configurable_fields=...) makes anew for each call. "
            "Name the model, `llm = init_chat_model(name)`, or wrap the made one: "
            "`llm = agentcache.wrap(init_chat_model(name))`."
        )
    if is_a(x, RunnableConfigurableFields) and _holds_model(x.default):
        return (
            "calls a model with configurable_fields, which is made anew for each call that sets "
            "one. Use `llm.bind(...)`, or configurable_alternatives of wrapped models."
        )
    if isinstance(x, BaseLLM):
        return (
            f"calls {type(x).__name__}, a completion model without messages. Use the provider's "
            "chat model."
        )
    if is_a(x, deque, frozenset, set, MappingProxyType) and _holds_model(_items(x)):
        return (
            f"holds a model in a {type(x).__name__}, where it cannot be replaced. Keep it in a "
            "variable, a list or a dict, or wrap it before: `llm = agentcache.wrap(llm)`."
        )
    return ""


def _items(x: Any) -> tuple[Any, ...]:
    return tuple(x.values() if is_a(x, MappingProxyType) else x)


def _holds_model(x: object) -> bool:
    return any(isinstance(leaf.thing, BaseChatModel) for leaf in leaves(x))
