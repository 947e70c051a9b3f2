"""Whatever is wrapped, however it is run: the chat goes as before, and what can fork forks."""

import json
from itertools import pairwise

import pytest
from autogen import ConversableAgent

import agentcache
from agentcache import loopback

from . import measure, programs, shapes, wire

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
WHOLE = (
    *(shapes.chat, shapes.chat_first, shapes.everything, shapes.kept, shapes.cleared),
    *(shapes.resumed, shapes.pattern_twice, shapes.handoffs_twice, shapes.queue),
    *(shapes.two_managers, shapes.tool_later, shapes.nested_later, shapes.nested_group),
)
HARD = (shapes.chat, shapes.kept, shapes.handoffs_twice, shapes.two_managers, shapes.nested_group)
CHOICE = "Then select the next role from"
MANAGERS = (CHOICE, "Summarize the takeaway")


def forked(run):
    return [body for body in run.bodies if wire.is_forked(body)]


def assert_same(plain, wrapped):
    assert wrapped.transcript == plain.transcript
    assert wrapped.program.ran == plain.program.ran
    assert len(wrapped.bodies) == len(plain.bodies)


CASES = [(factory, "gpt-6-luna") for factory in WHOLE]
CASES += [(factory, "claude-haiku-5-5") for factory in WHOLE if factory in HARD]


@pytest.mark.parametrize(("factory", "model"), CASES)
def test_the_chat_goes_as_before_and_every_request_is_a_fork(ran, factory, model):
    run = ran(factory, model, "tail")

    assert_same(ran(factory, model), run)
    assert forked(run) == run.bodies
    assert agentcache.report(run.program.root).total.calls == len(run.bodies)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("factory", "aside"),
    [(shapes.agents, MANAGERS), (shapes.two_of_three, ("You are the critic of",))],
)
def test_who_is_not_wrapped_sends_what_it_always_sent(ran, factory, model, aside):
    plain, run = ran(factory, model), ran(factory, model, "tail")

    assert_same(plain, run)
    for before, after in zip(plain.bodies, run.bodies, strict=True):
        assert wire.is_forked(after) != any(text in wire.texts(before) for text in aside)
        written = [wire.without_ids(json.dumps(body)) for body in (before, after)]
        assert wire.is_forked(after) or written[0] == written[1]


@pytest.mark.parametrize(
    ("factory", "model"),
    [
        (shapes.kept, "gpt-6-luna"),
        (shapes.kept, "claude-haiku-5-5"),
        (shapes.resumed, "gpt-6-luna"),
    ],
)
def test_a_chat_that_goes_on_extends_what_it_was(ran, factory, model):
    run = ran(factory, model, "tail")

    for before, body in pairwise(run.bodies):
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


@pytest.mark.parametrize("factory", [shapes.cleared, shapes.pattern_twice, shapes.handoffs_twice])
def test_a_chat_that_begins_anew_reads_what_the_first_one_wrote(ran, factory):
    run = ran(factory, "gpt-6-luna", "tail", task=programs.BRIEF)

    half = len(run.log) // 2
    first, again = run.bodies[0], run.bodies[half]
    same = wire.names(first)
    assert wire.blocks(again)[: len(same) + 1] == wire.blocks(first)[: len(same) + 1]
    if factory is not shapes.cleared:
        assert run.log[half].cached_tokens > 2000


@pytest.mark.parametrize("model", MODELS)
def test_groups_of_the_same_agents_share_one_session(ran, model):
    run = ran(shapes.two_managers, model, "tail", task=programs.BRIEF)

    assert agentcache.session(run.program.root[0]) is agentcache.session(run.program.root[1])
    assert run.read > 0.8


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_that_comes_later_is_said_and_shared_from_then_on(ran, model):
    run = ran(shapes.tool_later, model, "tail")

    offered = [wire.names(body) for body in run.bodies]
    assert offered[0] == []
    assert offered[-1] == ["search_archive"]
    assert run.program.ran
    notes = agentcache.report(run.program.root).notes
    assert any("'writer' brought 'search_archive'" in note for note in notes)


@pytest.mark.parametrize("model", MODELS)
def test_tools_given_between_wrapping_and_the_first_call_stand_in_front_from_the_first_on(
    stage, model
):
    def prepare(program):
        agentcache.wrap(program.root, layout="tail")
        for owner in ("writer", "critic"):
            shapes.give_tool(program, owner)

    run = measure.run(shapes.with_user, model, prepare, stage=stage)

    assert {tuple(wire.names(body)) for body in run.bodies} == {("check_figures", "search_archive")}
    assert not agentcache.report(run.program.root).notes


@pytest.mark.parametrize("model", MODELS)
def test_a_selection_that_must_be_asked_again_goes_on_from_the_first(stage, model):
    def script(play):
        refused = iter([loopback.Answer("Nobody."), loopback.Answer("Both planner and writer.")])

        def answer(turn):
            chosen = programs.speaker(turn) == "selector" or CHOICE in turn.user
            return next(refused, None) or play(turn) if chosen else play(turn)

        return answer

    def prepare(program):
        agentcache.wrap(program.root, layout="tail")

    plain = measure.run(programs.auto, model, script=script(programs.Play()), stage=stage)
    run = measure.run(programs.auto, model, prepare, script=script(programs.Play()), stage=stage)

    assert_same(plain, run)
    assert len(run.bodies) == 16
    assert forked(run) == run.bodies
    for before, again in pairwise(run.bodies[:3]):
        assert wire.blocks(again)[: len(wire.blocks(before))] == wire.blocks(before)


def test_an_agent_that_is_made_after_wrapping_and_asked_alone_is_no_part_of_it(stage):
    provider = stage.begin(loopback.echo)
    config = programs.llm_config(provider, "gpt-6-luna")
    program = programs.round_robin(config)
    agentcache.wrap(program.root)
    stranger = ConversableAgent("stranger", "You are new.", llm_config=config)

    stranger.generate_reply([{"role": "user", "content": "Hello."}])

    assert agentcache.report(program.root).total.calls == 0
    (request,) = measure.calls(provider)
    assert request.body["messages"][0]["content"] == "You are new."
