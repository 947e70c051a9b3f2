"""What can be wished for, and what is refused before anything is sent."""

import json

import pytest
from autogen import ConversableAgent, GroupChat

import agentcache
from agentcache.errors import NothingToForkError, OptionError, ToolConflictError, UnknownObjectError

from . import measure, programs, wire

MODELS = ("gpt-6-luna", "claude-haiku-5-5")


@pytest.fixture
def desk(stage):
    return programs._Desk(programs.llm_config(stage.begin(), "gpt-6-luna"), programs.TASK)


def search(query: str) -> str:
    return query


def offer(agent, about):
    agent.register_for_llm(name="search", description=about)(search)
    return agent


def test_a_chat_without_any_model_is_refused(desk):
    users = [ConversableAgent(name, llm_config=False) for name in ("one", "two")]
    group = GroupChat(users)

    for nothing in (users, users[0], group):
        with pytest.raises(NothingToForkError, match="no agent with an llm_config"):
            agentcache.wrap(nothing)


def test_what_is_nothing_of_autogens_is_refused_by_name(desk):
    with pytest.raises(UnknownObjectError, match="'three'"):
        agentcache.wrap([desk.agent("writer"), "three"])


def test_two_tools_of_one_name_are_refused_naming_both_agents(desk):
    writer, critic = offer(desk.agent("writer"), "One."), offer(desk.agent("critic"), "Two.")
    before = [dict(vars(agent)) for agent in (writer, critic)]

    with pytest.raises(ToolConflictError) as refused:
        agentcache.wrap([writer, critic])

    assert "'search'" in str(refused.value)
    assert "'writer'" in str(refused.value)
    assert "'critic'" in str(refused.value)
    assert [dict(vars(agent)) for agent in (writer, critic)] == before


def test_the_same_tool_of_two_agents_is_offered_once(stage, desk):
    writer, critic = offer(desk.agent("writer"), "One."), offer(desk.agent("critic"), "One.")
    agentcache.wrap([writer, critic], layout="tail")

    writer.initiate_chat(critic, message=programs.TASK, max_turns=1, silent=True)

    assert [wire.names(r.body) for r in measure.calls(stage.provider)] == [["search"]]


@pytest.mark.parametrize("model", MODELS)
def test_handoffs_of_one_name_are_allowed_and_each_reads_its_own_wording(ran, model):
    run = ran(programs.colliding_pattern, model, "tail")

    names = wire.names(run.bodies[0])
    assert names == sorted(set(names))
    for body in run.bodies:
        who = next(n for n in programs.TRIO if f"You are the {n} of" in wire.own_text(body))
        for other in programs.TRIO:
            told = f"The {other} is done and the" in wire.own_text(body)
            assert not told or other == who
    assert any("For you, " in wire.own_text(body) for body in run.bodies)


def test_all_prompts_in_front_and_private_prompts_are_refused_together(desk):
    with pytest.raises(OptionError, match="private_prompts=True"):
        agentcache.wrap([desk.agent("writer")], layout="roster", private_prompts=True)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("layout", ["auto", "tail", "fork"])
def test_no_agent_reads_the_prompt_of_another_unless_asked_to(ran, model, layout):
    run = ran(programs.round_robin, model, layout, wishes=(("private_prompts", True),))

    for n, body in enumerate(run.bodies):
        others = [p for name, p in programs.PROMPTS.items() if name != programs.TRIO[n % 3]]
        assert not any(json.dumps(prompt)[1:-1] in json.dumps(body) for prompt in others)


@pytest.mark.parametrize("model", MODELS)
def test_with_all_prompts_in_front_each_stands_there_once(ran, model):
    run = ran(programs.auto_tools_summary, model, "roster")

    for body in run.bodies:
        text = json.dumps(body)
        assert all(text.count(json.dumps(programs.PROMPTS[n])[1:-1]) == 1 for n in programs.TRIO)


