"""How the shapes are run, and what their model answers: the same plain and forked."""

import asyncio
import builtins
import json
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from crewai import Crew

from agentcache import loopback

from .shapes_kit import BRIEF, speaker, staff

__all__ = [
    "always_searching",
    "ask",
    "asked",
    "copied",
    "for_each",
    "in_steps",
    "judging",
    "later",
    "managing",
    "plan_script",
    "reasoning",
    "replayed",
    "streamed",
    "tested",
    "text_tools",
    "three_at_once",
    "trained",
]


def later(method: str) -> Callable[[Any], Any]:
    async def go(program: Any) -> Any:
        return await getattr(program, method)()

    return lambda program: asyncio.run(go(program))


def for_each(program: Crew) -> Any:
    program.tasks[2].description += " About {topic}."
    return program.kickoff_for_each([{"topic": "tea"}, {"topic": "coal"}])


def streamed(program: Crew) -> Any:
    stream: Any = program.kickoff()
    assert "".join(chunk.content for chunk in stream)
    return stream.result


def managing(turn: loopback.Turn) -> loopback.Answer:
    if speaker(turn) not in ("Crew Manager", "Boss", "Lead"):
        return staff(turn)
    if turn.tool_results or "delegate_work_to_coworker" not in turn.callable_tools:
        return loopback.Answer(f"The {speaker(turn)} is done.")
    ask = {"task": "Find it.", "context": "none", "coworker": "Researcher"}
    return loopback.Answer(tool_calls=(loopback.ToolCall("delegate_work_to_coworker", ask),))


def plan_script(turn: loopback.Turn) -> loopback.Answer:
    if turn.response_schema and "list_of_plans_per_task" in json.dumps(turn.response_schema):
        plans = [{"task_number": n, "task": "t", "plan": f"plan {n}"} for n in (1, 2)]
        return loopback.Answer(json.dumps({"list_of_plans_per_task": plans}))
    return reasoning(turn)


def reasoning(turn: loopback.Turn) -> loopback.Answer:
    if "create_reasoning_plan" in turn.callable_tools:
        step = {"step_number": 1, "description": "Do", "tool_to_use": None, "depends_on": []}
        plan = {"plan": "one step", "steps": [step], "ready": True}
        return loopback.Answer(tool_calls=(loopback.ToolCall("create_reasoning_plan", plan),))
    if turn.response_schema and "step_completed_successfully" in json.dumps(turn.response_schema):
        return loopback.Answer(
            json.dumps(
                {
                    "step_completed_successfully": True,
                    "key_information_learned": "done",
                    "remaining_plan_still_valid": True,
                    "suggested_refinements": None,
                    "needs_full_replan": False,
                    "replan_reason": None,
                    "goal_already_achieved": False,
                }
            )
        )
    if turn.response_schema or turn.callable_tools:
        return staff(turn)
    return loopback.Answer("Thought: done\nFinal Answer: The step is done.")


def judging(turn: loopback.Turn) -> loopback.Answer:
    if speaker(turn) == "Guardrail Agent" or "feedback" in json.dumps(turn.response_schema):
        return loopback.Answer(json.dumps({"valid": True, "feedback": None}))
    return staff(turn)


def asked(answers: Sequence[str]) -> Callable[[Crew], Any]:
    def run(program: Crew) -> Any:
        program.tasks[-1].human_input = True
        with mock.patch.object(builtins, "input", side_effect=[*answers, ""]):
            return program.kickoff()

    return run


def text_tools(turn: loopback.Turn) -> loopback.Answer:
    """A model that calls tools in text."""
    said = "\n".join(s.text for s in turn.texts)
    acted = any("Action Input:" in s.text for s in turn.texts if s.role == "assistant")
    if "Tool Name: search_notes" in said and not acted:
        call = 'Thought: look\nAction: search_notes\nAction Input: {"query": "mill"}'
        return loopback.Answer(call)
    return loopback.Answer(f"Thought: enough\nFinal Answer: The {speaker(turn)} is done.")


def ask(program: Any) -> Any:
    return program.kickoff(f"{BRIEF}\n\nDo your part.")


def three_at_once(program: Crew) -> Any:
    async def go() -> Any:
        text = f"{BRIEF}\n\nDo your part."
        return await asyncio.gather(*(a.kickoff_async(text) for a in program.agents))

    return asyncio.run(go())


def copied(program: Crew) -> Any:
    return program.copy().kickoff()


def trained(program: Crew) -> Any:
    with mock.patch.object(builtins, "input", return_value="Shorter."):
        program.train(n_iterations=1, filename="trained.pkl")


def replayed(program: Crew) -> Any:
    program.kickoff()
    return program.replay(str(program.tasks[1].id))


def always_searching(turn: loopback.Turn) -> loopback.Answer:
    if "search_notes" in turn.callable_tools and speaker(turn) == "Researcher":
        query = {"query": f"try {len(turn.tool_results)}"}
        return loopback.Answer(tool_calls=(loopback.ToolCall("search_notes", query),))
    return staff(turn)


def in_steps(method: str) -> Callable[[Any], Any]:
    """Run for two inputs at once, awaiting what this method returns."""

    async def go(program: Any) -> Any:
        return await getattr(program, method)([{"topic": "tea"}, {"topic": "coal"}])

    return lambda program: asyncio.run(go(program))


def tested(program: Crew) -> Any:
    program.test(n_iterations=1, eval_llm=program.agents[0].llm)
