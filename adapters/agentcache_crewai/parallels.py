"""A crew's own tasks as a graph: each begins as soon as those that it reads have ended."""

import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from crewai import Crew, Process, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.crews.utils import prepare_task_execution
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tasks.task_output import TaskOutput
from crewai.tools.agent_tools.base_agent_tools import BaseAgentTool
from crewai.utilities.constants import NOT_SPECIFIED

from agentcache.copies import Copies
from agentcache.errors import AgentcacheWarning, OptionError
from agentcache.graphs import GraphResult, TaskGraph
from agentcache_crewai.running import twin

__all__ = ["in_parallel"]

_EXECUTE: Final = "_execute_tasks"
_NOT_NAME: Final = re.compile(r"\W+", re.ASCII)


class Run(Protocol):
    """Runs a graph; `quiet` where CrewAI itself writes to the terminal."""

    def __call__(self, graph: TaskGraph, *, quiet: bool = False) -> GraphResult:
        """Run it."""
        ...


def in_parallel(x: object, inputs: Mapping[str, Any] | None, run: Run) -> Any:
    """Kick a crew off, with its tasks run as a graph; everything around them is CrewAI's own."""
    if not isinstance(x, Crew):
        raise OptionError(
            f"{type(x).__name__} has no tasks of its own to run in parallel: pass its Crew. In a "
            "graph it is a task itself: TaskGraph().add(name, agent, prompt)."
        )
    why = _why_not(x)
    if why:
        raise OptionError(f"This Crew cannot run in parallel: {why}.")
    # Not set as an attribute: pydantic takes only fields, and the method is looked up here first.
    crew: Any = x
    vars(crew)[_EXECUTE] = partial(_execute, crew, run)
    try:
        return crew.kickoff(inputs=None if inputs is None else dict(inputs))
    finally:
        del vars(crew)[_EXECUTE]


def _why_not(crew: Crew) -> str:
    if crew.process != Process.sequential:
        return "its manager hands out the tasks one by one. Use crew.kickoff()"
    if crew.stream:
        return "stream=True hands out one stream. Set it to False, or use crew.kickoff()"
    return "" if _EXECUTE not in vars(crew) else "it is running. Pass crew.copy()"


def _execute(crew: Any, run: Run, tasks: list[Task], *rest: Any, **more: Any) -> Any:
    """Stands in for the crew's method that runs its tasks in order."""
    if crew._get_execution_start_index(tasks) is not None:  # restored from a checkpoint
        in_order: Any = getattr(Crew, _EXECUTE)
        return in_order(crew, tasks, *rest, **more)
    course = _Course(crew, tasks)
    course.warn()
    graph = TaskGraph()
    names = [_name(n, task) for n, task in enumerate(tasks)]
    for n, name in enumerate(names):
        graph.add(name, partial(course.do, n), after=[names[k] for k in course.waits(n)])
    asks = any(task.human_input for task in tasks)
    result = run(graph, quiet=asks or bool(crew.verbose))
    for outcome in result.failed:
        raise outcome.error or OptionError(f"Task {outcome.name!r} was not run: {outcome.why}.")
    return crew._create_crew_output([course.outputs[n] for n in range(len(tasks))])


def _name(n: int, task: Task) -> str:
    said = task.name or (task.agent.role if task.agent is not None else "")
    return f"t{n + 1}_{_NOT_NAME.sub('_', said)[:32]}".rstrip("_")


@dataclass(slots=True)
class _Course:
    """The tasks of one kickoff, and what they have answered, by their place in the crew."""

    crew: Any
    tasks: Sequence[Task]
    outputs: dict[int, TaskOutput] = field(default_factory=dict[int, TaskOutput])
    lock: threading.RLock = field(default_factory=threading.RLock)
    copies: dict[int, Copies[BaseAgent]] = field(default_factory=dict[int, Copies[BaseAgent]])

    def waits(self, n: int) -> list[int]:
        """The earlier tasks that this one is given, or must not overtake."""
        task = self.tasks[n]
        before = range(n)
        if task.human_input or self._reads_all(task):
            return list(before)
        found = {k for k in before if self.tasks[k].human_input}
        context = task.context if isinstance(task.context, list) else ()
        found |= {k for k in before if any(self.tasks[k] is other for other in context)}
        if isinstance(task, ConditionalTask):
            found.add(n - 1)  # it is asked about the answer before it
        return sorted(found)

    def _reads_all(self, task: Task) -> bool:
        """Whether CrewAI gives a task all answers before it: an asynchronous one gets none."""
        return task.context is NOT_SPECIFIED and not task.async_execution

    def warn(self) -> None:
        """Say what order decides besides: what is remembered when."""
        keepers = [self.crew._memory, *(getattr(a, "memory", None) for a in self.crew.agents)]
        apart = any(self.waits(n) != list(range(n)) for n in range(len(self.tasks)))
        if apart and any(kept not in (None, False) for kept in keepers):
            warnings.warn(
                "This crew has a memory: tasks that run at the same time do not recall each "
                "other's answers, as they would one after another.",
                AgentcacheWarning,
                stacklevel=2,
            )

    def do(self, n: int) -> TaskOutput:
        """Run one task, as the crew would."""
        crew, task = self.crew, self.tasks[n]
        before = [self.outputs[k] for k in sorted(self.outputs) if k < n]
        with self.lock:  # an agent's tools of a server or a platform are made at their first use
            data = prepare_task_execution(crew, task, n, None, [], None)[0]
            if isinstance(task, ConditionalTask):
                earlier = [self.outputs[n - 1]]
                skipped: TaskOutput | None
                skipped = crew._handle_conditional_task(task, earlier, [], n, False)
                if skipped is not None:
                    self.outputs[n] = skipped
                    return skipped
        agent: Any = data.agent
        context = crew._get_context(task, before if self._reads_all(task) else [])
        try:
            with self._copies_of(agent).lent() as one:
                output = task.execute_sync(one, context, [_apart(tool) for tool in data.tools])
        finally:
            task.agent = agent
        with self.lock:
            crew._process_task_result(task, output)
            crew._store_execution_log(task, output, n, False)
            self.outputs[n] = output
        return output

    def _copies_of(self, agent: BaseAgent) -> Copies[BaseAgent]:
        with self.lock:
            if id(agent) not in self.copies:
                self.copies[id(agent)] = Copies(lambda: twin(agent), agent)
            return self.copies[id(agent)]


def _apart(tool: Any) -> Any:
    """A tool as it is; one that asks coworkers asks copies of them, who may be at work."""
    if not isinstance(tool, BaseAgentTool):
        return tool
    return tool.model_copy(update={"agents": [twin(agent) for agent in tool.agents]})
