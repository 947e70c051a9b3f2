"""Whose a model is: agents by name, and what the makers of agents keep in their closures."""

import dis
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.utils.function_calling import convert_to_openai_tool

from agentcache_langchain.kinds import Use
from agentcache_langchain.leaves import leaves, text_of
from agentcache_langchain.walk import cells, loaded, written_by_user

__all__ = [
    "Agent",
    "dynamic_model",
    "globals_of",
    "learn",
]


@dataclass(eq=False, slots=True)
class Agent:
    """Who holds a model; `tools_of` says what it sends with one, where its maker told."""

    name: str
    use: Use = "agent"
    system: str = ""
    varies: bool = False
    tools_of: Callable[[BaseChatModel], tuple[dict[str, Any], ...]] | None = None


def learn(agent: Agent, function: FunctionType) -> None:
    """Note the system prompt and the tools of an agent that create_agent made, from its node."""
    if not _is_made_in(function, "create_agent", "model_node", "amodel_node"):
        return
    closed = _values(function)
    agent.system = text_of(closed.get("system_message") or closed.get("system_prompt") or "")
    hooks = ("wrap_model_call_handler", "awrap_model_call_handler")
    agent.varies = any(closed.get(hook) is not None for hook in hooks)
    agent.tools_of = lambda model: _tools_of(model, closed)


def _is_made_in(function: FunctionType, maker: str, *names: str) -> bool:
    top = function.__module__.partition(".")[0]
    made = {f"{maker}.<locals>.{name}" for name in names}
    return top in ("langchain", "langgraph") and function.__qualname__ in made


def _values(function: FunctionType) -> dict[str, Any]:
    return {name: cell.cell_contents for name, cell in cells(function).items()}


def _tools_of(model: BaseChatModel, closed: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """What create_agent would bind to a model, before any middleware changes the request.

    Its own function is asked, because a response format adds a tool or makes all of them strict.
    """
    tools = list(closed.get("default_tools") or ())
    with suppress(Exception):  # private, so it may change; the plain binding below is near
        execute = closed.get("_execute_model_sync") or closed["_execute_model_async"]
        bound, _format = _values(execute)["_get_bound_model"](_request(model, tools, closed))
        return next(iter(leaves(bound))).tools
    if not tools:
        return ()
    try:
        return next(iter(leaves(model.bind_tools(tools)))).tools
    except Exception:  # noqa: BLE001  (a model that takes no tools says so in its own way)
        return tuple(convert_to_openai_tool(tool) for tool in tools)


def _request(model: BaseChatModel, tools: list[Any], closed: dict[str, Any]) -> Any:
    (request,) = loaded("langchain.agents.middleware.types", "ModelRequest")
    prompt = "system_message" if "system_message" in closed else "system_prompt"
    wish: dict[str, Any] = {
        "model": model,
        "tools": tools,
        prompt: closed.get(prompt),
        "response_format": closed.get("initial_response_format"),
        "messages": [],
        "tool_choice": None,
        "state": {},
        "runtime": None,
    }
    return request(**wish)


def dynamic_model(function: FunctionType) -> Any:
    """The callable that chooses the model of a create_react_agent for each call, or None."""
    if not _is_made_in(function, "create_react_agent", "_resolve_model"):
        return None
    closed = _values(function)
    return closed.get("model") if closed.get("is_dynamic_model") else None


def globals_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The module globals that a function of the user's reads, and attributes of such modules."""
    if not written_by_user(function.__module__):
        return
    for code in _codes(function.__code__):
        read = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
        for name in [name for name in code.co_names if name in read]:
            value = function.__globals__.get(name)
            yield name, value
            if isinstance(value, ModuleType) and written_by_user(value.__name__):
                inner = vars(value)
                yield from ((f"{name}.{n}", inner[n]) for n in code.co_names if n in inner)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)
