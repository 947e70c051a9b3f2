"""The wishes of wrap, as far as they are about group chats."""

import json
from itertools import pairwise
from types import SimpleNamespace

import pytest
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool, StaticStreamWorkbench

import agentcache
from agentcache import AgentcacheWarning
from agentcache.errors import FrozenError, OptionError

from . import play, programs, wire
from .measure import MODELS, transcript

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
AGAIN = "Make it shorter, please."


def test_prompts_that_are_private_and_in_front_of_all_are_refused():
    with pytest.raises(OptionError, match="private_prompts"):
        agentcache.wrap([], layout="roster", private_prompts=True)


@pytest.mark.parametrize(
    "wish",
    [
        {"layout": "tail"},
        {"history": "group"},
        {"private_traces": "drop"},
        {"private_prompts": True},
    ],
)
def test_wishes_about_chats_are_refused_where_a_framework_has_none(mocker, wish):
    mocker.patch("agentcache.wrapping.adapter_for", return_value=SimpleNamespace())

    with pytest.raises(OptionError, match=f"{next(iter(wish))}=.*a wish about group chats"):
        agentcache.wrap(object(), **wish)


@pytest.mark.parametrize("layout", ["auto", "tail", "fork"])
async def test_private_prompts_are_read_by_their_own_agent_only(desk, layout):
    team = desk.team(programs.selector)
    agentcache.wrap(team, layout=layout, private_prompts=True)

    await team.run(task=play.BRIEF)

    for body in desk.bodies:
        found = [name for name in play.PROMPTS if f"Rule 3 of the {name}" in wire.texts(body)]
        assert found in ([wire.who(body)], [])


@models
async def test_in_the_roster_each_agent_is_told_where_its_own_text_stands(ran, model):
    run = await ran(programs.round_robin, model, "roster")

    for body in run.bodies:
        prompt = json.dumps(play.PROMPTS[wire.who(body)])[1:-1]
        (text,) = (block for block in wire.shared(body) if prompt in block)
        name = text.partition("shared_context id=")[2][2:8]
        assert f"[shared_context {name}, given above]" in wire.own_text(body)
        assert wire.texts(body).count(prompt) == 1


@models
@pytest.mark.parametrize("history", ["own", "group"])
async def test_one_who_forgot_reads_the_whole_chat_if_that_is_asked(desk, model, history):
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail", history=history)
    await team.run(task=play.TASK)
    first = len(desk.bodies)

    await team._participants[0].on_reset(CancellationToken())
    await team.run(task=AGAIN)

    (after,) = [body for body in desk.bodies[first:] if wire.who(body) == "planner"][:1]
    assert ("Prepare the board memo" in wire.texts(after)) == (history == "group")
    assert AGAIN in wire.texts(after)


