"""Agents and teams as tasks of a TaskGraph: each task a copy; and why `parallel` takes no team."""

import threading
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat

import agentcache
from agentcache import TaskGraph, loopback

from . import play

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]


def answer(turn: loopback.Turn) -> loopback.Answer:
    """Say what was asked last, and call a tool first where there is one."""
    if turn.callable_tools and not turn.tool_results:
        return loopback.Answer(tool_calls=(loopback.ToolCall(turn.callable_tools[0], {"q": "x"}),))
    said = [text.text for text in turn.texts if "Do " in text.text][-1]
    return loopback.Answer("did " + said.rpartition("Do ")[2])


def three(agent: Any, brief: str = "") -> TaskGraph:
    graph = TaskGraph(inputs={"town": "Ulm"})
    graph.add("one", agent, brief + "Do one in {town}", needs=["town"])
    graph.add("two", agent, brief + "Do two")
    graph.add("sum", agent, brief + "Do {one} and {two}", needs=["one", "two"])
    return graph


async def test_an_agent_does_tasks_at_the_same_time_and_hears_only_its_own(desk):
    desk.begin(answer)
    agent = AssistantAgent("writer", desk.client(), system_message="You write.")
    result = (await three(agent).arun()).check()
    assert result["sum"] == "did did one in Ulm and did two"
    assert [len(body["messages"]) for body in desk.bodies] == [2, 2, 2]
    assert (await agent.save_state())["llm_context"]["messages"] == []


async def test_an_agent_begins_with_what_it_has_heard_before(desk):
    desk.begin(answer)
    agent = AssistantAgent("writer", desk.client(), system_message="You write.")
    await agent.run(task="Do something")
    (await three(agent).arun()).check()
    assert [len(body["messages"]) for body in desk.bodies] == [2, 4, 4, 4]


async def test_a_tool_runs_and_its_result_is_the_text(desk):
    ran: list[str] = []

    def search(q: str) -> str:
        """Search."""
        ran.append(q)
        return "found"

    desk.begin(answer)
    agent = AssistantAgent("writer", desk.client(), tools=[search], reflect_on_tool_use=True)
    graph = TaskGraph()
    graph.add("one", agent, "Do one")
    assert (await graph.arun()).check()["one"] == "did one"
    assert ran == ["x"]


async def test_a_team_runs_several_tasks_at_the_same_time_each_from_its_beginning(desk):
    met = threading.Barrier(2)

    def meeting(turn: loopback.Turn) -> loopback.Answer:
        if "did" not in turn.user and "something" not in turn.user:
            met.wait(20)
        return answer(turn)

    desk.begin(meeting)
    client = desk.client()
    stop = MaxMessageTermination(3) | TextMentionTermination("never")
    team = RoundRobinGroupChat(
        [AssistantAgent(name, client) for name in ("first", "second")], termination_condition=stop
    )
    await team.run(task="Do something")
    before = len(desk.bodies)
    graph = TaskGraph()
    graph.add("one", team, "Do one")
    graph.add("two", team, "Do two")
    result = (await graph.arun()).check()
    assert dict(result) == {"one": "did one", "two": "did two"}
    assert len(desk.bodies) - before == 4
    assert not any("something" in str(body) for body in desk.bodies[before:])


@pytest.mark.parametrize("as_team", [False, True])
async def test_what_is_wrapped_forks_its_tasks_from_one_cold_call(desk, as_team):
    desk.begin(answer)
    client = desk.client()
    agents = [AssistantAgent(name, client, system_message=f"You {name}.") for name in ("a", "b")]
    team = RoundRobinGroupChat(agents, max_turns=2)
    agentcache.wrap(team, context=[play.BRIEF], layout="fork")
    graph = TaskGraph()
    brief = play.BRIEF + "\n\n"
    for n in range(3):
        graph.add(f"part{n}", team if as_team else agents[n % 2], f"{brief}Do part {n}")
    result = (await graph.arun()).check()
    assert result["part2"].startswith("did part 2")
    calls = [r for r in desk.provider.log if r.api != "other"]
    assert len(calls) == (6 if as_team else 3)
    assert [(r.cached_tokens or 0) > 1500 for r in calls].count(False) == 1
    assert agentcache.report(team).total.calls == len(calls)


async def test_a_team_cannot_run_in_parallel_and_the_cure_is_told(desk):
    team = RoundRobinGroupChat([AssistantAgent("a", desk.client())])
    with pytest.raises(agentcache.errors.OptionError, match=r"one conversation.*TaskGraph\(\)"):
        await agentcache.aparallel(team)
