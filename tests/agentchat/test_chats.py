"""The chat as each agent reads it: all that was said to it, and nothing that was not."""

import json
import random
from itertools import pairwise

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Handoff
from autogen_agentchat.conditions import HandoffTermination
from autogen_agentchat.messages import HandoffMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import AssistantMessage, UserMessage

import agentcache
from agentcache import loopback

from . import play, programs, wire
from .measure import transcript

models = pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])


def grows(bodies):
    """Whether each request begins with what the one before shared."""
    shared = [wire.shared(body) for body in bodies]
    return all(after[: len(known)] == known for known, after in pairwise(shared))


def trio(client, **options):
    return programs.Staff(lambda: client).trio(**options)


@models
async def test_what_only_one_agent_was_told_beforehand_is_read_by_it_alone(desk, model):
    told = [
        UserMessage(content="The harbour master is a spy.", source="user"),
        AssistantMessage(content="I shall keep that to myself.", source="planner"),
    ]
    agents = trio(desk.client(model))
    agents[0]._model_context = UnboundedChatCompletionContext(initial_messages=told)
    team = agentcache.wrap(RoundRobinGroupChat(agents, max_turns=5), layout="tail")

    await team.run(task=play.TASK)

    for body in desk.bodies:
        mine = wire.who(body) == "planner"
        assert ("The harbour master is a spy." in json.dumps(body)) == mine
        assert ("I shall keep that to myself." in json.dumps(body)) == mine
    last = [body for body in desk.bodies if wire.who(body) == "planner"][-1]
    blocks = wire.blocks(last)
    (own,) = (n for n, block in enumerate(blocks) if "is a spy" in block)
    assert not any("Note" in block for block in blocks[own:])


@models
async def test_a_name_that_the_model_copied_from_the_chat_is_taken_off(desk, model):
    desk.begin(lambda turn: loopback.Answer(f"[{play.speaker(turn)}]: Aye."))
    team = agentcache.wrap(
        RoundRobinGroupChat(trio(desk.client(model)), max_turns=3), layout="tail"
    )

    result = await team.run(task="[planner]: is how it looks.")

    assert [m.content for m in result.messages] == ["[planner]: is how it looks.", *["Aye."] * 3]


@models
async def test_agents_without_a_text_of_their_own_share_all_but_who_they_are(desk, model):
    desk.begin(lambda turn: loopback.Answer(f"Said after {len(turn.texts)}."))
    agents = [AssistantAgent(n, desk.client(model), system_message=None) for n in play.TRIO[:2]]
    team = agentcache.wrap(RoundRobinGroupChat(agents, max_turns=3), layout="tail")

    await team.run(task=play.TASK)

    assert grows(desk.bodies)
    assert all("[user]: Prepare" in "\n".join(wire.shared(body)) for body in desk.bodies)


@models
@pytest.mark.parametrize("wrap", [False, True])
async def test_a_chat_that_is_handed_to_a_person_goes_on_when_it_comes_back(desk, model, wrap):
    def script(turn):
        who = play.speaker(turn)
        hands = [name for name in turn.callable_tools if name.startswith("transfer")]
        if who == "planner" and "transfer_to_user" in hands and "Friday" not in str(turn.body):
            return loopback.Answer(tool_calls=(loopback.ToolCall("transfer_to_user", {}),))
        return loopback.Answer(f"Said by the {who}.")

    desk.begin(script)
    client = desk.client(model)
    planner = AssistantAgent(
        "planner", client, handoffs=[Handoff(target="user")], system_message=play.PROMPTS["planner"]
    )
    _, writer, _ = trio(client)
    team = Swarm([planner, writer], termination_condition=HandoffTermination("user"), max_turns=2)
    if wrap:
        agentcache.wrap(team, layout="tail")

    first = await team.run(task="When is it due?")
    back = HandoffMessage(source="user", target="planner", content="On Friday.")
    second = await team.run(task=back)

    assert [m.type for m in first.messages][-1] == "HandoffMessage"
    assert second.messages[-1].content == "Said by the planner."
    if wrap:
        assert grows(desk.bodies)
        assert "[user]: On Friday." in "\n".join(wire.shared(desk.bodies[-1]))


async def chosen(desk, model, *, wrap, script=None, **options):
    desk.begin(script)
    client = desk.client(model)
    team = SelectorGroupChat(trio(client), client, max_turns=4, **options)
    if wrap:
        agentcache.wrap(team, layout="tail")
    return team, transcript(await team.run(task=play.TASK))


@models
async def test_a_choice_that_is_asked_for_again_is_a_fork_each_time(desk, model):
    def script():
        inner, asked = play.Play(), []

        def answer(turn):
            if play.speaker(turn) != "selector":
                return inner(turn)
            asked.append(turn)
            return loopback.Answer("nobody") if len(asked) % 2 else inner(turn)

        return answer

    _, plain = await chosen(desk, model, wrap=False, script=script())
    _, wrapped = await chosen(desk, model, wrap=True, script=script())

    assert wrapped == plain
    assert len(desk.bodies) == 12
    assert all(wire.is_forked(body) for body in desk.bodies)


