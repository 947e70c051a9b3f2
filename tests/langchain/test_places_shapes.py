"""Where a runnable or a node of a graph may keep a model: each is replaced and put back."""

# ruff: noqa: PLC3002, PLW0108  (which closure holds the model is what is tested)

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    ConfigurableField,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import tool

from agentcache_langchain.places import Found, find

from .places_kit import (
    PROMPT,
    Bench,
    Pen,
    Verdict,
    ask,
    graph_of,
    look_up,
    names,
    serving,
    tool_names,
)
from .programs import react_worker


@pytest.fixture
def one() -> Iterator[Bench]:
    with serving() as bench:
        yield bench


def _lambda(model: Any) -> Any:
    return RunnableLambda(lambda given: model.invoke(given["text"]))


def _method(model: Any) -> Any:
    return RunnableLambda(lambda given: given["text"]) | RunnableLambda(model.invoke)


def _alternatives(model: Any) -> Any:
    which = ConfigurableField(id="which")
    return PROMPT | model.configurable_alternatives(which, default_key="a", b=model.with_retry())


def _deep(model: Any) -> Any:
    quick = RunnableBranch((lambda given: not given["text"], _lambda(model)), PROMPT | model)
    return RunnablePassthrough.assign(inner=quick) | RunnableParallel(last=PROMPT | model)


RUNNABLES: dict[str, Callable[[Any], Any]] = {
    "sequence": lambda model: PROMPT | model | StrOutputParser(),
    "bind_tools": lambda model: PROMPT | model.bind_tools([look_up]),
    "bound twice": lambda model: model.bind_tools([look_up]).bind(stop=["x"]) | (lambda x: x),
    "with_config": lambda model: PROMPT | model.with_config(tags=["x"]).with_retry(),
    "with_fallbacks": lambda model: PROMPT | model.with_fallbacks([model.with_retry()]),
    "structured": lambda model: PROMPT | model.with_structured_output(Verdict),
    "structured raw": lambda model: (
        PROMPT | model.with_structured_output(Verdict, method="function_calling", include_raw=True)
    ),
    "parallel": lambda model: RunnableParallel(a=PROMPT | model, b=PROMPT | model),
    "branch": lambda model: RunnableBranch((lambda _: False, PROMPT), PROMPT | model),
    "assign": lambda model: RunnablePassthrough.assign(said=PROMPT | model),
    "each": lambda model: RunnableLambda(lambda given: [given] * 2) | (PROMPT | model).map(),
    "lambda": _lambda,
    "bound method": _method,
    "alternatives": _alternatives,
    "nested": _deep,
}


@pytest.mark.parametrize("shape", RUNNABLES)
def test_models_in_a_runnable_are_replaced(shape: str, one: Bench) -> None:
    root: Runnable[Any, Any] = RUNNABLES[shape](one.model())
    given: Any = "hello" if shape == "bound twice" else {"text": "hello"}
    found = one.check(root, lambda: root.invoke(given))
    assert found.missed == ()
    assert len(names(found)) >= 1


def test_binding_tells_its_tools_and_a_template_its_system_prompt(one: Bench) -> None:
    (place,) = find(PROMPT | one.model().bind_tools([look_up])).places
    assert (place.system, tool_names(place.tools)) == ("You are terse.", ("look_up",))


def test_run_name_names_the_place(one: Bench) -> None:
    chain = PROMPT | one.model().with_config(run_name="oracle")
    assert names(find(chain)) == ["oracle"]


def _through(chain: Any, given: Any) -> Any:
    return chain.invoke(given)


def test_a_chain_that_other_code_uses_is_copied_not_changed(one: Bench) -> None:
    chain = PROMPT | one.model()
    root = RunnableLambda(functools.partial(_through, chain))
    one.replace(find(root))
    chain.invoke({"text": "hello"})
    assert one.recorded == []
    root.invoke({"text": "hello"})
    assert one.recorded == ["agent"]


class SlottedPen(Pen):
    """The same without a dict."""

    __slots__ = ("model",)


@dataclass(frozen=True)
class FrozenPen:
    """The same, which cannot be assigned to."""

    model: Any
    __call__ = Pen.__call__


def _default(model: Any) -> Any:
    def node(state: Any, model: Any = model) -> Any:
        return ask(model, state)

    return node


def _keyword(model: Any) -> Any:
    def node(state: Any, *, model: Any = model) -> Any:
        return ask(model, state)

    return node


def _subgraph(model: Any) -> Any:
    inner = graph_of({"inner": lambda state: ask(model, state)})
    return lambda state: {"messages": inner.invoke(state)["messages"]}


def _helper(model: Any) -> Any:
    def helper(state: Any) -> Any:
        return ask(model, state)

    return lambda state: helper(state)


