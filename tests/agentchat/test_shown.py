"""What an agent is shown: what its program shows it, be it filtered, seen or remembered."""

import json
from itertools import pairwise

import pytest
from autogen_agentchat.agents import MessageFilterAgent, MessageFilterConfig, PerSourceFilter
from autogen_agentchat.messages import MultiModalMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat
from autogen_core import Image

import agentcache
from agentcache import loopback

from . import play, programs, wire

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])


def made(client):
    return programs.Staff(lambda: client)


def filtered(client, *, position="last"):
    """A planner, then a writer; a critic who is shown the last word of the writer only."""
    staff, builder = made(client), DiGraphBuilder()
    planner, writer, critic = staff.trio()
    only = MessageFilterConfig(
        per_source=[PerSourceFilter(source="writer", position=position, count=1)]
    )
    narrow = MessageFilterAgent("critic", critic, only)
    builder.add_node(planner).add_node(writer).add_node(narrow)
    builder.add_edge(planner, writer).add_edge(writer, narrow)
    return GraphFlow(builder.get_participants(), graph=builder.build())


@models
@pytest.mark.parametrize(
    ("layout", "history"), [("auto", "own"), ("tail", "own"), ("roster", "own"), ("tail", "group")]
)
async def test_a_filtered_agent_is_not_shown_what_its_filter_hides(desk, model, layout, history):
    team = agentcache.wrap(filtered(desk.client(model)), layout=layout, history=history)

    await team.run(task=play.BRIEF)

    last = desk.bodies[-1]
    assert "Note 1 by the writer" in wire.texts(last)
    assert "Note 1 by the planner" not in wire.texts(last)
    assert "In week 50" not in wire.texts(last)


@models
async def test_a_filtered_agent_says_what_it_says_unwrapped(desk, model):
    plain, wrapped, _, _ = await desk.both(filtered, model=model)

    assert wrapped == plain


async def test_words_said_twice_stand_where_they_were_heard(desk):
    def build(client):
        staff = made(client)
        _, writer, critic = staff.trio()
        only = MessageFilterConfig(
            per_source=[PerSourceFilter(source="writer", position="last", count=1)]
        )
        return RoundRobinGroupChat(
            [writer, MessageFilterAgent("critic", critic, only)], max_turns=4
        )

    def script():
        def answer(turn):
            who = play.speaker(turn)
            return loopback.Answer("Done." if who == "writer" else "Go on.")

        return answer

    plain, wrapped, bodies, _ = await desk.both(build, script=script)

    assert wrapped == plain
    said = [
        line for line in wire.texts(bodies[-1]).split("\n") if ": Done." in line or "Go" in line
    ]
    assert ["Done." in line for line in said] == [True, False, True]


@models
@pytest.mark.parametrize("vision", [False, True])
async def test_an_image_is_shown_to_all_who_can_see(desk, model, vision):
    def build(client):
        return RoundRobinGroupChat(made(client).trio(), max_turns=3)

    task = MultiModalMessage(
        content=["Look at this pier.", Image.from_uri(play.DOT)], source="user"
    )
    plain, wrapped, bodies, _ = await desk.both(build, task=task, model=model, vision=vision)

    assert wrapped == plain
    for before, body in pairwise(bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known
    for body in bodies:
        assert "Look at this pier." in "\n".join(wire.shared(body))
        assert ("base64" in "\n".join(wire.shared(body))) == vision


async def test_what_an_agent_remembers_stands_behind_the_chat(ran):
    run = await ran(programs.memory, "gpt-6-luna", "tail")

    for body in run.bodies:
        mine = "The board reads one page." in json.dumps(body)
        assert mine == (wire.who(body) == "writer")
        assert "The board reads one page." not in "\n".join(wire.shared(body))
