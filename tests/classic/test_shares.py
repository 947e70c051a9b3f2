"""How much of what a chat sends was sent before, and how much of it the provider really reads.

A share is measured on what the provider received: of the characters of all requests, rendered as a
prompt, those with which a request begins as an earlier one does. The play is as long as the one
that the goals were measured with: three agents with prompts of about 1,080 characters, a task of
about 1,500, replies of about 330, seven turns. What an agent says to call a tool is said to all.
"""

import pytest

import agentcache

from . import measure, programs
from .measure import extending

BREAKPOINTS = ("gpt-6-luna", "claude-haiku-5-5")

LESS = {"claude-haiku-5-5": 1.2}
"""Anthropic's tools, which are shared, are shorter on the wire; what is not shared is as long."""


def share(run):
    return 100 * extending(run.bodies)


@pytest.mark.parametrize(
    ("factory", "least", "most"),
    [
        (programs.round_robin, 49, 50),
        (programs.auto, 61, 63),
        (programs.nested, 49, 51),
        (programs.default_pattern, 49, 51),
    ],
)
def test_unwrapped_agents_share_as_little_as_when_the_goals_were_set(ran, factory, least, most):
    assert least <= share(ran(factory, "gpt-4.1-mini")) <= most


@pytest.mark.parametrize(
    ("factory", "least"),
    [
        (programs.round_robin, 82.3),
        (programs.auto, 87),
        (programs.auto_tools_summary, 87),
        (programs.every_tool, 90),
        (programs.two_agents, 83),
        (programs.nested, 84),
        (programs.late_joiner, 87),
        (programs.introductions, 82),
        (programs.round_robin_pattern, 84),
        (programs.auto_pattern, 86),
        (programs.default_pattern, 82.7),
        (programs.default_pattern_tools, 86),
        (programs.colliding_pattern, 81),
    ],
)
def test_with_all_prompts_in_front_requests_extend_each_other(ran, factory, least):
    assert share(ran(factory, "gpt-6-luna", "roster")) >= least


@pytest.mark.parametrize(
    ("factory", "least"),
    [(programs.auto_tools_summary, 87), (programs.two_agents, 83), (programs.auto_pattern, 86)],
)
def test_and_so_they_do_where_tools_are_written_in_another_way(ran, factory, least):
    assert share(ran(factory, "claude-haiku-5-5", "roster")) >= least


@pytest.mark.parametrize("model", BREAKPOINTS)
@pytest.mark.parametrize(
    ("factory", "least"),
    [
        (programs.round_robin, 58.2),
        (programs.auto, 70.7),
        (programs.auto_tools_summary, 75),
        (programs.every_tool, 80),
        (programs.two_agents, 63),
        (programs.round_robin_pattern, 63),
        (programs.auto_pattern, 70.7),
        (programs.default_pattern, 61.8),
        (programs.default_pattern_tools, 66.5),
        (programs.colliding_pattern, 61.3),
    ],
)
def test_with_each_prompt_behind_the_chat_requests_extend_each_other(ran, factory, model, least):
    run = ran(factory, model, "tail")

    assert share(run) >= least - (LESS.get(model, 0) if run.bodies[0].get("tools") else 0)


@pytest.mark.parametrize("layout", ["tail", "roster"])
def test_where_every_prefix_is_read_requests_extend_each_other_alike(ran, layout):
    marked, prefixes = (ran(programs.auto, m, layout) for m in ("gpt-6-luna", "gpt-4.1-mini"))

    assert share(prefixes) == pytest.approx(share(marked), abs=0.1)


@pytest.mark.parametrize("layout", ["tail", "roster"])
@pytest.mark.parametrize("model", BREAKPOINTS)
@pytest.mark.parametrize(
    "factory",
    [
        programs.round_robin,
        programs.auto,
        programs.auto_tools_summary,
        programs.two_agents,
        programs.default_pattern_tools,
    ],
)
def test_where_only_marks_are_read_the_provider_reads_all_that_extends(ran, factory, model, layout):
    run = ran(factory, model, layout, task=programs.BRIEF)

    assert run.read >= extending(run.bodies) - 0.01


@pytest.mark.parametrize("layout", ["tail", "roster"])
@pytest.mark.parametrize("factory", [programs.auto])
def test_where_only_marks_are_read_as_much_is_read_as_where_every_prefix_is(ran, factory, layout):
    marks, prefixes = (
        ran(factory, model, layout, task=programs.BRIEF).read
        for model in ("gpt-6-luna", "gpt-4.1-mini")
    )

    assert marks >= prefixes - 0.01


@pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")
@pytest.mark.parametrize("layout", ["tail", "roster"])
@pytest.mark.parametrize("model", BREAKPOINTS)
def test_without_marks_nothing_is_read_where_only_marks_are(stage, mocker, model, layout):
    for module in ("layout", "marks"):
        mocker.patch(f"agentcache.{module}.mark_part", lambda _dialect, part, _mark: part)

    def prepare(program):
        agentcache.wrap(program.root, layout=layout)

    run = measure.run(programs.auto, model, prepare, stage=stage, task=programs.BRIEF)

    assert extending(run.bodies) > 0.8
    assert run.read == 0


LONG = (
    *(programs.auto, programs.auto_tools_summary, programs.two_agents, programs.nested),
    *(programs.late_joiner, programs.auto_pattern, programs.default_pattern_tools),
)


@pytest.mark.parametrize("model", BREAKPOINTS)
@pytest.mark.parametrize("factory", LONG)
def test_a_wrapped_chat_on_a_long_brief_costs_less_than_a_plain_one(ran, factory, model):
    plain = ran(factory, model, task=programs.BRIEF)
    wrapped = ran(factory, model, "auto", task=programs.BRIEF)

    assert wrapped.bill < plain.bill


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4.1-mini"])
@pytest.mark.parametrize(
    "factory",
    [programs.round_robin, programs.late_joiner, programs.auto_pattern, programs.default_pattern],
)
def test_a_short_chat_costs_little_more_however_soon_it_ends(ran, factory, model):
    plain, wrapped = ran(factory, model), ran(factory, model, "auto")

    assert wrapped.bill <= 1.1 * plain.bill
