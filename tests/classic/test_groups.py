"""Patterns of `autogen.agentchat.group`: each run makes a group chat that is taken in."""

import random
from itertools import pairwise

import pytest

pytest.importorskip("autogen.agentchat.group.patterns")

from autogen.agentchat import group as made_of
from autogen.agentchat import initiate_group_chat
from autogen.agentchat.group.patterns import AutoPattern, DefaultPattern, RandomPattern

import agentcache

from . import measure, programs, wire
from .programs import PROMPTS, TASK, TRIO, Program, _Desk

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

MODELS = ("gpt-6-luna", "claude-haiku-5-5")


def program(desk, pattern, messages=TASK, rounds=7):
    def run():
        random.seed(3)
        asked = {"pattern": pattern, "messages": messages, "max_rounds": rounds}
        return desk.outcome(initiate_group_chat(**asked)[0])

    return Program(pattern, run, None, TRIO, desk.team, (), desk.ran)


def talking(config):
    desk = _Desk(config, TASK)
    return desk, [desk.agent(name) for name in TRIO]


def managed(config):
    return {"group_manager_args": {"llm_config": config, "silent": True}}


def with_user(config, *, task=TASK):
    """A user takes part; it has no model."""
    desk, agents = talking(config)
    pattern = AutoPattern(agents[0], agents, user_agent=desk.user(), **managed(config))
    return program(desk, pattern, task)


def going_on(config, *, task=TASK):
    """The chat is given with what was said before."""
    desk, agents = talking(config)
    pattern = AutoPattern(agents[0], agents, user_agent=desk.user(), **managed(config))
    said = [("user", task), ("planner", "I plan."), ("user", "Go on.")]
    messages = [{"role": "user", "name": name, "content": text} for name, text in said]
    return program(desk, pattern, messages, 5)


def by_chance(config, *, task=TASK):
    """Whoever comes."""
    desk, agents = talking(config)
    return program(desk, RandomPattern(agents[0], agents, **managed(config)), task)


def changing(config, *, task=TASK):
    """The writer's prompt changes before each of its turns."""
    desk, agents = talking(config)

    def update(agent, messages):
        agent.update_system_message(f"{PROMPTS['writer']} So far: {len(messages)} messages.")

    agents[1].register_hook("update_agent_state", update)
    after = made_of.AgentTarget
    for one, other in pairwise([*agents, agents[0]]):
        one.handoffs.set_after_work(after(other))
    return program(desk, DefaultPattern(agents[0], agents, **managed(config)), task)


def with_inner_chat(config, *, task=TASK):
    """The planner hands over to a chat of its own with a checker."""
    desk, agents = talking(config)
    queue = [{"recipient": desk.agent("checker"), "message": "Check it.", "max_turns": 1}]
    target = made_of.NestedChatTarget(
        nested_chat_config={"chat_queue": [{**queue[0], "summary_method": "last_msg"}]}
    )
    told = made_of.StringLLMCondition("Have it checked.")
    agents[0].handoffs.add_llm_condition(made_of.OnCondition(target=target, condition=told))
    after = {"group_after_work": made_of.AgentTarget(agents[1])}
    return program(desk, DefaultPattern(agents[0], agents, **managed(config), **after), task)


def opening_later(config, *, task=TASK):
    """From the fourth turn on each may also hand over to the one before it."""
    desk, agents = talking(config)
    variables = made_of.ContextVariables({"turns": 0, "open": False})

    def count(agent, messages):
        variables["turns"] += 1
        variables["open"] = variables["turns"] > 3

    for n, agent in enumerate(agents):
        agent.register_hook("update_agent_state", count)
        for other, name in ((agents[n - 2], None), (agents[n - 1], "open")):
            only = made_of.StringAvailableCondition(name) if name else None
            told = made_of.StringLLMCondition(f"The {agent.name} wants the {other.name} to go on.")
            target = made_of.AgentTarget(other)
            given = made_of.OnCondition(target=target, condition=told, available=only)
            agent.handoffs.add_llm_condition(given)
    pattern = DefaultPattern(
        agents[0], agents, context_variables=variables, group_manager_args={"silent": True}
    )
    return program(desk, pattern, task, 14)


FACTORIES = (with_user, going_on, by_chance, changing, with_inner_chat, opening_later)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_the_chat_goes_as_before_and_every_request_is_a_fork(ran, factory, model):
    plain, run = ran(factory, model), ran(factory, model, "tail")

    assert run.transcript == plain.transcript
    assert len(run.bodies) == len(plain.bodies)
    assert all(wire.is_forked(body) for body in run.bodies)
    assert agentcache.report(run.program.root).total.calls == len(run.bodies)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", [with_user, going_on, by_chance, changing])
def test_each_request_begins_with_all_that_the_one_before_shared(ran, factory, model):
    for before, body in pairwise(ran(factory, model, "tail").bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt_that_changes_before_each_turn_stands_in_the_agents_own_part(ran, model):
    run = ran(changing, model, "tail")

    told = [body for body in run.bodies if "So far: " in wire.texts(body)]
    assert len(told) == 2
    assert all("So far: " in wire.own_text(body) for body in told)
    assert wire.own_text(told[0]) != wire.own_text(told[1])


@pytest.mark.parametrize("model", MODELS)
def test_each_run_lets_go_of_the_group_chat_of_the_run_before(stage, model):
    program = programs.auto_pattern(programs.llm_config(stage.begin(), model))
    agentcache.wrap(program.root, layout="tail")
    sizes = []

    for _ in range(3):
        stage.begin()
        program.run()
        (attached,) = {id(office): office for office in offices(program)}.values()
        sizes.append((len(attached.owners), len(attached.chats), len(attached._put)))

    assert sizes[0] == sizes[1] == sizes[2]


def offices(program):
    from agentcache_autogen.classic.office import office_of

    return [office_of(agent) for agent in program.team.values()]


@pytest.mark.parametrize("model", MODELS)
def test_handoffs_rebuild_clients_and_every_rebuilt_one_is_forked(ran, model):
    run = ran(programs.colliding_pattern, model, "tail")

    assert all(wire.is_forked(body) for body in run.bodies)
    assert len({tuple(wire.names(body)) for body in run.bodies}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_a_handoff_that_opens_later_is_told_from_then_on(ran, model):
    plain, run = ran(opening_later, model), ran(opening_later, model, "tail")

    offered = [wire.names(body) for body in plain.bodies]
    assert [len(names) for names in offered] == [1, 1, 1, 2, 2, 2, 2]
    assert [wire.allowed(body) for body in run.bodies] == offered
    assert len({tuple(wire.names(body)) for body in run.bodies}) == 1


def test_without_a_model_for_the_manager_its_agents_fork(stage):
    def prepare(program):
        agentcache.wrap(program.root, layout="tail")

    run = measure.run(programs.default_pattern, "gpt-6-luna", prepare, stage=stage)

    assert all(wire.is_forked(body) for body in run.bodies)
    assert set(run.program.agents) == {
        row.agent for row in agentcache.report(run.program.root).rows
    }
