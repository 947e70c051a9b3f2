"""What cannot be replaced is reported in a sentence that says why and how to cure it."""

# ruff: noqa: PLW0108  (which closure holds the model is what is tested)

from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from langchain_core.runnables import (
    ConfigurableField,
    RunnableLambda,
)
from langchain_openai import ChatOpenAI

from agentcache_langchain.places import Found, find

from .places_kit import (
    PROMPT,
    Bench,
    Pen,
    ask,
    graph_of,
    look_up,
    names,
    serving,
)
from .programs import react_worker

GLOBAL: Any = None
SERVICE: Any = None


@pytest.fixture
def one() -> Iterator[Bench]:
    with serving() as bench:
        yield bench


def _missed(root: Any) -> str:
    found = find(root)
    assert found.places == ()
    (sentence,) = found.missed
    return sentence


def test_global_model_is_reported_with_the_line_to_write(
    one: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "GLOBAL", one.model())
    root = graph_of({"scribe": lambda state: ask(GLOBAL, state)})
    assert "'scribe' calls the ChatOpenAI in the global 'GLOBAL'" in _missed(root)
    assert "`GLOBAL = agentcache.wrap(GLOBAL)`" in _missed(root)
    assert find(root, is_fork=lambda _model: True) == Found((), ())


def test_global_chain_and_service_and_class_attribute_are_reported(
    one: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "GLOBAL", PROMPT | one.model())
    monkeypatch.setitem(globals(), "SERVICE", Pen(one.model()))
    held = type("Held", (), {"llm": one.model(), "__module__": __name__})()
    assert "GLOBAL = agentcache.wrap(GLOBAL)" in _missed(RunnableLambda(lambda x: GLOBAL.invoke(x)))
    assert "in the global 'SERVICE'" in _missed(RunnableLambda(lambda x: SERVICE.write(x)))
    assert "class attribute 'llm' of Held" in _missed(RunnableLambda(lambda x: held.llm.invoke(x)))


def test_global_agent_is_searched(one: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "GLOBAL", react_worker("writer", one.model(), [look_up]))
    root = graph_of({"scribe": lambda state: GLOBAL.invoke(state)})
    found = one.check(root, lambda: root.invoke({"messages": [("user", "hello")]}))
    assert names(found) == ["writer"]


def test_model_made_for_each_call_is_reported() -> None:
    def node(state: Any) -> Any:
        return ask(ChatOpenAI(model="gpt-4.1-mini"), state)

    assert "may make a model for each call in" in _missed(graph_of({"scribe": node}))


def test_middleware_that_makes_a_model_for_each_call_is_reported(one: Bench) -> None:
    middleware = pytest.importorskip("langchain.agents.middleware")

    @middleware.wrap_model_call
    def choose(request: Any, handler: Any) -> Any:
        return handler(request.override(model=ChatOpenAI(model="gpt-4.1-mini")))

    root = pytest.importorskip("langchain.agents").create_agent(
        one.model(), [look_up], middleware=[choose], name="writer"
    )
    assert any("'writer' may make a model" in sentence for sentence in find(root).missed)


def test_configurable_models_are_reported(one: Bench) -> None:
    chat_models = pytest.importorskip("langchain.chat_models")
    fields = ("model", "temperature")
    model = chat_models.init_chat_model("openai:gpt-4.1-mini", configurable_fields=fields)
    sentence = _missed(pytest.importorskip("langchain.agents").create_agent(model, [look_up]))
    assert "`llm = init_chat_model(name)`" in sentence


def test_configurable_fields_are_reported(one: Bench) -> None:
    heat = ConfigurableField(id="heat")
    sentence = _missed(PROMPT | cast("Any", one.model()).configurable_fields(temperature=heat))
    assert "Use `llm.bind(...)`" in sentence


def test_dynamic_model_is_searched_and_reported_when_it_holds_none(one: Bench) -> None:
    pytest.importorskip("langchain")  # older langgraph takes no callable
    made, shelf = one.model(), SimpleNamespace(take=lambda: None)
    hidden = react_worker("writer", lambda _state, _runtime: shelf.take(), [look_up])
    held = react_worker("writer", lambda _state, _runtime: made.bind_tools([look_up]), [look_up])
    assert "let it return a model made by `agentcache.wrap(llm)`" in _missed(hidden)
    found = one.check(held, lambda: held.invoke({"messages": [("user", "hello")]}))
    assert names(found) == ["writer"]
    assert found.missed == ()


def test_model_in_a_container_without_items_to_set_is_reported(one: Bench) -> None:
    held = deque([one.model()])
    sentence = _missed(RunnableLambda(lambda given: held[0].invoke(given)))
    assert "holds a model in a deque" in sentence


def test_a_bare_model_is_reported(one: Bench) -> None:
    assert "nothing here holds" in _missed(one.model())
