"""Whole answers that AutoGen keeps itself: they ask no provider, and are found as before."""

import pytest
from autogen.cache.in_memory_cache import InMemoryCache

import agentcache

from . import measure, programs

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
NOTE = "Answers from AutoGen's own response cache"


class Kept:
    """A round of agents whose answers are kept from run to run."""

    def __init__(self, stage, model):
        self.provider = stage.begin()
        config = programs.llm_config(self.provider, model)
        self.program = programs.round_robin(config)
        self.cache = InMemoryCache("41")

    def run(self):
        """Run once; return how many requests were made, and what was said."""
        before = len(measure.calls(self.provider))
        user, manager = self.program.team["user"], self.program.root
        asked = {"message": programs.TASK, "silent": True, "cache": self.cache, "summary_args": {}}
        said = user.initiate_chat(manager, **asked).chat_history
        return len(measure.calls(self.provider)) - before, [m["content"] for m in said]

    @property
    def report(self):
        return agentcache.report(self.program.root)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_kept_before_wrapping_is_found_after_it(stage, model):
    kept = Kept(stage, model)
    calls, said = kept.run()
    agentcache.wrap(kept.program.root, layout="tail")

    assert calls == programs.TURNS
    assert kept.run() == (0, said)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_kept_while_wrapped_is_found_after_unwrapping(stage, model):
    kept = Kept(stage, model)
    with agentcache.wrapped(kept.program.root, layout="tail"):
        calls, said = kept.run()

    assert calls == programs.TURNS
    assert kept.run() == (0, said)


@pytest.mark.parametrize("model", MODELS)
def test_a_kept_answer_is_no_call_in_the_report_and_is_noted(stage, model):
    kept = Kept(stage, model)
    agentcache.wrap(kept.program.root, layout="tail")
    kept.run()
    assert not any(note.startswith(NOTE) for note in kept.report.notes)

    kept.run()

    assert kept.report.total.calls == programs.TURNS
    assert kept.report.passed_through == ()
    assert any(note.startswith(NOTE) for note in kept.report.notes)


@pytest.mark.parametrize("model", MODELS)
def test_after_a_kept_answer_the_next_request_extends_what_was_sent(stage, model):
    kept = Kept(stage, model)
    agentcache.wrap(kept.program.root, layout="tail")
    kept.run()
    user, manager = kept.program.team["user"], kept.program.root

    user.initiate_chat(manager, message="Go on.", clear_history=False, silent=True)

    bodies = [request.body for request in measure.calls(kept.provider)]
    assert measure.extending(bodies) > 0.65
    assert kept.report.total.calls == len(bodies)


@pytest.mark.parametrize("model", MODELS)
def test_a_program_with_a_cache_seed_asks_as_often_as_before(ran, model):
    plain = ran(programs.cached_seed, model)
    wrapped = ran(programs.cached_seed, model, "tail")

    assert len(wrapped.bodies) == len(plain.bodies)
    assert agentcache.report(wrapped.program.root).total.calls == len(wrapped.bodies)
