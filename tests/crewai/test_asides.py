"""Models beside the agents': counted, put back, and said where they cannot be counted."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Flow
from crewai.events import crewai_event_bus
from crewai.lite_agent import LiteAgent
from crewai.memory.unified_memory import Memory

import agentcache
from agentcache import loopback
from agentcache.errors import UnknownObjectError

from .shapes_kit import BRIEF, CREWAI, Bench, staff
from .shapes_plays import ask
from .shapes_programs import Embedder, Page, agent, crew, search_notes, task, trio


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with loopback.serve(script=staff) as provider:
        yield Bench(provider, tmp_path)


def with_everything(bench: Bench) -> Crew:
    """A crew with every model beside its agents that a user can give one object to."""
    llm = bench.llm()
    memory = Memory(llm=llm, embedder=Embedder(), storage=str(bench.folder / "memory"))
    made = trio(bench, llm)
    tasks = [task(made[0], guardrail="Be kind."), task(made[2], guardrails=["Be kind.", "Short."])]
    return Crew(agents=made, tasks=tasks, planning_llm=llm, chat_llm=llm, memory=memory)


def models_of(program: Crew) -> list[Any]:
    """Every model beside the agents', wherever CrewAI keeps it."""
    judges: list[Any] = [program.tasks[0]._guardrail, *program.tasks[1]._guardrails]
    memory: Any = program._memory
    kept = [memory.llm, memory._llm_instance, program.planning_llm, program.chat_llm]
    return [*(judge.llm for judge in judges), *kept]


def test_every_model_beside_the_agents_is_counted_and_put_back(bench):
    program = with_everything(bench)
    before = models_of(program)
    agentcache.wrap(program, context=[BRIEF])
    assert all(now is not was for now, was in zip(models_of(program), before, strict=True))
    again = models_of(program)
    agentcache.wrap(program)
    assert all(now is was for now, was in zip(models_of(program), again, strict=True))
    agentcache.unwrap(program)
    assert all(now is was for now, was in zip(models_of(program), before, strict=True))


def test_a_planner_given_by_name_is_counted_and_its_name_put_back(bench):
    program = crew(bench, planning=True, planning_llm="openai/gpt-6-luna")
    agentcache.wrap(program, context=[BRIEF])
    assert type(program.planning_llm).__name__.startswith("Forked")
    agentcache.unwrap(program)
    assert program.planning_llm == "openai/gpt-6-luna"


def test_a_planner_on_another_model_opens_no_session(bench):
    program = crew(bench, planning=True, planning_llm=bench.llm("gpt-4.1-mini"))
    agentcache.wrap(program, context=[BRIEF])
    assert agentcache.session(program).domain.model == "gpt-6-luna"


def test_a_guardrail_that_comes_later_is_counted_once_wrapped_again(bench):
    program = agentcache.wrap(crew(bench), context=[BRIEF])
    late = task(agent(bench, "Late"), guardrail="Be kind.")
    program.tasks.append(late)
    judge: Any = late._guardrail
    before = judge.llm
    agentcache.wrap(program)
    assert judge.llm is not before
    agentcache.unwrap(program)
    assert judge.llm is before


def test_what_crewai_calls_by_itself_is_said(bench):
    made = trio(bench)
    memory = Memory(embedder=Embedder(), storage=str(bench.folder / "memory"))
    program = Crew(
        agents=made, tasks=[task(made[0], output_json=Page)], planning=True, memory=memory
    )
    agentcache.wrap(program, context=[BRIEF])
    notes = "\n".join(agentcache.report(program).notes)
    for said in ("pass planning_llm=", "pass Memory(llm=)", "output_json beside tools"):
        assert said in notes


def test_an_agents_own_memory_tools_are_in_the_union(bench):
    llm = bench.llm()
    memory = Memory(llm=llm, embedder=Embedder(), storage=str(bench.folder / "memory"))
    alone = Agent(role="Writer", goal="g", backstory="b.", llm=llm, memory=memory)
    agentcache.wrap(alone, context=[BRIEF])
    ask(alone)
    first = agentcache.report(alone)
    assert not any("frozen_tools" in p.reason for p in first.passed_through)
    assert first.notes == tuple(note for note in first.notes if "Epoch" not in note)


def test_a_flow_says_what_to_wrap():
    with pytest.raises(UnknownObjectError, match=r"wrap each Crew or Agent where it is made"):
        agentcache.wrap(Flow())


def test_a_lite_agent_is_restored(bench):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrewAI deprecates it
        lite = LiteAgent(role="R", goal="g", backstory="b", tools=[search_notes], llm=bench.llm())
    before = lite.llm
    assert agentcache.wrap(lite, context=[BRIEF]).llm is not before
    assert agentcache.unwrap(lite).llm is before


@pytest.mark.skipif(CREWAI < (1, 15), reason="CrewAI 1.14 cannot restore a crew that has run")
def test_a_crew_restored_from_a_checkpoint_is_plain_and_can_be_wrapped_again(bench):
    from crewai.state.checkpoint_config import CheckpointConfig

    crewai_event_bus.reset_runtime_state()  # of other tests, whose tools cannot be written down
    llm = bench.llm()
    program = crew(bench, [agent(bench, name, llm=llm) for name in ("Writer", "Editor")])
    agentcache.wrap(program, context=[BRIEF])
    folder = bench.folder / "checkpoints"
    program.kickoff(from_checkpoint=CheckpointConfig(location=str(folder)))
    crewai_event_bus.flush()
    first = min(folder.rglob("*.json"), key=lambda file: file.stat().st_mtime_ns)  # not by name
    restored: Any = Crew.from_checkpoint(CheckpointConfig(restore_from=str(first)))
    with pytest.raises(agentcache.AgentcacheError, match=r"Call agentcache\.wrap first"):
        agentcache.report(restored)
    for one in restored.agents:
        one.llm = llm  # a checkpoint holds no keys
    agentcache.wrap(restored, context=[BRIEF])
    bench.provider.clear()
    assert restored.kickoff().raw == "The Editor is done."
    assert agentcache.report(restored).total.cached == bench.provider.log[-1].cached_tokens
    assert (bench.provider.log[-1].cached_tokens or 0) > 10_000
