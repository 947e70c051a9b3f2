"""Agents as tasks of a TaskGraph: each prompt a chat of its own; and why `parallel` takes none."""

import threading
from typing import Any

import pytest
from autogen import AssistantAgent, ConversableAgent, GroupChat, GroupChatManager, register_function

import agentcache
from agentcache import TaskGraph, loopback

from . import measure, programs


def answer(turn: loopback.Turn) -> loopback.Answer:
    """Say what was asked last, and call a tool first where there is one."""
    if turn.callable_tools and not turn.tool_results:
        return loopback.Answer(tool_calls=(loopback.ToolCall(turn.callable_tools[0], {"q": "x"}),))
    said = [text.text for text in turn.texts if "Do " in text.text][-1]
    return loopback.Answer("did " + said.rpartition("Do ")[2])


def config(provider: loopback.Loopback) -> dict[str, Any]:
    entry = {"model": "gpt-6-luna", "base_url": provider.openai_url, "api_key": "dummy"}
    return {"config_list": [entry], "cache_seed": None}


def bodies(provider: loopback.Loopback) -> list[Any]:
    return [call.body for call in measure.calls(provider)]


def test_an_agent_does_tasks_at_the_same_time_and_hears_only_its_own(stage):
    met = threading.Barrier(2)

    def meeting(turn: loopback.Turn) -> loopback.Answer:
        if "did" not in turn.user:
            met.wait(20)
        return answer(turn)

    provider = stage.begin(meeting)
    agent = AssistantAgent("writer", system_message="You write.", llm_config=config(provider))
    graph = TaskGraph(inputs={"town": "Ulm"})
    graph.add("one", agent, "Do one in {town}", needs=["town"])
    graph.add("two", agent, "Do two")
    graph.add("sum", agent, "Do {one} and {two}", needs=["one", "two"])
    assert graph.run().check()["sum"] == "did did one in Ulm and did two"
    assert [len(body["messages"]) for body in bodies(provider)] == [2, 2, 2]
    assert bodies(provider)[0]["messages"][0]["content"] == "You write."


@pytest.mark.parametrize("by_another", [False, True])
def test_its_tools_run_and_the_text_after_them_is_the_answer(stage, by_another):
    ran: list[str] = []

    def search(q: str) -> str:
        """Search."""
        ran.append(q)
        return "found"

    provider = stage.begin(answer)
    agent = ConversableAgent("writer", llm_config=config(provider), human_input_mode="NEVER")
    other = ConversableAgent("other", llm_config=False) if by_another else agent
    register_function(search, caller=agent, executor=other, description="Search.")
    graph = TaskGraph()
    graph.add("one", agent, "Do one")
    assert graph.run().check()["one"] == "did one"
    assert ran == ["x"]
    assert bodies(provider)[1]["messages"][-1]["content"] == "found"


def test_wrapped_agents_fork_their_tasks_from_one_cold_call(stage):
    provider = stage.begin(answer)
    agents = [
        AssistantAgent(name, system_message=f"You are the {name}.", llm_config=config(provider))
        for name in ("writer", "critic")
    ]
    agentcache.wrap(agents, context=[programs.BRIEF], layout="fork")
    graph = TaskGraph()
    for n in range(4):
        graph.add(f"part{n}", agents[n % 2], f"{programs.BRIEF}\n\nDo part {n}")
    assert graph.run().check()["part3"] == "did part 3"
    calls = measure.calls(provider)
    assert [(r.cached_tokens or 0) > 1500 for r in calls].count(False) == 1
    assert agentcache.report(agents).total.calls == 4


def test_what_cannot_be_asked_or_run_in_parallel_is_refused_with_the_cure(stage):
    provider = stage.begin(answer)
    agent = AssistantAgent("writer", llm_config=config(provider))
    manager = GroupChatManager(GroupChat([agent], []), llm_config=config(provider))
    with pytest.raises(agentcache.errors.OptionError, match="pass a function"):
        TaskGraph().add("all", manager, "Do it")
    with pytest.raises(agentcache.errors.OptionError, match=r"turn to turn.*TaskGraph\(\)"):
        agentcache.parallel(manager)
