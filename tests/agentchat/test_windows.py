"""Bounded contexts, wrapped with `compact`: their limit holds, and the head moves by blocks."""

import json
import re
from itertools import pairwise

import pytest
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
)
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, UserMessage
from autogen_core.tools import FunctionTool

import agentcache
from agentcache import loopback
from agentcache.errors import ToolConflictError

from . import play, programs, wire
from .scribe import Scribe

LIMIT, TURNS = 10, 40
MODELS = ("gpt-6-luna", "claude-haiku-5-5")
models = pytest.mark.parametrize("model", MODELS)
NAMES = ("writer", "critic")


def buffered():
    return BufferedChatCompletionContext(LIMIT)


def ends():
    return HeadAndTailChatCompletionContext(3, LIMIT - 3)


def by_tokens():
    return TokenLimitedChatCompletionContext(Scribe(), token_limit=6_000)


def duo(client, context=buffered, *, turns=TURNS, **options):
    agents = [
        AssistantAgent(
            name, client, system_message=play.PROMPTS[name], model_context=context(), **options
        )
        for name in NAMES
    ]
    return RoundRobinGroupChat(agents, max_turns=turns)


def talk():
    """Everybody says something else at every turn."""
    said = iter(range(1_000))
    return lambda _turn: loopback.Answer(remark(next(said)))


def remark(n):
    """About 500 tokens."""
    piers = (f"On pier {n * 7 % 13} boat {n}-{k} waited {n * k * 97 % 811} s." for k in range(40))
    return f"Remark {n}. {' '.join(piers)}"


def history(body):
    """What was said and done, as a request holds it: less system texts and the agent's own."""
    blocks = [block for block in wire._blocks(body) if isinstance(block, list)]
    told = [(own["role"], wire._unmarked([own, part])) for own, part in blocks]
    rows = [json.dumps(block) for role, block in told if role != "system"]
    return [row for row in rows if "<agent name=" not in row]


def moves(bodies):
    """How often a request begins with another message than the one before."""
    return sum(one != other for one, other in pairwise(history(body)[0] for body in bodies))


def broken(ledger):
    """The breaks that were told, but for a chat that is still too small."""
    return [found.kind for found in ledger.breaks if found.kind != "below_minimum"]


async def ran(desk, context, *, ledger=None, wrap=True, model="gpt-6-luna", turns=TURNS):
    desk.begin(talk())
    team = duo(desk.client(model), context, turns=turns)
    if wrap:
        agentcache.wrap(team, layout="tail", compact=True, ledger=ledger)
    await team.run(task="Talk about the harbour.")
    return team, desk.bodies


async def test_a_sliding_window_moves_the_head_at_every_turn(desk):
    """What AutoGen does by itself, to compare with."""
    _, bodies = await ran(desk, buffered, wrap=False)

    assert moves(bodies) >= 28
    assert max(len(history(body)) for body in bodies) == LIMIT


@models
async def test_a_window_in_blocks_moves_it_once_in_half_a_window(desk, model):
    ledger = agentcache.Ledger()

    _, bodies = await ran(desk, buffered, ledger=ledger, model=model)

    assert len(bodies) == TURNS
    assert all(map(wire.is_forked, bodies))
    assert 1 <= moves(bodies) <= 8
    assert max(len(history(body)) for body in bodies) <= LIMIT
    assert [len(history(body)) for body in bodies[:12]] == [*range(1, 11), 6, 7]
    steps = [call.moved for call in ledger.calls if call.moved]
    assert len(steps) == 2 * moves(bodies), "announced, at the first call of each of the two"
    assert steps[0].endswith("5 messages were dropped in one block, 5 by now.")
    assert broken(ledger) == []


@models
async def test_between_two_blocks_each_request_goes_on_from_the_one_before(desk, model):
    _, bodies = await ran(desk, buffered, model=model)

    shared = [wire.shared(body) for body in bodies]
    going_on = [after[: len(before)] == before for before, after in pairwise(shared)]
    assert going_on.count(False) == moves(bodies)


async def alone(desk, ledger):
    """The requests of an agent that nobody else talks to."""
    desk.begin(talk())
    agent = AssistantAgent("writer", desk.client(), model_context=buffered())
    agentcache.wrap(agent, compact=True, ledger=ledger)
    for n in range(20):
        await agent.run(task=f"Say something, {n}.")
    assert not any(map(wire.is_forked, desk.bodies))
    return desk.bodies


async def test_an_agent_that_talks_alone_keeps_its_head_as_long(desk):
    ledger = agentcache.Ledger()

    bodies = await alone(desk, ledger)

    assert max(len(history(body)) for body in bodies) <= LIMIT
    assert 1 <= moves(bodies) <= 8
    assert sum(bool(call.moved) for call in ledger.calls) == moves(bodies)
    assert broken(ledger) == []


async def test_a_head_that_moves_unannounced_is_found(desk, mocker):
    mocker.patch("agentcache_autogen.windows.Pace.moved", return_value="")
    ledger = agentcache.Ledger()

    bodies = await alone(desk, ledger)

    assert broken(ledger) == ["window_slid"] * moves(bodies)


