"""A tool that its agent does not own is never executed, though all are shown to the model.

In a group, whoever has a function in its map runs it, whoever called it: nobody checks that later.
"""

from collections import Counter

import pytest
from autogen import register_function
from autogen.oai.client import OpenAIClient

import agentcache
from agentcache import loopback
from agentcache.errors import ForeignToolError

from . import measure, programs, wire

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
STREAMS = hasattr(OpenAIClient, "_add_streaming_usage_to_params")
OWNERS = {"writer": "search_archive", "critic": "check_figures"}


def office(config, *, task=programs.TASK):
    """A model selects who speaks; writer and critic have a tool each, the user runs both."""
    desk = programs._Desk(config, task)
    user = desk.user()
    agents = [desk.agent(name) for name in programs.TRIO]
    for owner, tool in OWNERS.items():
        work = desk.tool(tool)
        register_function(work, caller=desk.team[owner], executor=user, description=f"Use {tool}.")
    manager = desk.manager([user, *agents], 9, speaker_selection_method="auto")
    return desk.program(manager, user, summary_method="reflection_with_llm")


class Thief:
    """A model that, asked as `who`, calls these tools so many times; else it plays along."""

    def __init__(self, who, *tools, times=1, text=""):
        self.who, self.tools, self.times, self.text = who, tools, times, text
        self.play, self.asked, self.told = programs.Play(), Counter(), []

    def __call__(self, turn):
        who = programs.speaker(turn)
        self.asked[who] += 1
        if who != self.who or self.asked[who] > self.times:
            return self.play(turn)
        calls = tuple(loopback.ToolCall(tool, {"query": "stolen"}) for tool in self.tools)
        return loopback.Answer(self.text, calls)


@pytest.fixture
def act(stage):
    def run(model, script, factory=office, *, stream=False, **options):
        def prepare(program):
            agentcache.wrap(program.root, **{"layout": "tail", **options})

        entry = {"stream": True} if stream else {}
        return measure.run(factory, model, prepare, script=script, stage=stage, entry=entry)

    return run


def stolen(run):
    """What ran though it was not its caller's."""
    return [m for m in run.outcome.said if "stolen" in str(m.get("content"))]


def refused(run):
    return [body for body in run.bodies if "is not one of your tools" in wire.texts(body)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("who", ["planner", "critic"])
def test_a_tool_of_another_agent_is_never_executed_and_the_agent_recovers(act, model, who):
    run = act(model, Thief(who, "search_archive"))

    assert not stolen(run)
    (body,) = refused(run)
    assert "Nothing was executed" in wire.texts(body)
    assert [m["name"] for m in run.outcome.said if m["role"] == "user"][:2] == ["user", "planner"]
    assert "search_archive" in run.program.ran
    assert run.outcome.summary


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("who", ["planner", "critic"])
def test_without_the_guard_the_group_runs_it(act, model, who):
    run = act(model, Thief(who, "search_archive"), guard=False)

    assert stolen(run)
    assert not refused(run)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_request_is_sent_again_with_the_refusal_behind_it(act, model):
    run = act(model, Thief("critic", "search_archive"))

    (again,) = refused(run)
    first = run.bodies[run.bodies.index(again) - 1]
    assert wire.blocks(again)[:-1] == wire.blocks(first)
    assert agentcache.report(run.program.root).total.calls == len(run.bodies)


@pytest.mark.parametrize("model", MODELS)
def test_an_agent_that_insists_is_told_so_by_whoever_runs_tools(act, model):
    run = act(model, Thief("critic", "search_archive", times=2))

    assert not stolen(run)
    (told,) = [m for m in run.outcome.said if "not_your_tool__" in str(m.get("content"))]
    assert (told["role"], told["name"]) == ("tool", "user")
    assert "not found" in told["content"]


@pytest.mark.parametrize("model", MODELS)
def test_an_agent_without_tools_that_insists_ends_in_an_error(act, model):
    with pytest.raises(ForeignToolError, match=r"'planner' called 'search_archive'"):
        act(model, Thief("planner", "search_archive", times=9))


@pytest.mark.parametrize("model", MODELS)
def test_of_two_calls_in_one_answer_the_foreign_one_keeps_both_from_running(act, model):
    run = act(model, Thief("critic", "check_figures", "search_archive"))

    assert not stolen(run)
    assert len(refused(run)) == 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("who", "times"), [("selector", 1), ("summary", 2)])
def test_a_selection_or_summary_that_calls_a_tool_is_asked_again(ran, act, model, who, times):
    plain = ran(office, model)
    run = act(model, Thief(who, "search_archive", times=times))

    assert run.transcript == plain.transcript
    assert len(run.bodies) == len(plain.bodies) + times


@pytest.mark.skipif(not STREAMS, reason="this version cannot stream these models")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", ["", "Let me look that up."])
def test_a_streamed_call_of_another_agents_tool_is_not_executed(act, model, text):
    run = act(model, Thief("critic", "search_archive", text=text), stream=True)

    assert not stolen(run)
    assert run.outcome.summary


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("guard", "next_one"), [(True, "writer"), (False, "critic")])
def test_an_agent_hands_over_only_to_whom_it_may(act, model, guard, next_one):
    script = Thief("planner", "transfer_to_critic_1")

    run = act(model, script, programs.default_pattern_tools, guard=guard)

    spoke = [m.get("name") for m in run.outcome.said if m.get("name") in programs.TRIO]
    assert spoke[:2] == ["planner", next_one]
    assert len(refused(run)) == guard