@pytest.mark.parametrize("model", MODELS)
def test_who_joins_late_reads_what_autogen_tells_it(ran, model):
    run = ran(programs.late_joiner, model, "tail")

    (joined,) = (b for b in run.bodies if "You are the checker of" in wire.own_text(b))
    assert wire.chat(joined)[0] == "[user]: Go on, with the checker."


@pytest.mark.parametrize("model", MODELS)
def test_who_joins_late_reads_the_whole_chat_if_asked_to(ran, model):
    wishes = (("history", "group"),)
    run = ran(programs.late_joiner, model, "tail", wishes=wishes)

    bodies = run.bodies
    (at,) = (n for n, b in enumerate(bodies) if "You are the checker of" in wire.own_text(b))
    known = wire.shared(bodies[at - 1])
    assert wire.shared(bodies[at])[: len(known)] == known
    assert wire.chat(bodies[at])[0] == f"[user]: {programs.TASK}"
    assert wire.shared(bodies[at + 1])[: len(known)] == known


@pytest.mark.parametrize("model", MODELS)
def test_a_brief_given_as_context_stands_in_front_and_is_lifted_from_the_prompts(stage, model):
    rules = "\n".join(f"House rule {n}: name the pier." for n in range(60))
    provider = stage.begin()
    desk = programs._Desk(programs.llm_config(provider, model), programs.TASK)
    agents = [desk.agent("writer"), desk.agent("critic")]
    for agent in agents:
        agent.update_system_message(f"{agent.system_message}\n\n{rules}")
    agentcache.wrap(agents, context=[rules], layout="tail")

    agents[0].initiate_chat(agents[1], message=programs.TASK, max_turns=2, silent=True)

    for request in measure.calls(provider):
        assert wire.texts(request.body).count("House rule 7: name the pier.") == 1
        assert "given above]" in wire.own_text(request.body)


@pytest.mark.parametrize("model", MODELS)
def test_another_programs_session_is_joined(stage, model):
    provider = stage.begin()
    config = programs.llm_config(provider, model)
    one, other = (programs.round_robin(config) for _ in range(2))
    agentcache.wrap(one.root, layout="tail")
    session = agentcache.session(one.root)

    agentcache.wrap(other.root, layout="tail", session=session)
    one.run()
    other.run()

    assert agentcache.session(other.root) is session
    bodies = [request.body for request in measure.calls(provider)]
    assert len({body.get("prompt_cache_key") for body in bodies}) == 1
    assert wire.shared(bodies[-1])[:2] == wire.shared(bodies[0])[:2]


@pytest.mark.parametrize("model", MODELS)
def test_images_are_shared_like_everything_that_is_said(stage, model):
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{dot}"}}
    parts = [{"type": "text", "text": programs.TASK}, image, {"type": "text", "text": "See?"}]

    desk = programs._Desk(programs.llm_config(stage.begin(), model), programs.TASK)
    writer, critic = agentcache.wrap([desk.agent("writer"), desk.agent("critic")], layout="tail")

    writer.initiate_chat(critic, message={"content": parts}, max_turns=2, silent=True)

    bodies = [request.body for request in measure.calls(stage.provider)]
    assert all(dot in wire.shared(body)[3] for body in bodies)
    assert wire.chat(bodies[0]) == ["[writer]:"]
    known = wire.shared(bodies[0])
    assert all(wire.shared(body)[: len(known)] == known for body in bodies)


@pytest.mark.parametrize("model", MODELS)
def test_messages_without_a_name_are_the_agents_own_or_the_users(stage, model):
    provider = stage.begin()
    desk = programs._Desk(programs.llm_config(provider, model), programs.TASK)
    writer, critic = desk.agent("writer"), desk.agent("critic")
    agentcache.wrap([writer, critic], layout="tail")
    said = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Mine."},
        {"role": "user", "content": "And now?"},
    ]

    for agent in (writer, critic):
        agent.generate_reply(list(said))

    heard = [wire.chat(request.body) for request in measure.calls(provider)]
    assert heard[0] == ["[user]: Hello.", "[writer]: Mine.", "[user]: And now?"]
    assert heard[1] == ["[user]: Hello.", "[critic]: Mine.", "[user]: And now?"]
