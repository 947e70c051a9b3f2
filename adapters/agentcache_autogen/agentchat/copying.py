"""A copy of an agent or a team that runs beside it, and forks the same session if it does."""

import copy
from asyncio import Queue
from typing import Any
from uuid import uuid4

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import TerminationCondition
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import SingleThreadedAgentRuntime
from autogen_core.model_context import ChatCompletionContext
from autogen_core.tools import StaticWorkbench

from agentcache_autogen.agentchat.clients import Seat, forked_copy, seat_of
from agentcache_autogen.agentchat.places import find
from agentcache_autogen.agentchat.wrapping import hearing_at

__all__ = ["copied"]


def copied(one: Any) -> Any:
    """A copy of an agent or a team, with its very clients, tools and memories.

    AgentChat's own way, to dump and load, rebuilds the clients and writes tools as source text.
    """
    made = _Copying().of(one)
    for place, twin in zip(find(one)[0], find(made)[0], strict=True):
        seat = seat_of(place.client)
        if seat is not None:
            hearing = hearing_at(twin, seat.stand.attachment.options)
            own = Seat(seat.original, seat.given, seat.wire, seat.stand, seat.name, hearing)
            twin.put(forked_copy(seat.given, own))
    return made


class _Copying:
    """Copies what holds a conversation, each once; all else is shared."""

    def __init__(self) -> None:
        """Have copied nothing."""
        self._made: dict[int, Any] = {}

    def of(self, x: Any) -> Any:
        """The copy of an agent, a team, or a part of one; anything that keeps nothing is itself."""
        if id(x) not in self._made:
            self._made[id(x)] = self._copy(x)
        return self._made[id(x)]

    def _copy(self, x: Any) -> Any:
        if type(x) in (list, tuple):
            return type(x)(self.of(each) for each in x)
        if isinstance(x, BaseGroupChat):
            return self._team(x)
        if isinstance(x, ChatCompletionContext):
            return _context(x)
        if isinstance(x, BaseChatAgent | TerminationCondition | StaticWorkbench) or (
            getattr(x, "_task_runner", None) is not None
        ):
            return self._parts(copy.copy(x))
        return x

    def _parts(self, made: Any) -> Any:
        held: dict[str, Any] = made.__dict__
        for name, part in held.items():
            held[name] = self.of(part)
        return made

    def _team(self, team: BaseGroupChat) -> Any:
        """A team under an id of its own: by that the runtime knows its agents."""
        made: Any = copy.copy(team)
        made._participants = self.of(made._participants)
        made._termination_condition = self.of(made._termination_condition)
        if getattr(made, "_model_context", None) is not None:
            made._model_context = _context(made._model_context)
        made._team_id = key = str(uuid4())
        made._group_topic_type = f"group_topic_{key}"
        made._group_chat_manager_topic_type = f"{made._group_chat_manager_name}_{key}"
        made._participant_topic_types = [f"{one.name}_{key}" for one in made._participants]
        made._output_topic_type = f"output_topic_{key}"
        made._output_message_queue = Queue()
        if made._embedded_runtime:
            made._runtime = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
        made._initialized = made._is_running = False
        return made


def _context(context: Any) -> Any:
    made: Any = copy.copy(context)
    made._messages = list(context._messages)
    return made
