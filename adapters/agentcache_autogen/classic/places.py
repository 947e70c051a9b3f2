"""Who speaks in a classic chat, and what it is made of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from autogen import ConversableAgent, GroupChat, GroupChatManager

from agentcache.dialects.base import is_json, is_list
from agentcache.errors import UnknownObjectError
from agentcache_autogen.classic.limiters import is_steady

__all__ = ["Cast", "chats_of", "find", "transforms"]

_TRANSFORMS = ("process_all_messages_before_reply", "process_last_received_message")
_OURS = ("autogen.agentchat.group", "autogen.agentchat.contrib.swarm")
"""Hooks of the framework's own patterns drop the same messages for every agent."""


@dataclass(slots=True)
class Cast:
    """Agents, and the managers, group chats and patterns that they talk in."""

    agents: dict[int, ConversableAgent] = field(default_factory=dict[int, ConversableAgent])
    managers: dict[int, GroupChatManager] = field(default_factory=dict[int, GroupChatManager])
    chats: dict[int, GroupChat] = field(default_factory=dict[int, GroupChat])
    patterns: dict[int, Any] = field(default_factory=dict[int, Any])

    def add(self, x: object) -> bool:
        """Add what `x` is made of; False if it is nothing of AutoGen's."""
        if isinstance(x, GroupChatManager):
            if id(x) not in self.managers:
                self.managers[id(x)] = x
                for chat in chats_of(x):
                    self.add(chat)
                self._add_agent(x)
        elif isinstance(x, GroupChat):
            if id(x) not in self.chats:
                self.chats[id(x)] = x
                self._add_each(x.agents)
        elif isinstance(x, ConversableAgent):
            self._add_agent(x)
        elif _is_pattern(x):
            pattern: Any = x
            self.patterns[id(x)] = x
            self._add_each([*pattern.agents, *filter(None, [pattern.user_agent])])
        else:
            return False
        return True

    def _add_each(self, every: Sequence[object]) -> None:
        for one in every:
            self.add(one)

    def _add_agent(self, agent: ConversableAgent) -> None:
        if id(agent) not in self.agents:
            self.agents[id(agent)] = agent
            self._add_each(list(_nested(agent)))


def find(x: object) -> Cast:
    """The cast of a manager, a group chat, a pattern, an agent, or a list of them."""
    found = Cast()
    every = list(cast("Sequence[object]", x)) if isinstance(x, list | tuple) else [x]
    for one in every:
        if not found.add(one):
            raise UnknownObjectError(
                "agentcache wraps AutoGen's GroupChatManager, GroupChat, patterns and "
                f"ConversableAgents, not {type(one).__qualname__} ({one!r:.80})."
            )
    return found


def _is_pattern(x: object) -> bool:
    """Whether this is a pattern of `autogen.agentchat.group`; older versions have none."""
    try:
        from autogen.agentchat.group.patterns.pattern import Pattern  # noqa: PLC0415 - from 0.9
    except ImportError:
        return False
    return isinstance(x, Pattern)


def chats_of(manager: GroupChatManager) -> list[GroupChat]:
    """A manager's group chat, and the copies of it that its reply functions were given."""
    kept: Any = manager
    found = [kept._groupchat]
    for reply in kept._reply_func_list:
        found += [v for k in ("config", "init_config") if isinstance(v := reply.get(k), GroupChat)]
    return list({id(chat): chat for chat in found}.values())


def transforms(agent: Any, but: Callable[[Any], bool] = is_steady) -> str:
    """Why what an agent is sent is not what was said; empty if it is, `but` for these hooks."""
    for name in _TRANSFORMS:
        for hook in agent.hook_lists.get(name, ()):
            does: Any = hook.func if isinstance(hook, partial) else hook
            if not but(hook) and not str(getattr(does, "__module__", "")).startswith(_OURS):
                said = getattr(does, "__qualname__", repr(does))
                return f"transform: its hook {said!r} changes messages before every reply"
    return ""


def _nested(agent: Any) -> Iterator[object]:
    """Agents of the chats that an agent starts before it replies."""
    for reply in agent._reply_func_list:
        cells = getattr(reply.get("reply_func"), "__closure__", None) or ()
        for cell in cells:
            queue: Any = cell.cell_contents
            for chat in queue if is_list(queue) else ():
                held = (chat.get("recipient"), chat.get("sender")) if is_json(chat) else ()
                yield from filter(None, held)
