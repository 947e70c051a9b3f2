"""Limits of classic agents, wrapped with `compact`: they hold, and the head moves by blocks."""

import json
from itertools import pairwise

import pytest
from autogen import ConversableAgent, GroupChat, GroupChatManager, register_function
from autogen.agentchat.contrib.capabilities import transforms_util
from autogen.agentchat.contrib.capabilities.transform_messages import TransformMessages
from autogen.agentchat.contrib.capabilities.transforms import (
    MessageHistoryLimiter,
    MessageTokenLimiter,
)

import agentcache
from agentcache import loopback
from agentcache.errors import ToolConflictError
from agentcache_autogen.classic.limiters import Limits

from . import programs, wire
from .measure import calls

LIMIT, ROUNDS = 10, 40
NAMES = ("writer", "critic")


def remark(n):
    """About 500 tokens."""
    piers = (f"On pier {n * 7 % 13} boat {n}-{k} waited {n * k * 97 % 811} s." for k in range(40))
    return f"Remark {n}. {' '.join(piers)}"


def talk():
    """Everybody says something else at every turn."""
    said = iter(range(1_000))
    return lambda _turn: loopback.Answer(remark(next(said)))


def limited(agent, *transforms):
    held = list(transforms) or [MessageHistoryLimiter(max_messages=LIMIT)]
    made = TransformMessages(transforms=held, verbose=False)
    made.add_to_agent(agent)
    return made


def agent(name, config):
    return ConversableAgent(
        name,
        system_message=programs.PROMPTS[name],
        llm_config=config,
        human_input_mode="NEVER",
        max_consecutive_auto_reply=100,
    )


class Group:
    """Two agents in turn, both with a limit."""

    def __init__(self, stage, model="gpt-6-luna", *transforms, script=None):
        self.provider = stage.begin(script or talk())
        self.config = programs.llm_config(self.provider, model)
        self.agents = [agent(name, self.config) for name in NAMES]
        self.held = [limited(one, *transforms) for one in self.agents]
        chat = GroupChat(self.agents, max_round=ROUNDS + 1, speaker_selection_method="round_robin")
        self.manager = GroupChatManager(chat, llm_config=self.config, silent=True)
        self.user = ConversableAgent("user", llm_config=False, human_input_mode="NEVER")
        self.ledger = agentcache.Ledger()

    def wrap(self):
        wish = {"layout": "tail", "compact": True, "ledger": self.ledger}
        return agentcache.wrap(self.manager, **wish)

    def run(self):
        self.user.initiate_chat(self.manager, message="Talk about the harbour.", silent=True)
        return [request.body for request in calls(self.provider)]

    @property
    def broken(self):
        return [found.kind for found in self.ledger.breaks if found.kind != "below_minimum"]


def history(body):
    """What was said and done, as a request holds it: less system texts and the agent's own."""
    blocks = [block for block in wire._blocks(body) if isinstance(block, list)]
    told = [(own["role"], wire._unmarked([own, part])) for own, part in blocks]
    rows = [json.dumps(block) for role, block in told if role != "system"]
    return [row for row in rows if "<agent name=" not in row]


def moves(bodies):
    """How often a request begins with another message than the one before."""
    return sum(one != other for one, other in pairwise(history(body)[0] for body in bodies))


def test_a_sliding_limit_moves_the_head_at_every_turn(stage):
    """What AutoGen does by itself, to compare with."""
    bodies = Group(stage).run()

    assert moves(bodies) >= 28
    assert max(len(history(body)) for body in bodies) == LIMIT


@pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
def test_a_limit_in_blocks_moves_it_once_in_half_of_it(stage, model):
    group = Group(stage, model)
    group.wrap()

    bodies = group.run()

    assert len(bodies) == ROUNDS
    assert all(map(wire.is_forked, bodies))
    assert 1 <= moves(bodies) <= 8
    assert max(len(history(body)) for body in bodies) <= LIMIT
    shared = [wire.shared(body) for body in bodies]
    going_on = [after[: len(before)] == before for before, after in pairwise(shared)]
    assert going_on.count(False) == moves(bodies)
    steps = [call.moved for call in group.ledger.calls if call.moved]
    assert len(steps) == 2 * moves(bodies), "announced, at the first call of each of the two"
    assert steps[0].endswith("5 messages were dropped in one block, 5 by now.")
    assert group.broken == []
    assert any("MessageHistoryLimiter keeps its limit" in note for note in group.ledger.notes)