NODES: dict[str, Callable[[Any], Any]] = {
    "closure": lambda model: lambda state: ask(model, state),
    "bound model": lambda model: functools.partial(ask, model.bind_tools([look_up])),
    "helper": _helper,
    "default": _default,
    "keyword default": _keyword,
    "partial": lambda model: functools.partial(ask, model),
    "partial keyword": lambda model: functools.partial(
        lambda state, asked: ask(asked, state), asked=model
    ),
    "callable object": Pen,
    "slots": SlottedPen,
    "frozen dataclass": FrozenPen,
    "bound method": lambda model: Pen(model).write,
    "model's own method": lambda model: RunnableLambda(lambda s: s["messages"]) | model.invoke,
    "list": lambda model: (lambda held: lambda state: ask(held[0], state))([model]),
    "dict": lambda model: (lambda held: lambda state: ask(held["m"], state))({"m": model}),
    "tuple": lambda model: (lambda held: lambda state: ask(held[1], state))(("m", model)),
    "namespace": lambda model: (lambda held: lambda state: ask(held.m, state))(
        SimpleNamespace(m=model)
    ),
    "chain": lambda model: RunnableLambda(lambda s: s["messages"]) | model,
    "subgraph in a closure": _subgraph,
    "subgraph": lambda model: graph_of({"inner": lambda state: ask(model, state)}),
}


@pytest.mark.parametrize("shape", NODES)
def test_models_of_a_node_are_replaced(shape: str, one: Bench) -> None:
    root = graph_of({"scribe": NODES[shape](one.model())})
    found = one.check(root, lambda: root.invoke({"messages": [("user", "hello")]}))
    assert names(found) == (["inner"] if "subgraph" in shape else ["scribe"])
    assert found.missed == ()


def test_model_as_a_node_is_replaced_also_after_a_run(one: Bench) -> None:
    graphs = pytest.importorskip("langgraph.graph")
    graph = graphs.StateGraph(list)
    graph.add_node("scribe", one.model())
    graph.set_entry_point("scribe")
    root = graph.compile()
    root.invoke([("user", "hello")])
    one.provider.reset()
    one.check(root, lambda: root.invoke([("user", "hello")]))


def test_routing_function_is_searched(one: Bench) -> None:
    model = one.model()

    def route(state: Any) -> str:
        return "b" if model.invoke(state["messages"]) else "c"

    graph = graph_of({"a": lambda _state: {"messages": []}}, compiled=False)
    graph.add_node("b", lambda _state: {"messages": []})
    graph.add_conditional_edges("a", route, ["b"])
    assert names(find(graph)) == ["a"]
    root = graph.compile()
    assert names(one.check(root, lambda: root.invoke({"messages": [("user", "hello")]}))) == ["a"]


def test_graph_that_is_not_compiled_is_replaced_before_it_is(one: Bench) -> None:
    graph = graph_of({"scribe": functools.partial(ask, one.model())}, compiled=False)
    one.replace(find(graph))
    graph.compile().invoke({"messages": [("user", "hello")]})
    assert one.recorded == ["scribe"]


def test_agent_in_a_tool_is_found_by_its_name(one: Bench) -> None:
    model = one.model()
    worker = react_worker("writer", model, [look_up])

    @tool
    def delegate(query: str) -> str:
        """Delegate."""
        return str(worker.invoke({"messages": [("user", query)]})["messages"][-1].content)

    @tool
    def translate(query: str) -> str:
        """Translate."""
        return str(model.invoke(query).content)

    root = react_worker("researcher", model, [delegate, translate])
    assert names(find(root)) == ["researcher", "writer", "translate"]


def test_tasks_and_entrypoints_are_searched(one: Bench) -> None:
    func = pytest.importorskip("langgraph.func")
    model = one.model()

    @func.task
    def ask(text: str) -> str:
        return str(model.invoke(text).content)

    @func.entrypoint()
    def flow(text: str) -> str:
        return cast("str", ask(text).result())

    assert names(one.check(flow, lambda: flow.invoke("hello"))) == ["flow"]


def test_one_node_function_in_two_nodes_is_one_place_with_both_names(one: Bench) -> None:
    node = NODES["closure"](one.model())
    root = graph_of({"first": node, "second": node})
    assert names(find(root)) == ["first + second"]


def test_two_agents_of_one_name_are_told_apart(one: Bench) -> None:
    pair = [react_worker("writer", one.model(), [look_up]) for _ in range(2)]
    assert names(find(pair)) == ["writer", "writer (2)"]


def test_cycles_end_and_empty_things_hold_nothing() -> None:
    ring: list[Any] = []
    ring.append(ring)
    for thing in (ring, PROMPT, object(), None, "text", {}, lambda: 1):
        assert find(thing) == Found((), ())
