"""Providers that fail, models that nobody knows, chats at the same time: the host is not broken."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import agentcache
from agentcache.errors import AgentcacheWarning, FrozenError

from . import measure, programs, shapes, wire

MODELS = ("gpt-6-luna", "claude-haiku-5-5")


def tail(program):
    agentcache.wrap(program.root, layout="tail")


def failing(stage, model, prepare, **fault):
    """Run a chat that fails once, then again; return the error and what was said then."""
    provider = stage.begin()
    program = programs.auto(programs.llm_config(provider, model, max_retries=0))
    prepare(program)
    provider.fail(**fault)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the provider's SDK decides
        program.run()
    provider = stage.begin()
    return type(raised.value), measure.transcript(program.run()), len(measure.calls(provider))


@pytest.mark.parametrize("kind", ["500", "429"])
def test_a_failure_of_the_provider_reaches_the_program_as_it_did(stage, kind):
    plain = failing(stage, "gpt-6-luna", lambda _program: None, kind=kind, at=4)

    assert failing(stage, "gpt-6-luna", tail, kind=kind, at=4) == plain


@pytest.mark.parametrize("model", MODELS)
def test_a_call_that_the_sdk_sends_again_is_one_call(stage, model):
    def prepare(program):
        tail(program)
        stage.provider.fail("500", at=4)

    run = measure.run(programs.auto, model, prepare, stage=stage, entry={"max_retries": 1})

    assert len(run.log) == 2 * programs.TURNS + 1
    assert run.log[3].raw == run.log[4].raw
    assert agentcache.report(run.program.root).total.calls == 2 * programs.TURNS


@pytest.mark.parametrize("model", MODELS)
def test_strictly_a_late_tool_is_refused_before_anything_is_sent(stage, model):
    provider = stage.begin()
    program = shapes.tool_later(programs.llm_config(provider, model))
    agentcache.wrap(program.root, layout="tail", strict=True)

    with pytest.raises(FrozenError, match="search_archive"):
        program.run()

    assert not any(wire.names(request.body) for request in measure.calls(provider))


@pytest.mark.parametrize("layout", ["tail", "roster"])
def test_an_engine_of_ones_own_reads_all_that_extends_without_marks(stage, layout):
    def prepare(program):
        agentcache.wrap(program.root, layout=layout, provider="llama.cpp")

    run = measure.run(programs.auto_tools_summary, "llama-3.1-8b", prepare, stage=stage)

    assert not any(wire.marked(body) for body in run.bodies)
    assert all(wire.is_forked(body) for body in run.bodies)
    assert run.read >= measure.extending(run.bodies) - 0.01


def test_a_model_that_nobody_knows_is_forked_without_marks_and_said(stage):
    with pytest.warns(AgentcacheWarning, match="No caching rule"):
        run = measure.run(programs.auto, "some-model", tail, stage=stage)

    assert all(wire.is_forked(body) for body in run.bodies)
    assert not any(wire.marked(body) for body in run.bodies)


@pytest.mark.parametrize("model", MODELS)
def test_programs_that_run_at_the_same_time_each_say_their_own(stage, ran, model):
    provider = stage.begin()
    alone = ran(programs.round_robin, model, "tail").outcome
    several = [programs.round_robin(programs.llm_config(provider, model)) for _ in range(3)]
    first = agentcache.wrap(several[0].root, layout="tail")
    for program in several[1:]:
        agentcache.wrap(program.root, layout="tail", session=agentcache.session(first))

    def play(turn):
        who = programs.speaker(turn)
        return agentcache.loopback.Answer(
            programs.note(who, str(turn.body).count(f"by the {who}."))
        )

    stage.begin(play)
    with ThreadPoolExecutor(3) as pool:
        said = [outcome.said for outcome in pool.map(lambda p: p.run(), several)]

    names = [m["name"] for m in alone.said]
    assert [[m["name"] for m in chat] for chat in said] == [names] * 3
    assert all(chat[1]["content"] == programs.note("planner", 0) for chat in said)
    for program in several:
        assert agentcache.report(program.root).total.calls == programs.TURNS
