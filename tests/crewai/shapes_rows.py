"""The shapes: how each is built and run, and what is special about it."""

import importlib.util
from typing import Any

from .shapes_kit import CREWAI, Shape
from .shapes_plays import (
    always_searching,
    ask,
    asked,
    copied,
    for_each,
    in_steps,
    judging,
    later,
    managing,
    plan_script,
    reasoning,
    replayed,
    streamed,
    tested,
    text_tools,
    three_at_once,
    trained,
)
from .shapes_programs import (
    Page,
    alone,
    claude,
    crew,
    delegating,
    flow,
    growing_by_step,
    grown,
    guarded,
    in_parallel,
    knowing,
    late_server,
    lite,
    managed_by_agent,
    managed_by_model,
    plain,
    planned,
    planning_config,
    refusing,
    remembering,
    same_agent_twice,
    seeing,
    structured,
    templated,
    trio,
    two_models,
    with_agents,
    with_callbacks,
    with_own_memory,
    without_function_calling,
)

__all__ = ["SHAPES"]

_OLD = CREWAI < (1, 15)
_OLD_CLAUDE = "CrewAI 1.14 leaves cached tokens out" if _OLD else ""
_GROWS: dict[str, Any] = {"anew": 2, "notes": "Epoch 2: agent 'Counter' brought 'late_lookup'"}
_DELEGATES = 0.94  # a manager's tools name another coworker for every task
_STEPS = 0.93  # a planning step's own instructions are long

SHAPES = (
    Shape("kickoff", plain),
    Shape("kickoff_async", plain, later("kickoff_async")),
    Shape("akickoff", plain, later("akickoff")),
    Shape("async_execution", in_parallel, parallel=True),
    Shape("kickoff_for_each", plain, for_each),
    Shape("kickoff_for_each_async", plain, in_steps("kickoff_for_each_async"), parallel=True),
    Shape("akickoff_for_each", plain, in_steps("akickoff_for_each"), parallel=True),
    Shape("kickoff, Anthropic", lambda b: crew(b, trio(b, claude(b))), unmetered=_OLD_CLAUDE),
    Shape("two models", two_models, unmetered=_OLD_CLAUDE),
    Shape("stream=True on the model", lambda b: crew(b, trio(b, b.llm(stream=True)))),
    Shape("crew with stream=True", lambda b: crew(b, stream=True), streamed),
    Shape("same agent, two tasks", same_agent_twice),
    Shape("same agent in parallel", same_agent_twice, lacks="CrewAI refuses: executor is running"),
    Shape("hierarchical, manager_llm", managed_by_model, script=managing, least=_DELEGATES),
    Shape("hierarchical, manager_agent", managed_by_agent, script=managing, least=_DELEGATES),
    Shape("delegation", delegating, script=managing),
    Shape(
        "memory=True",
        remembering,
        lacks="its memory has a model of CrewAI's own" if _OLD else "",
        passed=4,
    ),
    Shape("memory=Memory(...)", with_own_memory, passed=4),
    Shape("knowledge_sources", knowing, passed=2),
    Shape("Crew(planning=True)", planned, script=plan_script, passed=1),
    Shape(
        "planning_config, low",
        planning_config(reasoning_effort="low"),
        script=reasoning,
        least=_STEPS,
        passed=2 if _OLD else 0,
    ),
    Shape(
        "planning_config, high",
        planning_config(reasoning_effort="high"),
        script=reasoning,
        least=_STEPS,
        passed=2,
    ),
    Shape("guardrail, text", guarded(guardrail="Be kind."), script=judging, passed=1),
    Shape(
        "guardrails, list", guarded(guardrails=["Be kind.", "Be short."]), script=judging, passed=2
    ),
    Shape("guardrail, callable", refusing),
    Shape("output_pydantic, no tools", structured(2, output_pydantic=Page), passed=1),
    Shape(
        "output_pydantic, tools",
        structured(0, output_pydantic=Page),
        passed=3 if _OLD else 1,
    ),
    Shape("output_json, no tools", structured(2, output_json=Page), passed=1),
    Shape(
        "output_json, tools",
        structured(0, output_json=Page),
        outside=0 if _OLD else 1,
        passed=3 if _OLD else 0,
    ),
    Shape(
        "human_input",
        plain,
        asked(["Shorter."]),
        lacks="CrewAI's own executor raises AttributeError" if _OLD else "",
    ),
    Shape("callbacks", with_callbacks),
    Shape("tools in text (ReAct)", without_function_calling, script=text_tools),
    Shape("templates", templated),
    Shape("use_system_prompt=False", with_agents(use_system_prompt=False)),
    Shape("inject_date", with_agents(inject_date=True)),
    Shape("max_iter reached", with_agents(max_iter=2), script=always_searching),
    Shape("multimodal=True", seeing),
    Shape("tools grown before kickoff", grown, **_GROWS),
    Shape("tools grown in step_callback", growing_by_step, **_GROWS),
    Shape("tools of a server (MCP)", late_server, **_GROWS),
    Shape("Flow with a crew and an agent", flow, wraps=lambda f: [f.crew, f.writer]),
    Shape("Agent.kickoff", alone, ask),
    Shape("three Agent.kickoff at once", plain, three_at_once, parallel=True),
    Shape("LiteAgent", lite, ask, script=text_tools),
    Shape("crew.copy()", plain, copied),
    Shape("crew.train()", plain, trained, lacks="as human_input" if _OLD else "", passed=3),
    Shape("crew.test()", plain, tested, passed=3),
    Shape("crew.replay()", plain, replayed),
    Shape(
        "input_files",
        plain,
        lacks="" if importlib.util.find_spec("crewai_files") else "needs crewai-files",
    ),
)
