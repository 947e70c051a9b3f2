"""wrap changes objects in place, twice is once, and unwrap leaves no trace."""

import copy
from contextlib import nullcontext

import pytest

import agentcache
from agentcache.errors import NothingToForkError, OptionError

from . import measure, programs, wire

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
SHAPES = (
    *(programs.auto_tools_summary, programs.two_agents, programs.nested, programs.auto_pattern),
    programs.default_pattern_tools,
)


def things(program):
    """All objects of AutoGen's that a program is made of, with their SDK clients."""
    roots = program.root if isinstance(program.root, list) else [program.root]
    found = [*roots, *program.team.values()]
    for thing in list(found):
        found += [chat for chat in [getattr(thing, "groupchat", None)] if chat is not None]
        replies = getattr(thing, "_reply_func_list", ())
        found += [r["config"] for r in replies if hasattr(r["config"], "messages")]
        client = getattr(thing, "client", None)
        found += [client, *client._clients] if client is not None else []
    return found


def traces(program):
    """What each of them holds, by identity; and what of it is agentcache's."""
    held = {id(t): {k: id(v) for k, v in vars(t).items()} for t in things(program)}
    ours = [
        (type(thing).__name__, name)
        for thing in things(program)
        for name, value in vars(thing).items()
        if any(type(each).__module__.startswith("agentcache") for each in inside(value))
    ]
    return held, ours


def inside(value, depth=4):
    """A value and what it holds: lists, dicts and their items."""
    yield value
    if depth and isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from inside(each, depth - 1)


def begun(stage, factory, model):
    provider = stage.begin()
    return factory(programs.llm_config(provider, model))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", SHAPES)
def test_unwrap_leaves_every_object_as_it_was(stage, factory, model):
    program = begun(stage, factory, model)
    before, _ = traces(program)

    agentcache.wrap(program.root)
    assert traces(program)[1]
    agentcache.unwrap(program.root)

    assert traces(program) == (before, [])


@pytest.mark.parametrize("factory", SHAPES)
def test_nothing_is_left_after_a_run_either(stage, factory):
    program = begun(stage, factory, "claude-haiku-5-5")

    agentcache.wrap(program.root, layout="tail")
    program.run()
    agentcache.unwrap(program.root)

    assert traces(program)[1] == []


@pytest.mark.parametrize("factory", SHAPES)
def test_an_unwrapped_program_sends_what_it_always_sent(stage, ran, factory):
    def back_and_forth(program):
        agentcache.unwrap(agentcache.wrap(program.root))

    run = measure.run(factory, "claude-haiku-5-5", back_and_forth, stage=stage)

    assert sent(run) == sent(ran(factory, "claude-haiku-5-5"))


def sent(run):
    return [wire.without_ids(request.raw.decode()) for request in run.log]


@pytest.mark.parametrize("factory", SHAPES)
def test_and_so_it_does_after_a_wrapped_run(stage, factory):
    def second_run(around):
        program = begun(stage, factory, "gpt-6-luna")
        with around(program.root):
            program.run()
        provider = stage.begin()
        program.run()
        return [wire.without_ids(r.raw.decode()) for r in measure.calls(provider)]

    assert second_run(agentcache.wrapped) == second_run(nullcontext)


def test_wrapping_twice_is_wrapping_once(stage, ran):
    def twice(program):
        agentcache.wrap(program.root, layout="tail")
        held = traces(program)
        agentcache.wrap(program.root)
        agentcache.wrap([program.root, *program.team.values()])
        assert traces(program) == held

    run = measure.run(programs.auto_tools_summary, "gpt-6-luna", twice, stage=stage)

    assert sent(run) == sent(ran(programs.auto_tools_summary, "gpt-6-luna", "tail"))
    assert agentcache.report(run.program.root).total.calls == len(run.bodies)


def test_wrapping_again_with_another_wish_is_refused(stage):
    program = begun(stage, programs.auto, "gpt-6-luna")
    agentcache.wrap(program.root, layout="tail")

    with pytest.raises(OptionError, match="layout"):
        agentcache.wrap(program.root, layout="roster")


def test_wrapped_wraps_for_a_block_and_restores_even_after_an_error(stage):
    program = begun(stage, programs.auto_tools_summary, "gpt-6-luna")
    before, _ = traces(program)

    def fail():
        with agentcache.wrapped(program.root) as manager:
            assert manager is program.root
            assert traces(program)[1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert traces(program) == (before, [])


def test_unwrapping_what_is_not_wrapped_changes_nothing(stage):
    program = begun(stage, programs.auto, "gpt-6-luna")
    before = traces(program)

    assert agentcache.unwrap(program.root) is program.root
    assert traces(program) == before
    with pytest.raises(NothingToForkError):
        agentcache.report(program.root)


def test_wrap_gives_back_the_object_itself(stage):
    for factory in SHAPES:
        program = begun(stage, factory, "gpt-6-luna")
        assert agentcache.wrap(program.root) is program.root


def test_a_shallow_copy_of_the_group_chat_is_forked_too(stage, ran):
    """As AutoGen itself copies it, for the manager's reply functions."""

    def copied(program):
        agentcache.wrap(program.root, layout="tail")
        for reply in program.root._reply_func_list:
            if hasattr(reply["config"], "messages"):
                reply["config"] = copy.copy(reply["config"])

    run = measure.run(programs.auto, "gpt-6-luna", copied, stage=stage)

    assert sent(run) == sent(ran(programs.auto, "gpt-6-luna", "tail"))