async def test_head_and_tail_keep_the_head_and_drop_the_tail_in_blocks(desk):
    _, bodies = await ran(desk, ends)

    heads = {tuple(history(body)[:3]) for body in bodies[3:]}
    assert len(heads) == 1
    assert max(len(history(body)) for body in bodies) <= LIMIT + 1, "with the line that says so"
    told = {row for body in bodies for row in history(body) if "Skipped" in row}
    assert len(told) <= 11
    assert "Skipped 3 messages." in str(told)


@models
async def test_a_limit_in_tokens_holds_and_the_first_words_stay(desk, model):
    ledger = agentcache.Ledger()
    team, bodies = await ran(desk, by_tokens, ledger=ledger, model=model)

    counter, context = Scribe(), team._participants[0]._model_context
    kept = await context.get_messages()
    assert counter.count_tokens(kept) <= 6_000 < counter.count_tokens(context._messages)
    assert len({history(body)[0] for body in bodies}) == 1, "the task"
    shared = [wire.shared(body) for body in bodies]
    going_on = [after[: len(before)] == before for before, after in pairwise(shared)]
    assert going_on.count(False) <= 14
    assert broken(ledger) == []
    assert any(call.moved for call in ledger.calls)


@pytest.mark.parametrize("limit", [None, 60])
async def test_the_clients_own_count_is_kept_even_if_it_counts_more_for_all(limit):
    class Strict(Scribe):
        def count_tokens(self, messages, *, tools=()):
            return len(messages) ** 2

        def remaining_tokens(self, messages, *, tools=()):
            return 60 - len(messages) ** 2

    context = TokenLimitedChatCompletionContext(Strict(), token_limit=limit)
    agent = AssistantAgent("writer", Scribe(), model_context=context)
    with pytest.warns(agentcache.AgentcacheWarning, match="No caching rule"):
        agentcache.wrap(agent, compact=True)
    for n in range(30):
        await agent.model_context.add_message(UserMessage(content=f"{n}", source="user"))
        kept = await agent.model_context.get_messages()
        assert 0 < len(kept) ** 2 <= 60


async def test_a_result_never_stands_without_its_call(desk):
    """Blocks of three cut between a call and its result every now and then."""
    desk.begin(play.Play())
    team = programs.every_tool(lambda: client).root if (client := desk.client()) else None
    for agent in team._participants:
        agent._model_context = BufferedChatCompletionContext(7)
    agentcache.wrap(team, layout="tail", compact=True)

    await team.run(task=play.TASK)
    await team.run(task="Go on.")

    for body in desk.bodies:
        calls = {c["id"] for row in body["messages"] for c in row.get("tool_calls") or ()}
        done = {row["tool_call_id"] for row in body["messages"] if row["role"] == "tool"}
        assert done <= calls
        more = [row for row in history(body) if re.search(r'"call_\d+_1"}', row)]
        assert len(history(body)) - len(more) <= 7, "results of one message, told once"
    assert any(row["role"] == "tool" for body in desk.bodies for row in body["messages"])


async def test_the_summary_of_a_tool_is_not_read_twice(desk):
    """It holds what the result does, which counts: the limit is the agent's own."""
    desk.begin(play.Play())
    team = programs.tool_summary(lambda: client).root if (client := desk.client()) else None
    writer = team._participants[1]
    writer._model_context = BufferedChatCompletionContext(5)
    agentcache.wrap(team, layout="tail", compact=True)

    await team.run(task=play.TASK)

    mine = [body for body in desk.bodies if wire.who(body) == "writer"]
    assert len(mine) >= 2
    assert max(len(history(body)) for body in mine) <= 5


def tool(about):
    def count(what: str) -> str:
        return what

    return FunctionTool(count, f"Count for the {about}.", name="count")


def told(messages):
    return [(type(message).__name__, message.content) for message in messages]


@pytest.mark.parametrize("make", [buffered, ends, by_tokens])
async def test_unwrapped_the_users_own_context_is_back_with_all_that_was_said(desk, make):
    desk.begin(talk())
    team = duo(desk.client(), make)
    own = [agent._model_context for agent in team._participants]
    classes = [type(context) for context in own]
    agentcache.wrap(team, layout="tail", compact=True)
    held = [agent._model_context for agent in team._participants]
    assert [type(context) for context in held] != classes
    assert all(map(isinstance, held, classes))

    await team.run(task="Talk about the harbour.")
    state = await held[0].save_state()

    agentcache.unwrap(team)
    assert [agent._model_context for agent in team._participants] == own
    assert state == await own[0].save_state()
    assert len(own[0]._messages) > LIMIT
    assert agentcache.unwrap(team) is team


async def test_a_wrap_that_is_refused_has_exchanged_nothing(desk):
    client = desk.client()
    agents = [
        AssistantAgent(name, client, tools=[tool(name)], model_context=buffered()) for name in NAMES
    ]
    own = [agent._model_context for agent in agents]
    with pytest.raises(ToolConflictError):
        agentcache.wrap(RoundRobinGroupChat(agents), compact=True)

    assert [agent._model_context for agent in agents] == own
    assert [agent._handoff_tools for agent in agents] == [[], []]