def test_unwrapped_the_users_own_limiters_are_back(stage):
    group = Group(stage)
    lists = [one._transforms for one in group.held]
    limiters = [list(each) for each in lists]
    before = group.run()
    group.wrap()
    assert [type(each).__name__ for one in group.held for each in one._transforms] == (
        ["SteadyMessageHistoryLimiter"] * 2
    )
    assert all(isinstance(e, MessageHistoryLimiter) for one in group.held for e in one._transforms)
    agentcache.unwrap(group.manager)

    assert all(one._transforms is each for one, each in zip(group.held, lists, strict=True))
    assert [list(each) for each in lists] == limiters
    stage.begin(talk())
    assert group.run() == before


def test_without_compaction_a_limited_agent_is_left_alone(stage):
    group = Group(stage)
    with pytest.warns(agentcache.AgentcacheWarning, match="transform: its hook"):
        agentcache.wrap(group.manager, layout="tail")

    bodies = group.run()

    assert not any(map(wire.is_forked, bodies))
    assert moves(bodies) >= 28


def test_another_transform_beside_it_keeps_the_agent_aside(stage):
    class Shout:
        def apply_transform(self, messages):
            return [{**m, "content": str(m["content"]).upper()} for m in messages]

        def get_logs(self, _before, _after):
            return "", False

    group = Group(stage, "gpt-6-luna", MessageHistoryLimiter(max_messages=LIMIT), Shout())
    held = [list(one._transforms) for one in group.held]
    with pytest.warns(agentcache.AgentcacheWarning, match="transform: its hook"):
        group.wrap()

    assert [one._transforms for one in group.held] == held


def test_a_wrap_that_is_refused_has_exchanged_nothing(stage):
    group = Group(stage)
    held = [one._transforms for one in group.held]
    writer, critic = group.agents
    register_function(count, caller=writer, executor=group.user, name="count", description="Count.")
    critic.register_for_llm(name="count", description="Count it.")(count)
    with pytest.raises(ToolConflictError):
        group.wrap()

    assert all(one._transforms is each for one, each in zip(group.held, held, strict=True))
    assert list(group.user.function_map) == ["count"]


def test_the_first_message_stays_where_it_is_to_stay(stage):
    keeping = MessageHistoryLimiter(max_messages=LIMIT, keep_first_message=True)
    group = Group(stage, "gpt-6-luna", keeping)
    group.wrap()

    bodies = group.run()

    assert {history(body)[0] for body in bodies if len(history(body)) > 1} == {
        history(bodies[1])[0]
    }
    assert max(len(history(body)) for body in bodies) <= LIMIT
    assert sum(bool(call.moved) for call in group.ledger.calls) <= 18
    assert group.broken == []


def steady(limiter):
    """What a wrapped agent has in place of a limiter."""
    one = agent("writer", False)
    held = limited(one, limiter)
    Limits().steady(one)
    return held._transforms[0]


def said(n, role="user", **more):
    return {"role": role, "content": f"word{n}", **more}


@pytest.mark.parametrize("keep_first", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10])
def test_no_limit_is_passed_and_the_latest_message_stays(limit, keep_first):
    made = steady(MessageHistoryLimiter(max_messages=limit, keep_first_message=keep_first))
    gone = []
    for n in range(1, 60):
        messages = [said(i) for i in range(n)]
        kept = made.apply_transform(messages)
        assert len(kept) <= limit
        assert kept[-1] == messages[-1] or (limit == 1 and keep_first)
        assert not keep_first or kept[0] == messages[0]
        gone.append(n - len(kept))
    assert gone == sorted(gone)


