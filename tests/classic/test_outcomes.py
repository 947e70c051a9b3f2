"""A wrapped chat says what a plain one says, runs the tools it runs, and ends where it ends."""

import pytest
from autogen import ConversableAgent, GroupChat, GroupChatManager, register_function
from autogen.oai.client import OpenAIClient

import agentcache
from agentcache import loopback

from . import measure, programs, wire
from .measure import MODELS

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

STREAMS = hasattr(OpenAIClient, "_add_streaming_usage_to_params")
"""Before, a streamed answer was counted with a vocabulary that is downloaded."""

MARKED = ("gpt-6-luna", "claude-haiku-5-5")
MANY = (
    *(programs.auto_tools_summary, programs.two_agents, programs.nested, programs.late_joiner),
    *(programs.auto_pattern, programs.default_pattern_tools),
)


def assert_same(plain, wrapped):
    assert wrapped.transcript == plain.transcript
    assert wrapped.program.ran == plain.program.ran
    assert len(wrapped.bodies) == len(plain.bodies)


def assert_all_forked(run):
    report = agentcache.report(run.program.root)
    assert report.total.calls == len(run.bodies)
    assert report.passed_through == ()
    assert report.errors == 0


CASES = [
    *((f, model, "tail") for f in programs.PROGRAMS for model in MARKED),
    *((f, "gpt-6-luna", "roster") for f in programs.PROGRAMS),
    *((f, "claude-haiku-5-5", "roster") for f in MANY),
]


@pytest.mark.parametrize(("factory", "model", "layout"), CASES)
def test_what_is_said_done_and_held_stays_the_same(ran, factory, model, layout):
    run = ran(factory, model, layout)

    assert_same(ran(factory, model), run)
    assert tuple(run.program.ran) == run.program.tools
    assert_all_forked(run)


@pytest.mark.parametrize("factory", [programs.round_robin, programs.auto, *MANY])
def test_what_is_said_stays_the_same_where_every_prefix_is_read(ran, factory):
    run = ran(factory, "gpt-4.1-mini", "tail")

    assert_same(ran(factory, "gpt-4.1-mini"), run)
    assert_all_forked(run)


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", MANY)
def test_what_is_said_stays_the_same_where_some_texts_stay_where_they_are(ran, factory, model):
    assert_same(
        ran(factory, model, task=programs.BRIEF), ran(factory, model, "auto", task=programs.BRIEF)
    )


@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", MANY)
def test_the_asynchronous_twin_says_the_same_and_sends_the_same(ran, factory, model):
    run = ran(factory, model, "tail", twin=True)

    assert_same(ran(factory, model), run)
    assert_all_forked(run)
    assert written(run) == written(ran(factory, model, "tail"))


def written(run):
    return [wire.without_ids(measure.rendered(body)) for body in run.bodies]


@pytest.mark.skipif(not STREAMS, reason="this version cannot stream these models")
@pytest.mark.parametrize("model", MARKED)
@pytest.mark.parametrize("factory", [MANY[0], MANY[1], MANY[-1]])
def test_what_streaming_agents_say_stays_the_same(ran, factory, model):
    streamed = (("stream", True),)
    run = ran(factory, model, "tail", entry=streamed)

    assert all(body["stream"] for body in run.bodies)
    assert_same(ran(factory, model, entry=streamed), run)
    assert_all_forked(run)


@pytest.mark.parametrize("model", MODELS)
def test_a_message_that_ends_the_chat_ends_it(stage, model):
    def script(turn):
        who = programs.speaker(turn)
        return loopback.Answer("All is said. TERMINATE" if who == "critic" else f"The {who} spoke.")

    def run(prepare):
        with_end = programs.round_robin

        def factory(config, **options):
            made = with_end(config, **options)
            for agent in (made.root, *made.team.values()):
                agent._is_termination_msg = lambda m: "TERMINATE" in (m.get("content") or "")
            return made

        return measure.run(factory, model, prepare, stage=stage, script=script)

    plain, wrapped = run(lambda _program: None), run(lambda p: agentcache.wrap(p.root))

    assert_same(plain, wrapped)
    assert len(wrapped.outcome.said) == 4


BOTH = ("search_archive", "search_harbour")


def two_tools(config, *, task=programs.TASK):
    """The writer has two tools; the user runs them, and all hear the results."""
    desk = programs._Desk(config, task)
    user, writer, critic = desk.user(), desk.agent("writer"), desk.agent("critic")
    for name in BOTH:
        register_function(desk.tool(name), caller=writer, executor=user, description=f"Use {name}.")

    def following(last, chat):
        calls = chat.messages[-1].get("tool_calls")
        return user if calls else writer if last is user else critic

    chat = GroupChat([user, writer, critic], max_round=5, speaker_selection_method=following)
    manager = GroupChatManager(chat, llm_config=config, silent=True)
    program = desk.program(manager, user)
    program.tools = BOTH
    return program


def both_at_once(turn):
    """The writer calls both of its tools in one answer, then speaks."""
    who = programs.speaker(turn)
    if who == "writer" and "found 3 notes" not in str(turn.body):
        query = {"query": "tides"}
        return loopback.Answer(
            "Let me look.", tuple(loopback.ToolCall(name, query) for name in BOTH)
        )
    return loopback.Answer(f"Said by the {who}.")


@pytest.mark.parametrize("model", MODELS)
def test_tools_called_in_one_answer_all_run(stage, model):
    def prepare(program):
        agentcache.wrap(program.root, layout="tail")

    plain = measure.run(two_tools, model, script=both_at_once, stage=stage)
    wrapped = measure.run(two_tools, model, prepare, script=both_at_once, stage=stage)

    assert wrapped.program.ran == list(BOTH)
    assert_same(plain, wrapped)
    assert_all_forked(wrapped)


@pytest.mark.parametrize("model", MODELS)
def test_a_name_that_a_model_copies_in_front_of_its_answer_is_taken_off(stage, model):
    def script(turn):
        who = programs.speaker(turn)
        return loopback.Answer(f"[{who}]: The {who} spoke.")

    def prepare(program):
        agentcache.wrap(program.root, layout="tail")

    run = measure.run(programs.round_robin, model, prepare, script=script, stage=stage)

    assert [m["content"] for m in run.outcome.said[1:4]] == [
        f"The {who} spoke." for who in programs.TRIO
    ]


def test_an_agent_that_talks_to_itself_alone_is_left_as_it_is(stage):
    provider = stage.begin(loopback.echo)
    config = programs.llm_config(provider, "gpt-6-luna")
    agent = ConversableAgent("loner", "You are alone.", llm_config=config, human_input_mode="NEVER")
    plain = agent.generate_reply([{"role": "user", "content": "Hello."}])

    agentcache.wrap(agent)

    assert agent.generate_reply([{"role": "user", "content": "Hello."}]) == plain
    first, second = (request.raw for request in measure.calls(provider))
    assert first == second
    (passed,) = agentcache.report(agent).passed_through
    assert passed.reason.startswith("alone: one agent talks here")
