"""Every model of a real program is found, replaced in place, and put back exactly."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from agentcache_langchain.places import find

from . import programs
from .places_kit import (
    MODELS,
    Bench,
    Verdict,
    look_up,
    names,
    sent_by,
    serving,
    tool_names,
)
from .programs import PROGRAMS, Program


@pytest.fixture
def one() -> Iterator[Bench]:
    with serving() as bench:
        yield bench


EVERY = [(make, MODELS[0]) for make in PROGRAMS]
"""What kind of model a reference holds does not change how it is found: not every pair is run."""
EVERY += [(make, name) for make in (programs.supervisor, programs.deep) for name in MODELS[1:]]


@pytest.mark.parametrize(("make", "model"), EVERY)
def test_every_request_goes_through_a_replaced_model_and_none_after_the_undo(
    make: Callable[..., Program], model: str
) -> None:
    with serving(model) as bench:
        program = make(bench.model)
        found = bench.check(program.root, program.run)
        assert sorted(names(found)) == sorted(program.agents)
        assert found.missed == ()
        assert set(bench.recorded) <= set(program.agents)
        assert set(program.ran) == set(program.tools)


@pytest.mark.parametrize("make", PROGRAMS)
def test_tools_and_prompt_of_a_place_are_those_on_the_wire(
    make: Callable[..., Program], one: Bench
) -> None:
    program = make(one.model)
    places = find(program.root).places
    program.run()
    for request in one.requests():
        tools = list(request.body.get("tools", []))
        alike = [place for place in places if sent_by(place, tools)]
        assert alike, tool_names(tools)
        said = str(request.body["messages"][0]["content"])
        assert any(place.system.partition("\n")[0] in said for place in alike)


@pytest.mark.parametrize("make", [programs.supervisor, programs.send_map_reduce])
def test_async_runs_are_replaced_too(make: Callable[..., Program], one: Bench) -> None:
    program = make(one.model)
    one.replace(find(program.root))
    given = {"messages": [("user", programs.BRIEF)], "brief": "", "reviews": [], "memo": ""}

    async def run() -> None:
        await program.root.ainvoke(given)
        await cast("Any", program.models[0]).root_async_client.close()

    asyncio.run(run())
    assert len(one.recorded) == len(one.requests()) > 1


@pytest.mark.parametrize("make", PROGRAMS)
def test_code_outside_keeps_its_model(make: Callable[..., Program], one: Bench) -> None:
    program = make(one.model)
    one.replace(find(program.root))
    program.models[0].invoke("hello")
    assert one.recorded == []
    assert len(one.requests()) == 1


def test_search_is_quick(one: Bench) -> None:
    program = programs.supervisor(one.model)
    took_s = []
    for _ in range(3):
        started = time.perf_counter()
        find(program.root)
        took_s.append(time.perf_counter() - started)
    assert min(took_s) < 0.1


def _agents() -> Any:
    return pytest.importorskip("langchain.agents")


def test_model_given_as_a_string_is_found() -> None:
    agent = _agents().create_agent("openai:gpt-4.1-mini", [look_up], system_prompt="Terse.")
    (place,) = find(agent).places
    assert (place.name, place.system) == ("agent", "Terse.")


def test_summarising_middleware_is_a_side_place_and_is_replaced(one: Bench) -> None:
    middleware = pytest.importorskip("langchain.agents.middleware")
    summary = middleware.SummarizationMiddleware
    model = one.model()
    when: dict[str, Any] = {"trigger": ("messages", 2), "keep": ("messages", 1)}
    if "trigger" not in inspect.signature(summary).parameters:  # langchain 1.0
        when = {"max_tokens_before_summary": 1, "messages_to_keep": 1}
    aside = summary(model, **when)
    root = _agents().create_agent(model, [look_up], middleware=[aside], name="writer")
    said = [("user", "one"), ("ai", "two"), ("user", "three")]
    found = one.check(root, lambda: root.invoke({"messages": said}))
    assert names(found) == ["writer"]
    assert names(found, "side") == ["writer SummarizationMiddleware"]
    assert set(one.recorded) == {"writer", "writer SummarizationMiddleware"}


def test_fallback_models_are_the_agents_own_and_send_its_tools(one: Bench) -> None:
    middleware = pytest.importorskip("langchain.agents.middleware")
    aside = middleware.ModelFallbackMiddleware(one.model())
    root = _agents().create_agent(one.model(), [look_up], middleware=[aside], name="writer")
    places = find(root).places
    assert [place.name for place in places] == ["writer", "writer (2)"]
    assert [tool_names(place.tools) for place in places] == [("look_up",)] * 2


def test_middleware_that_chooses_between_models_is_searched(one: Bench) -> None:
    middleware = pytest.importorskip("langchain.agents.middleware")
    other = one.model()

    @middleware.wrap_model_call
    def choose(request: Any, handler: Any) -> Any:
        return handler(request.override(model=other))

    root = _agents().create_agent(one.model(), [look_up], middleware=[choose], name="writer")
    found = one.check(root, lambda: root.invoke({"messages": [("user", "hello")]}))
    assert names(found) == ["writer", "writer (2)"]


def test_response_format_adds_its_tool(one: Bench) -> None:
    strategy = pytest.importorskip("langchain.agents.structured_output").ToolStrategy
    root = _agents().create_agent(one.model(), [look_up], response_format=strategy(Verdict))
    (place,) = find(root).places
    assert tool_names(place.tools) == ("look_up", "Verdict")
