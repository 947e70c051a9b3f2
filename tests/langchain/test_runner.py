"""Models, chains, agents and graphs as tasks of a TaskGraph; and why `parallel` takes none."""

import threading
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

import agentcache
from agentcache import TaskGraph, loopback

from . import programs

langchain_openai = pytest.importorskip("langchain_openai")
pytest.importorskip("langgraph")


def echo(turn: loopback.Turn) -> loopback.Answer:
    if turn.callable_tools and not turn.tool_results:
        return loopback.Answer(tool_calls=(loopback.ToolCall(turn.callable_tools[0], {"q": "x"}),))
    said = [text.text for text in turn.texts if "Do " in text.text][-1]
    return loopback.Answer("did " + said.rpartition("Do ")[2])


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=echo) as running:
        yield running


def model_at(provider: loopback.Loopback) -> Any:
    return langchain_openai.ChatOpenAI(
        model="gpt-6-luna", base_url=provider.openai_url, api_key="dummy", max_retries=0
    )


def calls(provider: loopback.Loopback) -> list[loopback.Logged]:
    return [r for r in provider.log if r.api != "other"]


def agent_on(model: Any, tools: Any = (), **options: Any) -> Any:
    prebuilt = pytest.importorskip("langgraph.prebuilt")
    return prebuilt.create_react_agent(model, list(tools), **options)


def asked_twice(agent: Any, *, brief: str = "") -> TaskGraph:
    graph = TaskGraph(inputs={"town": "Ulm"})
    graph.add("one", agent, brief + "Do one in {town}", needs=["town"])
    graph.add("two", agent, brief + "Do two")
    graph.add("sum", agent, brief + "Do {one} and {two}", needs=["one", "two"])
    return graph


def test_a_chat_model_answers_in_text_and_two_tasks_at_the_same_time():
    met = threading.Barrier(2)

    def meeting(turn: loopback.Turn) -> loopback.Answer:
        if "did" not in turn.user:
            met.wait(20)
        return echo(turn)

    with loopback.serve(script=meeting) as provider:
        graph = asked_twice(model_at(provider))
        result = graph.run().check()
        assert result["sum"] == "did did one in Ulm and did two"
        assert graph.run().ok  # on another event loop
        body = calls(provider)[-1].body
    assert body["messages"] == [{"role": "user", "content": "Do did one in Ulm and did two"}]


def test_a_chain_is_given_the_prompt_and_its_last_part_decides_what_comes_back(provider):
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{it}")])
    graph = TaskGraph()
    graph.add("text", chain | model_at(provider) | StrOutputParser(), "Do this")
    graph.add(
        "size", chain | model_at(provider) | StrOutputParser() | len, "Do {text}", needs=["text"]
    )
    assert dict(graph.run().check()) == {"text": "did this", "size": len("did did this")}
    assert calls(provider)[0].body["messages"][0]["content"] == "Be brief."


@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
@pytest.mark.parametrize("awaited", [False, True])
def test_an_agent_with_tools_gives_the_text_of_its_last_message(provider, awaited):
    from langchain_core.tools import StructuredTool

    ran: list[str] = []

    def search(q: str) -> str:
        """Search."""
        ran.append(q)
        return "found"

    async def asearch(q: str) -> str:
        """Search."""
        return search(q)

    tool = (
        StructuredTool.from_function(coroutine=asearch, name="search")
        if awaited
        else StructuredTool.from_function(search)
    )
    graph = TaskGraph()
    graph.add("one", agent_on(model_at(provider), [tool]), "Do one")
    assert graph.run().check()["one"] == "did one"
    assert ran == ["x"]


@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
def test_a_graph_that_remembers_remembers_nothing_of_another_task(provider):
    from langgraph.checkpoint.memory import MemorySaver

    asked_twice(agent_on(model_at(provider), checkpointer=MemorySaver())).run().check()
    assert [len(r.body["messages"]) for r in calls(provider)] == [1, 1, 1]


@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
def test_a_wrapped_agent_forks_its_tasks_from_one_cold_call(provider):
    agents = [agent_on(model_at(provider), prompt=f"You are the {who}.") for who in ("one", "two")]
    agentcache.wrap(agents, context=[programs.BRIEF], layout="fork")
    graph = TaskGraph()
    brief = programs.BRIEF + "\n\n"
    for n, agent in enumerate([*agents, *agents]):
        graph.add(f"part{n}", agent, f"{brief}Do part {n}")
    result = graph.run().check()
    assert result["part3"] == "did part 3"
    assert [(r.cached_tokens or 0) > 1500 for r in calls(provider)].count(False) == 1
    assert agentcache.report(agents).total.calls == 4


class Odd(TypedDict):
    question: str


def test_what_cannot_be_asked_or_run_in_parallel_is_refused_with_the_cure(provider):
    from langgraph.graph import StateGraph

    builder = StateGraph(Odd)
    builder.add_node("answer", lambda state: state)
    builder.set_entry_point("answer")
    graph = TaskGraph()
    with pytest.raises(agentcache.errors.OptionError, match=r"takes 'question'.*pass a function"):
        graph.add("odd", builder.compile(), "Do it")
    with pytest.raises(agentcache.errors.OptionError, match=r"pass graph\.compile\(\)"):
        graph.add("raw", builder, "Do it")
    with pytest.raises(agentcache.errors.OptionError, match="its own nodes in parallel already"):
        agentcache.parallel(builder.compile())
    with pytest.raises(agentcache.errors.OptionError, match="is a task itself"):
        agentcache.parallel(model_at(provider))


def test_an_agent_is_asked_again_unless_its_version_says_that_it_is_the_same(provider, tmp_path):
    def run(**options: Any) -> tuple[dict[str, Any], int]:
        graph, before = TaskGraph(), len(calls(provider))
        graph.add("one", model_at(provider), "Do one", **options)
        graph.add("two", model_at(provider), "Do {one}", needs=["one"], version="a")
        made = dict(graph.run(store=tmp_path / "run.db").check())
        return made, len(calls(provider)) - before

    made = {"one": "did one", "two": "did did one"}
    assert run(version="1") == (made, 2)
    assert run(version="1") == (made, 0)
    assert run(version="2") == (made, 2)
    assert run() == (made, 2)
    assert run() == (made, 2)