@models
async def test_with_the_history_of_the_group_requests_grow_also_for_one_who_forgot(desk, model):
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail", history="group")
    await team.run(task=play.TASK)
    await team._participants[0].on_reset(CancellationToken())
    await team.run(task=AGAIN)

    for before, body in pairwise(desk.bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


def traces(body):
    """What the agent itself did in its requests: calls of tools, and their results."""
    return [block for block in wire.blocks(body) if "notes on winter timetable" in block]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", [programs.every_tool, programs.round_robin_tools])
async def test_a_tools_call_may_be_dropped_once_its_outcome_is_said(ran, factory, model):
    kept = await ran(factory, model, "tail")
    dropped = await ran(factory, model, "tail", wishes=(("private_traces", "drop"),))

    assert max(len(traces(body)) for body in kept.bodies) > 1
    assert {len(traces(body)) for body in dropped.bodies} == {0, 1}
    assert dropped.transcript == kept.transcript


@models
async def test_shared_context_is_sent_once_in_front(desk, model):
    team = desk.team(programs.selector, desk.client(model))
    agentcache.wrap(team, layout="tail", context=[play.BRIEF])

    await team.run(task=play.BRIEF)

    for body in desk.bodies:
        assert json.dumps(body).count("In week 50 the Harbour Line") == 1
        assert "given above]" in wire.texts(body)
        assert "In week 50" in "\n".join(wire.shared(body))


@models
async def test_the_shared_system_text_is_the_programs_own_if_it_has_one(desk, model):
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail", system="Be kind.")

    await team.run(task=play.TASK)

    assert all("Be kind." in wire.shared(body)[0] for body in desk.bodies)


async def test_a_team_joins_the_session_of_another(desk):
    client = desk.client()
    first = agentcache.wrap(desk.team(client=client), layout="tail")
    second = desk.team(programs.selector, client)
    agentcache.wrap(second, layout="tail", session=agentcache.session(first))

    await first.run(task=play.TASK)
    begun = len(desk.bodies)
    await second.run(task=play.TASK)

    assert agentcache.session(second) is agentcache.session(first)
    assert wire.shared(desk.bodies[begun]) == wire.shared(desk.bodies[0])


async def test_a_session_of_another_model_is_refused(desk):
    first = agentcache.wrap(desk.team(), layout="tail")

    with pytest.raises(OptionError, match="share no cache"):
        agentcache.wrap(
            desk.team(client=desk.client("gpt-4.1-mini")), session=agentcache.session(first)
        )


@models
async def test_left_as_it_is_a_program_sends_what_it_sent_before(ran, model):
    plain = await ran(programs.selector, model)
    watched = await ran(programs.selector, model, "as_is")

    assert [request.raw for request in watched.log] == [request.raw for request in plain.log]
    assert agentcache.report(watched.program.root).total.calls == len(plain.log)


@models
async def test_the_ledger_is_written_to_a_file(desk, model, tmp_path):
    path = tmp_path / "calls.jsonl"
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail", ledger=path)

    await team.run(task=play.TASK)

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["agent"] for line in lines if "agent" in line] == [
        wire.who(body) for body in desk.bodies
    ]


class Lister(StaticStreamWorkbench):
    """Says what it has only when it is asked, as a server of tools does."""


def late(team, at, name, *, wide=False):
    """Give one of the agents a tool that was not there when the team was wrapped."""

    def work(query: str) -> str:
        return f"{name} found 3 notes on {query}"

    def wide_work(query: str, limit: int = 3) -> str:
        return f"{name} found {limit} notes on {query}"

    tool = FunctionTool(wide_work if wide else work, f"Use {name}.", name=name)
    team._participants[at]._workbench = [Lister([tool])]


@models
async def test_tools_that_are_listed_late_join_what_is_shared(desk, model):
    plain = desk.team(client=desk.client(model))
    late(plain, 1, "search_archive")
    expected = await plain.run(task=play.TASK)
    desk.begin()
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail")
    late(team, 1, "search_archive")

    with pytest.warns(AgentcacheWarning, match="'writer' brought 'search_archive'"):
        result = await team.run(task=play.TASK)

    assert transcript(result) == transcript(expected)
    listed = [wire.names(body) for body in desk.bodies]
    assert listed == [[]] + [["search_archive"]] * (len(listed) - 1)
    assert all(wire.is_forked(body) for body in desk.bodies)
    for before, body in list(pairwise(desk.bodies))[1:]:
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


@models
async def test_a_late_tool_that_differs_from_anothers_is_sent_unshared_and_said(desk, model):
    team = agentcache.wrap(desk.team(client=desk.client(model)), layout="tail")
    late(team, 0, "search_archive")
    late(team, 1, "search_archive", wide=True)

    await team.run(task=play.TASK)

    report = agentcache.report(team)
    assert {passed.agent for passed in report.passed_through} == {"writer"}
    assert "search_archive" in report.passed_through[0].reason


async def test_a_late_tool_raises_if_nothing_may_differ(desk):
    team = agentcache.wrap(desk.team(), layout="tail", strict=True)
    late(team, 1, "search_archive")

    with pytest.raises(RuntimeError, match=FrozenError.__name__):
        await team.run(task=play.TASK)