def test_names_that_are_left_out_are_left_out():
    made = steady(MessageHistoryLimiter(max_messages=2))
    made._exclude_names = ["bot"]
    messages = [said(1, name="bot"), said(2, name="user"), said(3, name="bot"), said(4)]

    assert made.apply_transform(messages) == [messages[1], messages[3]]


def test_a_result_whose_call_is_dropped_goes_with_it():
    made = steady(MessageHistoryLimiter(max_messages=4))
    messages = [said(0), said(1, "assistant", tool_calls=[{}]), said(2, "tool"), said(3), said(4)]

    assert made.apply_transform(messages) == messages[3:]


class Words:
    """A tokenizer that needs no file from the network."""

    def encode(self, text):
        return text.split()

    def decode(self, words):
        return " ".join(words)


@pytest.fixture
def words(mocker):
    mocker.patch("tiktoken.encoding_for_model", return_value=Words())
    mocker.patch.object(
        transforms_util.token_count_utils, "count_token", side_effect=lambda text: len(text.split())
    )


@pytest.mark.usefixtures("words")
def test_a_limit_in_tokens_holds_and_each_message_is_cut_as_before():
    made = steady(MessageTokenLimiter(max_tokens=100, max_tokens_per_message=20, min_tokens=30))
    firsts = []
    for n in range(1, 80):
        messages = [{"role": "user", "content": f"{i} " * (5 + i * 7 % 30)} for i in range(n)]
        kept = made.apply_transform(messages)
        counts = [len(m["content"].split()) for m in kept]
        if sum(len(m["content"].split()) for m in messages) >= 30:
            assert sum(counts) <= 100
            assert max(counts) <= 20
        assert kept[-1]["content"].split()[0] == str(n - 1)
        firsts.append(int(kept[0]["content"].split()[0]))
    assert firsts == sorted(firsts)
    assert len(set(firsts)) <= 30, "once in three messages; one that slides moves at each"


@pytest.mark.usefixtures("words")
def test_a_message_that_is_too_long_by_itself_is_cut():
    made = steady(MessageTokenLimiter(max_tokens=10))
    kept = made.apply_transform([said(1), {"role": "user", "content": "word " * 50}])

    assert [len(m["content"].split()) for m in kept] == [10]


@pytest.mark.usefixtures("words")
def test_a_group_with_a_limit_in_tokens_is_forked(stage):
    group = Group(stage, "gpt-6-luna", MessageTokenLimiter(max_tokens=3_000))
    group.wrap()

    bodies = group.run()

    assert all(map(wire.is_forked, bodies))
    assert 1 <= moves(bodies) <= 16
    assert all(sum(len(row.split()) for row in history(body)) <= 3_100 for body in bodies)
    assert group.broken == []


def count(what: str) -> str:
    return f"{what}: 7"


def test_a_limit_and_a_tool_go_together(stage):
    """Calls and results stand together, however the blocks fall."""
    asked = []

    def script(_turn):
        asked.append(1)
        call = loopback.ToolCall("count", {"what": f"boats {len(asked)}"})
        return loopback.Answer(tool_calls=(call,))

    provider = stage.begin(script)
    config = programs.llm_config(provider, "gpt-6-luna")
    writer = agent("writer", config)
    limited(writer, MessageHistoryLimiter(max_messages=7))
    user = ConversableAgent(
        "user", llm_config=False, human_input_mode="NEVER", max_consecutive_auto_reply=30
    )
    register_function(count, caller=writer, executor=user, name="count", description="Count.")
    agentcache.wrap([writer, user], layout="tail", compact=True)

    user.initiate_chat(writer, message="Count the boats.", silent=True, max_turns=20)

    bodies = [request.body for request in calls(provider)]
    assert len(bodies) == 20
    assert all(map(wire.is_forked, bodies))
    assert max(len(history(body)) for body in bodies) <= 7
    for body in bodies:
        made = [c["id"] for row in body["messages"] for c in row.get("tool_calls") or ()]
        done = [row["tool_call_id"] for row in body["messages"] if row["role"] == "tool"]
        assert made == done
