"""Who speaks in a program that nobody wrapped: told by the system text, in the light of the run.

Two texts are one agent's where only times, ids or white space differ. An edit, or another count, is
taken for the same agent only in mid-conversation, with the same tools, and if the old text never
comes back: anything less may be two agents made from one template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.breaks.talk import is_another
from agentcache.breaks.texts import change_of
from agentcache.dialects import Dialect

__all__ = ["speakers"]

_SHUFFLED: Final = ("invisible", "whitespace", "key_order", "order")
_SAME_START: Final = 40
_NAME: Final = 32

Request = tuple[Dialect, Mapping[str, Any]]


@dataclass(slots=True)
class _Agent:
    """An agent as it was heard last."""

    name: str
    system: str
    tools: frozenset[str]
    talk: tuple[bytes, ...]


def speakers(requests: Sequence[Request]) -> list[str]:
    """Name the agent of every request of a run, in the order they were sent."""
    systems = ["\n\n".join(wire.split(request).system) for wire, request in requests]
    last = {system: n for n, system in enumerate(systems)}
    agents: list[_Agent] = []
    names: list[str] = []
    for n, (wire, request) in enumerate(requests):
        now = _Agent("", systems[n], _tools(wire, request), _talk(wire, request))
        found = _known(now, agents, {s for s, at in last.items() if at < n})
        if found is None:
            found = now
            found.name = _name(now.system, [agent.name for agent in agents])
            agents.append(found)
        found.system, found.tools, found.talk = now.system, now.tools, now.talk
        names.append(found.name)
    return names


def _known(now: _Agent, agents: Sequence[_Agent], over: set[str]) -> _Agent | None:
    """The agent that speaks again; the latest first. The texts in `over` do not come again."""
    for same in (_same_text, _same_but_time):
        for agent in reversed(agents):
            if same(now, agent):
                return agent
    for agent in reversed(agents):
        if agent.system in over and _edited(now, agent):
            return agent
    return None


def _same_text(now: _Agent, agent: _Agent) -> bool:
    return now.system == agent.system and (now.tools == agent.tools or _goes_on(now, agent))


def _same_but_time(now: _Agent, agent: _Agent) -> bool:
    if now.tools != agent.tools:
        return False
    change = change_of(agent.system, now.system)
    if change is None or change.kind in _SHUFFLED:
        return True
    one, other = agent.system.splitlines(), now.system.splitlines()
    return len(one) == len(other) and all(map(_is_volatile, one, other))


def _is_volatile(one: str, other: str) -> bool:
    change = change_of(one, other)
    return change is None or change.kind in (*_SHUFFLED, "timestamp", "random_id")


def _edited(now: _Agent, agent: _Agent) -> bool:
    start = now.system[:_SAME_START] == agent.system[:_SAME_START]
    counted = (found := change_of(agent.system, now.system)) and found.kind == "counter"
    near = (start or counted) and not is_another(agent.system, now.system)
    return bool(near) and now.tools == agent.tools and _goes_on(now, agent)


def _goes_on(now: _Agent, agent: _Agent) -> bool:
    """Whether a conversation goes on from where an agent's last request ended."""
    before = len(agent.talk)
    return 0 < before < len(now.talk) and now.talk[:before] == agent.talk


def _tools(wire: Dialect, request: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(wire.tool_name(tool) for tool in wire.split(request).tools)


def _talk(wire: Dialect, request: Mapping[str, Any]) -> tuple[bytes, ...]:
    """What is said behind the system text, without marks, which move."""
    said = wire.hashed({wire.messages_key: list(wire.split(request).messages)})
    return tuple(block.identity for block in said)


def _name(system: str, taken: Sequence[str]) -> str:
    words = " ".join(system.split()) or "agent"
    short = words if len(words) <= _NAME else words[:_NAME].rsplit(" ", 1)[0] + "..."
    name, n = short, 1
    while name in taken:
        n += 1
        name = f"{short} ({n})"
    return name
