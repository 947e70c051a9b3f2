"""What AutoGen says that a chat used is what the provider counted, and so is the report."""

import pytest

import agentcache

from . import measure, programs
from .measure import MODELS

pytestmark = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")


def used(agent):
    """(prompt, completion) tokens that an agent's client adds up, asked and kept."""
    both = (agent.client.actual_usage_summary, agent.client.total_usage_summary)
    return [_tokens(summary) for summary in both]


def _tokens(summary):
    of = [entry for name, entry in summary.items() if name != "total_cost"]
    return sum(e["prompt_tokens"] for e in of), sum(e["completion_tokens"] for e in of)


def counted(log):
    return sum(r.input_tokens for r in log), sum(r.output_tokens for r in log)


@pytest.mark.parametrize("layout", ["", "tail", "roster"])
@pytest.mark.parametrize("model", MODELS)
def test_the_usage_of_each_agent_is_what_the_provider_counted(ran, model, layout):
    run = ran(programs.round_robin, model, layout, task=programs.BRIEF)

    for n, name in enumerate(programs.TRIO):
        assert used(run.program.team[name]) == [counted(run.log[n::3])] * 2


@pytest.mark.parametrize("layout", ["", "tail"])
@pytest.mark.parametrize("model", MODELS)
def test_the_cost_of_a_chat_counts_every_token(stage, model, layout):
    provider = stage.begin()
    program = programs.two_agents(programs.llm_config(provider, model))
    writer, critic = program.root
    if layout:
        agentcache.wrap(program.root, layout=layout)

    cost = writer.initiate_chat(critic, message=programs.BRIEF, max_turns=3, silent=True).cost

    for kind in ("usage_including_cached_inference", "usage_excluding_cached_inference"):
        assert _tokens(cost[kind]) == counted(measure.calls(provider))


@pytest.mark.parametrize("model", MODELS)
def test_the_report_adds_up_what_the_provider_counted(ran, model):
    run = ran(programs.auto_tools_summary, model, "tail", task=programs.BRIEF)

    report = agentcache.report(run.program.root)
    total, read, _ = run.tokens
    assert report.total.input_tokens == total
    assert report.total.cached == read
    assert report.source == "emulated"
    assert {row.agent for row in report.rows} >= {"speaker_selection_agent", *programs.TRIO}


def test_the_report_says_what_each_agent_and_each_selection_read(ran):
    run = ran(programs.auto, "gpt-6-luna", "tail", task=programs.BRIEF)

    rows = {row.agent: row for row in agentcache.report(run.program.root).rows}
    choices = [r for r in run.log if "Then select the next role" in r.raw.decode()]
    assert rows["speaker_selection_agent"].calls == len(choices) == programs.TURNS
    assert rows["speaker_selection_agent"].cached == sum(r.cached_tokens for r in choices)
    assert all(row.hit_rate > 0.6 for row in rows.values())