@models
async def test_a_prompt_of_the_programs_own_that_holds_no_chat_is_left_as_it_is(desk, model):
    prompt = "Then select the next role from {participants}. Answer with its name."

    _, plain = await chosen(desk, model, wrap=False, selector_prompt=prompt)
    expected = [raw for raw in desk.raw if b"Then select" in raw]
    team, wrapped = await chosen(desk, model, wrap=True, selector_prompt=prompt)

    assert wrapped == plain
    assert [raw for raw in desk.raw if b"Then select" in raw] == expected
    (passed,) = agentcache.report(team).passed_through
    assert passed.reason.startswith("selection")


@models
async def test_a_prompt_of_the_programs_own_that_holds_the_chat_is_a_fork(desk, model):
    prompt = "{history}\n\nThen select the next role from {participants}, who are:\n{roles}"

    _, plain = await chosen(desk, model, wrap=False, selector_prompt=prompt)
    _, wrapped = await chosen(desk, model, wrap=True, selector_prompt=prompt)

    assert wrapped == plain
    assert all(wire.is_forked(body) for body in desk.bodies)
    assert grows(desk.bodies)


@models
async def test_a_speaker_that_a_function_selects_is_not_asked_for(desk, model):
    def next_one(messages):
        return play.TRIO[(len(messages) - 1) % 3]

    await chosen(desk, model, wrap=True, selector_func=next_one)

    assert [wire.who(body) for body in desk.bodies] == ["planner", "writer", "critic", "planner"]
    assert grows(desk.bodies)


@models
async def test_an_agent_in_two_teams_reads_the_chat_that_it_is_in(desk, model):
    told = []
    for wrap in (False, True):
        desk.begin()
        planner, writer, critic = trio(desk.client(model))
        first = RoundRobinGroupChat([planner, writer], max_turns=2)
        second = RoundRobinGroupChat([planner, critic], max_turns=2)
        if wrap:
            agentcache.wrap([first, second], layout="tail")
        results = [await first.run(task=play.TASK), await second.run(task="Write about tides.")]
        told.append([transcript(result) for result in results])

    assert told[0] == told[1]
    (asked,) = [body for body in desk.bodies if wire.who(body) == "critic"]
    assert "[user]: Write about tides." in wire.texts(asked)
    assert "Prepare the board memo" not in wire.texts(asked)


async def test_an_agent_that_looks_up_several_times_extends_its_own_requests(desk):
    pytest.importorskip("autogen_agentchat", "0.7")

    def script(turn):
        if play.speaker(turn) == "writer" and len(turn.tool_results) < 3 and turn.callable_tools:
            call = loopback.ToolCall("search_archive", {"query": f"tide {len(turn.tool_results)}"})
            return loopback.Answer(tool_calls=(call,))
        return loopback.Answer(f"Said by the {play.speaker(turn)}.")

    desk.begin(script)
    made = programs.Staff(desk.client)
    planner = made.agent("planner")
    writer = made.agent("writer", tool=True, max_tool_iterations=4)
    team = agentcache.wrap(RoundRobinGroupChat([planner, writer], max_turns=2), layout="tail")

    await team.run(task=play.TASK)

    assert made.ran == ["search_archive"] * 3
    loop = [wire.blocks(body) for body in desk.bodies if wire.who(body) == "writer"]
    assert len(loop) == 4
    assert all(after[: len(before)] == before for before, after in pairwise(loop))


@pytest.mark.parametrize("layout", ["auto", "tail", "roster"])
@pytest.mark.parametrize("seed", range(3))
async def test_whoever_speaks_when_the_chat_is_read_in_the_order_it_was_said(desk, layout, seed):
    rota = [*random.Random(seed).choices(play.TRIO, k=8), "critic"]
    words = random.Random(seed).choices(["Aye.", "No.", "Again, please."], k=len(rota))
    desk.begin(lambda _turn: loopback.Answer(words[len(desk.bodies) - 1]))
    said = iter(rota)
    client = desk.client("claude-haiku-5-5")
    team = SelectorGroupChat(
        trio(client), client, max_turns=len(rota), selector_func=lambda _messages: next(said)
    )
    agentcache.wrap(team, layout=layout)

    await team.run(task=play.BRIEF)

    expected = [f"[{who}]: {word}" for who, word in zip(rota, words, strict=True)]
    for turn, body in enumerate(desk.bodies):
        parts = [block[1]["text"] for block in wire._blocks(body) if isinstance(block, list)]
        heard = [text for text in parts if text.startswith("[") and not text.startswith("[user]")]
        assert heard == expected[:turn]
