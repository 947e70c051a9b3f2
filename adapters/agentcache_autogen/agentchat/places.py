"""Where a team keeps the model clients of its agents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    SocietyOfMindAgent,
)
from autogen_agentchat.base import Team
from autogen_agentchat.teams import BaseGroupChat, MagenticOneGroupChat, SelectorGroupChat
from autogen_core import AgentId
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import StaticWorkbench

from agentcache.errors import UnknownObjectError
from agentcache_autogen.agentchat.contexts import given_context, may_steady, steady
from agentcache_autogen.agentchat.recalling import Recall, equip, may_recall, strip

__all__ = ["Place", "find"]

_BOUNDED = (
    "bounded_context: its {} keeps a part of the chat only, and the part changes with every "
    "turn. Give it an UnboundedChatCompletionContext to have it forked"
)
_READERS = (AssistantAgent, CodeExecutorAgent, SelectorGroupChat)
"""Whoever asks its model about what its context holds, and no more."""


@dataclass(slots=True)
class Place:
    """One attribute that holds a model client: whose it is, and in which team that one talks.

    `filtered` says that its agent is not told all of what it could be told.
    """

    owner: Any
    name: str
    team: Team | None
    kind: str = "agent"
    aside: str = ""
    filtered: bool = False

    @property
    def client(self) -> ChatCompletionClient:
        """The client that is there."""
        client: ChatCompletionClient = self.owner._model_client
        return client

    def put(self, client: ChatCompletionClient) -> None:
        """Exchange it, also in the manager of a team that has run before."""
        for holder in self._holders():
            holder._model_client = client

    @property
    def context(self) -> ChatCompletionContext | None:
        """What its agent was told, and how much of that it hands out; None for one without."""
        held: ChatCompletionContext | None = getattr(self.owner, "_model_context", None)
        return held

    @property
    def may_steady(self) -> bool:
        """Whether its context forgets at every turn, and could do so in blocks."""
        return isinstance(self.owner, _READERS) and may_steady(self.context)

    def compact(self, tool: Recall) -> None:
        """Give its agent the tool to recall by, if it has tools, and a context that stays."""
        if may_recall(self.owner, self.tools):
            equip(self.owner, tool)
        for holder in self._holders() if self.may_steady else ():
            holder._model_context = steady(given_context(holder._model_context))

    def restore(self, client: ChatCompletionClient) -> None:
        """Put back what was exchanged."""
        self.put(client)
        strip(self.owner)
        for holder in self._holders() if self.context is not None else ():
            holder._model_context = given_context(holder._model_context)

    def _holders(self) -> Iterator[Any]:
        """Who holds its client and its context: its agent, or a team and the manager it has."""
        yield self.owner
        manager = _manager(self.owner) if self.kind == "selector" else None
        if manager is not None:
            yield manager

    @property
    def tools(self) -> list[Any]:
        """The tools of its agent, as far as they are known before a run."""
        held = [getattr(self.owner, name, None) or () for name in ("_tools", "_handoff_tools")]
        static = (
            w for w in getattr(self.owner, "_workbench", ()) if isinstance(w, StaticWorkbench)
        )
        held += [vars(bench).get("_tools") or () for bench in static]
        return list({tool.name: tool for tools in held for tool in tools}.values())

    @property
    def handoffs(self) -> tuple[str, ...]:
        """Names of the tools that hand over: each agent may word them in its own way."""
        held: Sequence[Any] = getattr(self.owner, "_handoff_tools", None) or ()
        return tuple(tool.name for tool in held if not isinstance(tool, Recall))

    @property
    def system(self) -> str:
        """The agent's own text."""
        held: Sequence[Any] = getattr(self.owner, "_system_messages", None) or ()
        return "\n".join(str(message.content) for message in held).rstrip()


def find(x: object) -> tuple[list[Place], list[str]]:
    """All places in a team, an agent or a list of them, and what stays outside, in sentences."""
    found: dict[int, Place] = {}
    outside: list[str] = []
    each = list(x) if isinstance(x, list | tuple) else [x]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for one in each:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(one, Team | BaseChatAgent):
            raise UnknownObjectError(
                "agentcache wraps AgentChat's teams and agents, not "
                f"{type(one).__qualname__} ({one!r:.80})."  # pyright: ignore[reportUnknownArgumentType]
            )
        for place in _walk(one, None, outside):
            found.setdefault(id(place.owner), place)
    return list(_named_apart(found.values())), list(dict.fromkeys(outside))


def _named_apart(places: Any) -> Iterator[Place]:
    yield from places


def _walk(one: object, team: Team | None, outside: list[str]) -> Iterator[Place]:
    if isinstance(one, BaseGroupChat):
        yield from _of_team(one, outside)
    elif isinstance(one, MessageFilterAgent):
        kept: Any = one
        for place in _walk(kept._wrapped_agent, team, outside):
            yield replace(place, filtered=True)
    elif isinstance(one, BaseChatAgent):
        society: Any = one if isinstance(one, SocietyOfMindAgent) else None
        inner: Team | None = society._team if society is not None else None
        if inner is not None:
            yield from _walk(inner, None, outside)
        if isinstance(getattr(one, "_model_client", None), ChatCompletionClient):
            yield Place(one, one.name, inner or team, aside=_bounded(one))
        for tool in getattr(one, "_tools", ()):
            yield from _walk(_runner(tool), None, outside)


def _of_team(team: BaseGroupChat, outside: list[str]) -> Iterator[Place]:
    kept: Any = team
    for participant in kept._participants:
        yield from _walk(participant, team, outside)
    if isinstance(team, SelectorGroupChat):
        yield Place(team, kept._group_chat_manager_name, team, "selector", _bounded(team))
    elif isinstance(team, MagenticOneGroupChat):
        outside.append(
            "MagenticOneOrchestrator: its plans and ledgers are prompts of their own, most of them "
            "with a JSON schema in front; its participants are forked."
        )


def _bounded(one: object) -> str:
    """Why an agent is not forked whose context forgets; empty if it forgets nothing."""
    context = getattr(one, "_model_context", None)
    known = context is None or type(context) is UnboundedChatCompletionContext
    return "" if known else _BOUNDED.format(type(context).__name__)


def _runner(tool: Any) -> object:
    """The agent or team that a tool runs; None for any other tool."""
    return getattr(tool, "_task_runner", None)


def _manager(team: Any) -> Any:
    """The manager of a team that has run before in this process; None if there is none."""
    agents: dict[Any, Any] = getattr(team._runtime, "_instantiated_agents", {})
    return agents.get(AgentId(team._group_chat_manager_topic_type, team._team_id))
