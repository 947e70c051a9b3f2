"""Texts that several tasks carry are found, shared once, and read by every task after the first."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task

import agentcache
from agentcache import loopback
from agentcache.demo.scenario import Endpoint, brief
from agentcache.demo.targets import page
from agentcache.dialects import dialect_of
from agentcache.dialects.openai_chat import texts_of
from agentcache.layout import reference_to
from agentcache_crewai import demo

MODELS = ["gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5"]
BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)


def report_of(name: str, lines: int = 90) -> str:
    return f"Report of the {name}.\n" + "\n".join(
        f"- {name} finding {n}: the mill wheel turned {n * 7} times before the water was let off."
        for n in range(lines)
    )


def answers(turn: loopback.Turn) -> loopback.Answer:
    """Every agent answers with a long report of its own."""
    role = next(
        name
        for name in ("Researcher", "Analyst", "Writer", "Editor")
        if any(f"You are {name}." in said.text for said in turn.texts)
    )
    return loopback.Answer(report_of(role))


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=answers) as running:
        yield running


def crew_of(provider: loopback.Loopback, model: str, brief: str = BRIEF, **options: Any) -> Crew:
    anthropic = model.startswith("claude")
    llm = LLM(
        model=model,
        provider="anthropic" if anthropic else "openai",
        base_url=provider.url if anthropic else provider.openai_url,
        api_key="dummy",
    )
    names = ("Researcher", "Analyst", "Writer", "Editor")
    agents = [Agent(role=n, goal="work", backstory="Thorough.", llm=llm) for n in names]
    research, analyse, write, edit = (
        Task(description=f"{brief}\n\nYour part: {n}.", expected_output="text", agent=agent)
        for n, agent in zip(("find", "count", "write", "edit"), agents, strict=True)
    )
    write.context = [research, analyse]
    edit.context = [research, analyse, write]
    research.context = analyse.context = []
    return Crew(agents=agents, tasks=[research, analyse, write, edit], **options)


def calls(provider: loopback.Loopback) -> list[loopback.Logged]:
    return [r for r in provider.log if r.api != "other"]


def texts(request: loopback.Logged) -> str:
    body = json.loads(request.raw)
    wire = dialect_of(body)
    parts = wire.split(body)
    said = [t for m in parts.messages for t in texts_of(m.get("content"))]
    return "\n".join([*parts.system, *said])


@pytest.mark.parametrize("model", MODELS)
def test_a_brief_in_every_task_is_sent_once_in_front_without_being_named(provider, model):
    plain = crew_of(provider, model).kickoff()
    provider.reset()
    crew = agentcache.wrap(crew_of(provider, model))
    answer = crew.kickoff()
    assert [t.raw for t in answer.tasks_output] == [t.raw for t in plain.tasks_output]
    sent = [texts(r) for r in calls(provider)]
    assert [text.count(BRIEF) for text in sent] == [1] * 4
    assert all(text.index(BRIEF) < text.index("<agent name=") for text in sent)
    assert all(reference_to(BRIEF) in text for text in sent)
    assert all((r.cached_tokens or 0) > 2000 for r in calls(provider)[1:])


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_handed_to_two_tasks_is_read_by_the_second(provider, model):
    crew = agentcache.wrap(crew_of(provider, model))
    crew.kickoff()
    research, analysis = report_of("Researcher"), report_of("Analyst")
    write, edit = calls(provider)[2:]
    for text in map(texts, (write, edit)):
        assert text.count(research) == text.count(analysis) == 1
        assert text.index(BRIEF) < text.index(research) < text.index(analysis)
        assert text.index(analysis) < text.index("<agent name=")
        handed = f"{reference_to(research)}\n\n----------\n\n{reference_to(analysis)}"
        assert handed in text
    assert texts(edit).count(report_of("Writer")) == 1
    assert texts(edit).index("<agent name=") < texts(edit).index(report_of("Writer"))
    assert (edit.cached_tokens or 0) > (write.cached_tokens or 0) + 2500


@pytest.mark.parametrize("model", MODELS)
def test_hoisting_reads_more_across_agents_and_costs_no_more(provider, model):
    figures = []
    for hoist in (False, True):
        provider.reset()
        crew = agentcache.wrap(crew_of(provider, model), hoist=hoist, context=[BRIEF])
        crew.kickoff()
        figures.append(agentcache.report(crew).total)
    without, hoisted = figures
    assert hoisted.cached_across > without.cached_across * 1.3
    assert hoisted.cost < without.cost


def test_tasks_that_differ_in_nothing_share_all_that_they_say(provider):
    crew = crew_of(provider, "gpt-6-luna")
    for task in crew.tasks:
        task.description = f"{BRIEF}\n\nDo your part."
    agentcache.wrap(crew)
    crew.kickoff()
    assert agentcache.report(crew).passed_through == ()
    assert all((r.cached_tokens or 0) > 2000 for r in calls(provider)[1:])


@pytest.mark.parametrize("place", ["{brief}\n\n{what}", "{what}\n\n{brief}"])
def test_a_brief_beside_equal_expected_outputs_is_found_wherever_it_stands(provider, place):
    crew = crew_of(provider, "gpt-6-luna")
    for task, what in zip(crew.tasks, ("Find.", "Count.", "Write.", "Edit."), strict=True):
        task.description = place.format(brief=BRIEF, what=what)
    agentcache.wrap(crew)
    crew.kickoff()
    assert agentcache.report(crew).passed_through == ()
    assert [texts(r).count(BRIEF) for r in calls(provider)] == [1] * 4


def test_who_reads_answers_without_the_brief_writes_no_branch_that_nobody_reads(provider):
    crew = crew_of(provider, "gpt-6-luna")
    crew.tasks[2].description = "Judge these."
    agentcache.wrap(crew)
    crew.kickoff()
    judge = texts(calls(provider)[2])
    assert "<shared_context" not in judge
    assert report_of("Researcher") in judge


def test_a_placeholder_filled_at_kickoff_is_found_as_well(provider):
    crew = agentcache.wrap(crew_of(provider, "gpt-6-luna", brief="{brief}"))
    crew.kickoff(inputs={"brief": BRIEF})
    sent = [texts(r) for r in calls(provider)]
    assert all(text.index(BRIEF) < text.index("<agent name=") for text in sent)
    assert all((r.cached_tokens or 0) > 2000 for r in calls(provider)[1:])


def test_nobody_is_shown_a_text_that_was_not_in_its_own_request(provider):
    crew = crew_of(provider, "gpt-6-luna")
    crew.tasks[1].description = "Count words."
    agentcache.wrap(crew)
    crew.kickoff()
    find, count, *others = [texts(r) for r in calls(provider)]
    assert BRIEF not in count
    assert all(text.count(BRIEF) == 1 for text in (find, *others))


def test_each_input_of_kickoff_for_each_stands_on_its_own_texts(provider):
    briefs = [BRIEF, BRIEF.replace("mill", "barn")]
    crew = agentcache.wrap(crew_of(provider, "gpt-6-luna", brief="{brief}"))
    crew.kickoff_for_each([{"brief": b} for b in briefs])
    sent = [texts(r) for r in calls(provider)]
    assert [[b in text for b in briefs] for text in sent] == [[True, False]] * 4 + [
        [False, True]
    ] * 4


def test_hoist_false_leaves_the_brief_in_every_tail(provider):
    crew = agentcache.wrap(crew_of(provider, "gpt-6-luna"), hoist=False)
    crew.kickoff()
    assert {p.reason.partition(":")[0] for p in agentcache.report(crew).passed_through} == {
        "below_minimum"
    }


def test_a_parallel_start_on_a_found_brief_makes_one_cold_call(provider):
    crew = crew_of(provider, "gpt-6-luna")
    crew.tasks[0].async_execution = crew.tasks[1].async_execution = True
    agentcache.wrap(crew)
    crew.kickoff()
    first = [r for r in calls(provider) if (r.cached_tokens or 0) == 0]
    assert len(first) == 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("parallel", [False, True])
def test_on_the_demo_crew_hoisting_reads_more_and_costs_no_more(model, parallel):
    """The demo's own crew, whose answers are a page long: the brief named, and everything found."""
    figures = []
    for options in ({"hoist": False, "context": [brief()]}, {}):
        with loopback.serve(script=page) as running:
            anthropic = model.startswith("claude")
            url = running.url if anthropic else running.openai_url
            endpoint = Endpoint(url, model, "dummy", anthropic=anthropic)
            crew = agentcache.wrap(demo.build(endpoint, brief(), parallel=parallel), **options)
            crew.kickoff()
            figures.append(agentcache.report(crew).total)
    named, found = figures
    assert found.cached_across > named.cached_across * 1.05
    assert found.cost < named.cost
    assert found.cost < found.unshared_cost
