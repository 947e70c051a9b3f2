"""A wrapped team says what a plain one says, runs the tools it runs, and stops why it stops."""

from collections import Counter

import pytest
from autogen_agentchat.base import TaskResult
from autogen_core.tools import StaticStreamWorkbench

import agentcache
from agentcache import loopback

from . import measure, play, programs
from .measure import MODELS, transcript

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")

STREAMING = (programs.round_robin_tools, programs.selector, programs.swarm_tools)
UNFORKED = (programs.single, programs.magentic)


def skip_where_autogen_refuses(factory, model):
    if factory is programs.memory and model.startswith("claude"):
        pytest.skip("AutoGen itself refuses memory for Anthropic")


def forks_of(run):
    report = agentcache.report(run.program.root)
    return report.total.calls - sum(passed.calls for passed in report.passed_through)


@pytest.mark.parametrize(
    ("model", "layout"),
    [("gpt-6-luna", "tail"), ("claude-haiku-5-5", "tail"), ("gpt-6-luna", "roster")],
)
@pytest.mark.parametrize("factory", programs.PROGRAMS)
async def test_what_is_said_and_done_stays_the_same(ran, factory, model, layout):
    skip_where_autogen_refuses(factory, model)

    plain, wrapped = await ran(factory, model), await ran(factory, model, layout)

    assert wrapped.transcript == plain.transcript
    assert wrapped.program.ran == plain.program.ran
    assert len(wrapped.bodies) == len(plain.bodies)
    if factory not in UNFORKED:
        assert forks_of(wrapped) == len(wrapped.bodies)


@pytest.mark.parametrize(
    ("factory", "model"),
    [
        *((factory, "gpt-6-luna") for factory in programs.PROGRAMS),
        *((factory, "claude-haiku-5-5") for factory in (*STREAMING, programs.magentic)),
    ],
)
async def test_what_streaming_agents_say_stays_the_same(ran, factory, model):
    plain = await ran(factory, model, stream=True)
    wrapped = await ran(factory, model, "tail", stream=True)

    assert wrapped.transcript == plain.transcript
    assert wrapped.program.ran == plain.program.ran
    if factory not in UNFORKED:
        assert forks_of(wrapped) == len(wrapped.bodies)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factory", [programs.every_tool, programs.selector, programs.graph_join])
async def test_what_is_said_stays_the_same_where_some_texts_stay_where_they_are(
    ran, factory, model
):
    plain = await ran(factory, model, task=play.BRIEF)
    wrapped = await ran(factory, model, "auto", task=play.BRIEF)

    assert wrapped.transcript == plain.transcript
    assert wrapped.program.ran == plain.program.ran


async def events(stage, factory, model, *, wrap, stream):
    """All that `run_stream` yields, without what is a run's own."""
    provider = stage.begin()
    client = programs.client(provider, model)
    program = factory(lambda: client, stream=stream)
    if wrap:
        agentcache.wrap(program.root, layout="tail")
    seen, stop = [], None
    async for event in program.root.run_stream(task=play.TASK):
        if isinstance(event, TaskResult):
            stop = event.stop_reason
        else:
            seen.append(event)
    await client.close()
    return transcript(TaskResult(messages=seen, stop_reason=stop))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
@pytest.mark.parametrize("factory", STREAMING)
async def test_run_stream_yields_the_same_events(stage, factory, model, stream):
    plain = await events(stage, factory, model, wrap=False, stream=stream)
    wrapped = await events(stage, factory, model, wrap=True, stream=stream)

    assert wrapped == plain
    chunks = [e for e in wrapped[:-1] if e["type"] == "ModelClientStreamingChunkEvent"]
    assert bool(chunks) == stream


def two_at_once():
    """The writer calls both of its tools in one answer, then speaks."""
    asked = Counter()

    def script(turn):
        who = play.speaker(turn)
        asked[who] += 1
        if who != "writer" or asked[who] % 2 == 0:
            return loopback.Answer(f"Said by the {who}, {asked[who]}.")
        return loopback.Answer(tool_calls=tuple(call(name) for name in BOTH))

    return script


BOTH = ("search_archive", "search_harbour")


def call(name):
    return loopback.ToolCall(name, {"query": "tides"})


def two_tools(make_client, **options):
    made = programs.round_robin_tools(make_client, **options)
    desk = programs.Staff(make_client, ran=made.ran)
    made.root._participants[1]._workbench = [StaticStreamWorkbench([*map(desk.tool, BOTH)])]
    return made


@pytest.mark.parametrize("model", ["gpt-6-luna", "claude-haiku-5-5"])
@pytest.mark.parametrize("stream", [False, True])
async def test_tools_called_in_one_answer_all_run(stage, model, stream):
    def prepare(program):
        agentcache.wrap(program.root, layout="tail")

    options = {"stage": stage, "stream": stream}
    plain = await measure.run(two_tools, model, script=two_at_once(), **options)
    wrapped = await measure.run(two_tools, model, prepare, script=two_at_once(), **options)

    assert sorted(wrapped.program.ran) == sorted(BOTH * 2)
    assert wrapped.transcript == plain.transcript
