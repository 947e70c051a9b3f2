"""What a crew is about to say: its tasks as they read now, and answers that are handed on."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crewai import Crew, Task

from agentcache.attach import Attachment
from agentcache.sessions import Session
from agentcache.worth import Sample
from agentcache_crewai.tools import Conversation, conversations
from agentcache_crewai.wires import Wire

__all__ = ["Outlook", "samples"]

_TOLD: Final = 512
_log = logging.getLogger("agentcache")


@dataclass(eq=False, slots=True)
class Outlook:
    """Tells core what the conversations of a running crew will carry.

    A crew fills in its placeholders when it is kicked off, and hands answers on while it runs:
    neither can be seen when it is wrapped. `session_of` tells on which session an agent stands.
    """

    session: Session
    attachment: Attachment
    wire: Wire
    session_of: Callable[[Any], Session | None]
    told: dict[int, None] = field(default_factory=dict[int, None])

    def look(self, agent: Any, task: Any) -> None:
        """Look at the crew that is working on this task, before one of its calls.

        Foresight only: what goes wrong here is logged, and the call goes on.
        """
        crew = getattr(agent, "crew", None)
        if isinstance(crew, Crew) and isinstance(task, Task):
            try:
                self._look(crew, task)
            except Exception:  # noqa: BLE001 - foresight never breaks the host
                _log.exception("agentcache could not look ahead in %r", crew.name)

    def _look(self, crew: Crew, task: Task) -> None:
        if self.news(crew):
            found = [a for a in _staff(crew) if self.session_of(a) is self.session]
            talks = ((a, talk) for a in found for talk in conversations(a, crew))
            said = [s for a, talk in talks for s in samples(self.wire, a.role, a.llm, [talk])]
            self.attachment.foresee(self.session, said, judge=True)
        for done in _handed(crew.tasks, task):
            if done.output is not None and self._is_new(hash((id(done), done.output.raw))):
                readers = [t for t in crew.tasks if any(d is done for d in _handed(crew.tasks, t))]
                ours = [_said(crew.tasks, t) for t in readers if self._ours(crew, t)]
                self.attachment.expect(self.session, done.output.raw, ours)

    def _ours(self, crew: Crew, task: Task) -> bool:
        return self.session_of(crew.manager_agent or task.agent) is self.session

    def news(self, crew: Crew) -> bool:
        """Whether the crew's tasks read otherwise than ever before."""
        return self._is_new(hash(tuple((t.description, t.expected_output) for t in crew.tasks)))

    def _is_new(self, key: int) -> bool:
        if key in self.told:
            return False
        self.told[key] = None
        while len(self.told) > _TOLD:
            del self.told[next(iter(self.told))]
        return True


def samples(wire: Wire, name: str, llm: Any, talks: Iterable[Conversation]) -> Iterator[Sample]:
    """The first requests of these conversations, as the model's class would send them."""
    for talk in talks:
        if talk.user:
            request = wire.sample(llm, talk.system, talk.user, talk.tools)
            yield Sample(name, request, writes=wire.writes)


def _staff(crew: Crew) -> list[Any]:
    manager = [crew.manager_agent] if crew.manager_agent is not None else []
    return [*crew.agents, *manager]


def _said(tasks: Sequence[Task], task: Task) -> tuple[str, ...]:
    """What a conversation about this task will say, as far as it is known."""
    answers = (done.output.raw for done in _handed(tasks, task) if done.output is not None)
    return (str(getattr(task.agent, "backstory", "")), task.prompt(), *answers)


def _handed(tasks: Sequence[Task], task: Task) -> list[Task]:
    """The tasks whose answers CrewAI gives to this one; none to one that is not the crew's own."""
    if isinstance(task.context, list):
        return task.context
    position = next((n for n, t in enumerate(tasks) if t is task), 0)
    return list(tasks[:position])
