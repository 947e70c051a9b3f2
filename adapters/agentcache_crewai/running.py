"""Agents and crews as tasks, and what serves them when several run at the same time."""

from collections.abc import Callable
from copy import copy
from typing import Any, Final

from crewai import Agent, Crew
from crewai.agents.agent_builder.base_agent import BaseAgent

from agentcache.copies import Copies
from agentcache.errors import OptionError, UnknownObjectError

__all__ = ["runner", "twin"]

_INPUT: Final = "prompt"


def runner(agent: object) -> Callable[[str], Any]:
    """How an Agent, or a Crew whose tasks write `{prompt}`, answers a prompt, in text."""
    if isinstance(agent, Agent):
        return _by_agent(agent)
    if isinstance(agent, Crew):
        return _by_crew(agent)
    raise UnknownObjectError(
        f"A task of a graph can be a crewai Agent or Crew, not {type(agent).__qualname__}."
    )


def twin(agent: BaseAgent) -> BaseAgent:
    """A copy of an agent, with its very model, for one more task at a time.

    An executor holds the messages of the task it runs, and refuses a second one. CrewAI's own
    `copy()` rebuilds what it can from a dump and counts the model's tokens apart.
    """
    made: Any = agent.model_copy()
    made.agent_executor = None
    made.tools_handler = copy(made.tools_handler)
    made.tools_results = []
    made.tools = list(made.tools or ())
    return made  # type: ignore[no-any-return]


def _by_agent(agent: Agent) -> Callable[[str], Any]:
    copies = Copies(lambda: twin(agent))

    def ask(prompt: str) -> str:
        with copies.lent() as one:
            answer: Any = _kickoff(one, prompt)
        return str(answer.raw)

    return ask


def _by_crew(crew: Crew) -> Callable[[str], Any]:
    """Each caller has a copy, as for `kickoff_for_each`: a crew's tasks hold their answers."""
    if _INPUT not in crew.fetch_inputs():
        raise OptionError(
            f"No task of this Crew writes {{{_INPUT}}}, or it was filled in by a kickoff before: "
            "nothing would be asked. Write it in a task's description."
        )
    copies = Copies(crew.copy)

    def ask(prompt: str) -> str:
        with copies.lent() as one:
            answer: Any = _kickoff(one, inputs={_INPUT: prompt})
        return str(answer.raw)

    return ask


def _kickoff(one: Any, *args: Any, **kwargs: Any) -> Any:
    return one.kickoff(*args, **kwargs)