@pytest.mark.parametrize("make", [buffered, ends])
async def test_a_dumped_context_is_the_users(desk, make):
    team = duo(desk.client(), make)
    before = team._participants[0]._model_context.dump_component()
    agentcache.wrap(team, compact=True)

    assert team._participants[0]._model_context.dump_component() == before


async def test_a_saved_state_is_loaded_as_without_wrapping(desk):
    team, _ = await ran(desk, buffered)
    state = json.loads(json.dumps(await team.save_state(), default=str))
    plain = duo(desk.client())
    await plain.load_state(state)
    again = agentcache.wrap(duo(desk.client()), layout="tail", compact=True)
    await again.load_state(state)

    one, other = (t._participants[0]._model_context._messages for t in (plain, again))
    assert told(one) == told(other)
    await again.reset()
    assert await again._participants[0]._model_context.get_messages() == []


async def test_without_compaction_a_bounded_context_is_left_alone(desk):
    desk.begin(talk())
    team = duo(desk.client())
    own = [agent._model_context for agent in team._participants]
    with pytest.warns(agentcache.AgentcacheWarning, match="bounded_context"):
        agentcache.wrap(team, layout="tail")

    await team.run(task="Talk about the harbour.")

    assert [agent._model_context for agent in team._participants] == own
    assert not any(map(wire.is_forked, desk.bodies))
    assert moves(desk.bodies) >= 28


async def test_a_context_of_the_users_own_class_is_left_alone(desk):
    class Own(BufferedChatCompletionContext):
        """Nobody knows how it forgets."""

    team = duo(desk.client(), lambda: Own(LIMIT))
    with pytest.warns(agentcache.AgentcacheWarning, match="its Own keeps a part of the chat only"):
        agentcache.wrap(team, layout="tail", compact=True)

    assert [type(agent._model_context) for agent in team._participants] == [Own, Own]


async def test_an_agent_that_sums_up_a_team_is_left_alone(desk):
    """It asks about what its team has said, which its context does not hold."""
    client = desk.client()
    team = duo(client, turns=2)
    society = SocietyOfMindAgent("editor", team, client, model_context=buffered())
    with pytest.warns(agentcache.AgentcacheWarning, match="editor: bounded_context"):
        agentcache.wrap(RoundRobinGroupChat([society]), layout="tail", compact=True)

    assert type(society._model_context) is BufferedChatCompletionContext


async def test_a_selector_with_a_window_reads_no_more_than_that(desk):
    said = iter(range(1_000))

    def script(turn):
        chooses = play.speaker(turn) == "selector"
        return loopback.Answer(NAMES[next(said) % 2] if chooses else remark(next(said)))

    desk.begin(script)
    client = desk.client()
    agents = [AssistantAgent(n, client, system_message=play.PROMPTS[n]) for n in NAMES]
    context = buffered()
    team = SelectorGroupChat(
        agents, client, max_turns=30, model_context=context, allow_repeated_speaker=True
    )
    ledger = agentcache.Ledger()
    agentcache.wrap(team, layout="tail", compact=True, ledger=ledger)

    await team.run(task="Talk about the harbour.")

    chosen = [body for body in desk.bodies if wire.who(body) not in NAMES]
    assert len(chosen) == 30
    assert all(map(wire.is_forked, chosen))
    assert max(len(history(body)) for body in chosen) <= LIMIT
    assert 1 <= moves(chosen) <= 8
    assert broken(ledger) == []
    agentcache.unwrap(team)
    assert team._model_context is context


async def test_the_same_words_said_again_stand_where_they_were_said(desk):
    """A remark that was forgotten is not taken for the one that is still seen."""
    said = iter(["Yes."] * 6 + [f"Remark {n}." for n in range(20)])
    desk.begin(lambda _turn: loopback.Answer(next(said)))
    team = duo(desk.client(), turns=12)
    agentcache.wrap(team, layout="tail", compact=True)

    await team.run(task="Talk about the harbour.")

    last = [json.loads(row)[1]["text"] for row in history(desk.bodies[-1])]
    assert last.index("[critic]: Yes.") < last.index("[writer]: Remark 0.")


async def test_a_context_hands_out_what_it_holds_in_order():
    context = BufferedChatCompletionContext(4)
    agent = AssistantAgent("writer", Scribe(), model_context=context)
    with pytest.warns(agentcache.AgentcacheWarning, match="No caching rule"):
        agentcache.wrap(agent, compact=True)
    held = agent.model_context
    for n in range(3):
        await context.add_message(UserMessage(content=f"{n}", source="user"))
        await held.add_message(AssistantMessage(content=f"{n}!", source="writer"))
    await held.add_message(FunctionExecutionResultMessage(content=[]))

    assert [m.content for m in await held.get_messages()] == ["2", "2!", []]
    assert len(context._messages) == 7
