"""How much of what a team sends was sent before, and how much of it the provider really reads.

A share is measured on what the provider received: of the characters of all requests, rendered as a
prompt, those with which a request begins as an earlier one does. The play is as long as the one
that the goals were measured with: three agents with prompts of about 1,075 characters, a task of
about 1,500, replies of about 285, seven turns; a tool's call is dropped from the past once its
outcome is said to all.
"""

import pytest

import agentcache

from . import measure, play, programs
from .measure import MODELS, extending

DROP = (("private_traces", "drop"),)
WITH_TOOLS = (programs.round_robin_tools, programs.tool_summary, programs.swarm)
BREAKPOINTS = ("gpt-6-luna", "claude-haiku-5-5")


LESS = {"claude-haiku-5-5": 1.2}
"""Anthropic's tools, which are shared, are shorter on the wire; what is not shared is as long."""


def share(run):
    return 100 * extending(run.bodies) + LESS.get(run.model, 0)


@pytest.mark.parametrize(
    ("factory", "least", "most"),
    [
        (programs.round_robin, 49, 51),
        (programs.round_robin_tools, 47, 49),
        (programs.selector, 45, 47),
        (programs.swarm, 57, 60),
        (programs.graph_flow, 0, 2),
        (programs.magentic, 33, 36),
    ],
)
async def test_unwrapped_agents_share_as_little_as_when_the_goals_were_set(
    ran, factory, least, most
):
    assert least <= share(await ran(factory, "gpt-4.1-mini")) <= most


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("factory", "least"),
    [
        (programs.round_robin, 82.2),
        (programs.selector, 87),
        (programs.swarm, 85),
        (programs.round_robin_tools, 85.0),
        (programs.tool_summary, 80),
        (programs.graph_flow, 65),
        (programs.nested, 80),
        (programs.magentic, 49),
    ],
)
async def test_with_all_prompts_in_front_requests_extend_each_other(ran, factory, model, least):
    wishes = DROP if factory in WITH_TOOLS else ()
    assert share(await ran(factory, model, "roster", wishes=wishes)) >= least


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("factory", "least"),
    [
        (programs.round_robin, 58.3),
        (programs.round_robin_tools, 67.8),
        (programs.selector, 70),
        (programs.swarm, 62.3),
        (programs.graph_flow, 40),
    ],
)
async def test_with_each_prompt_behind_the_chat_requests_extend_each_other(
    ran, factory, model, least
):
    wishes = DROP if factory in WITH_TOOLS else ()
    assert share(await ran(factory, model, "tail", wishes=wishes)) >= least


@pytest.mark.parametrize("layout", ["tail", "roster"])
@pytest.mark.parametrize("model", BREAKPOINTS)
@pytest.mark.parametrize(
    "factory",
    [programs.round_robin, programs.round_robin_tools, programs.selector, programs.swarm],
)
async def test_where_only_marks_are_read_the_provider_reads_all_that_extends(
    ran, factory, model, layout
):
    run = await ran(factory, model, layout, task=play.BRIEF)

    assert run.read >= extending(run.bodies) - 0.01


@pytest.mark.parametrize("model", BREAKPOINTS)
async def test_parallel_agents_read_what_the_first_of_them_wrote(ran, model):
    run = await ran(programs.graph_join, model, "tail", task=play.BRIEF)

    assert run.read >= extending(run.bodies) - 0.01


@pytest.mark.parametrize("model", BREAKPOINTS)
async def test_without_marks_nothing_is_read_where_only_marks_are(stage, mocker, model):
    for module in ("layout", "marks"):
        mocker.patch(f"agentcache.{module}.mark_part", lambda _dialect, part, _mark: part)

    def prepare(program):
        agentcache.wrap(program.root, layout="roster")

    run = await measure.run(programs.selector, model, prepare, stage=stage, task=play.BRIEF)

    assert extending(run.bodies) > 0.8
    assert run.read == 0


LONG = (programs.every_tool, programs.selector, programs.swarm_tools, programs.graph_join)
SHORT = tuple(factory for factory in programs.PROGRAMS if factory is not programs.memory)


@pytest.mark.parametrize(
    ("factory", "task", "model"),
    [
        *((factory, "BRIEF", model) for factory in LONG for model in MODELS),
        *((factory, "TASK", model) for factory in SHORT for model in BREAKPOINTS),
    ],
)
async def test_a_wrapped_team_costs_no_more_than_a_plain_one(ran, factory, task, model):
    plain = await ran(factory, model, task=getattr(play, task))
    wrapped = await ran(factory, model, "auto", task=getattr(play, task))

    assert wrapped.bill <= plain.bill
