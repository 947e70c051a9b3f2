"""Who speaks in a recording: by recorded names, and else by the system text.

Two texts are one agent's where only times, ids or the order of things differ. An edit, or another
count, is taken for the same agent only in mid-conversation, with the same tools, and if the old
text never comes back: anything less may be two agents made from one template. Under a recorded name
the text may change freely from one run of that agent to the next; within one run it is told apart
as without a name, for a whole program may stand under one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agentcache.breaks.talk import is_another
from agentcache.breaks.texts import change_of
from agentcache.breaks.voices import same_voice
from agentcache.dialects import dialect_of
from agentcache.recordings.values import Recorded

__all__ = ["Heard", "heard", "speakers"]

_SAME_START: Final = 40
_NAME: Final = 32
_SYSTEM: Final = ("developer", "system")


@dataclass(slots=True)
class Heard:
    """A call's agent as it spoke. `label` is its recorded name, `under` what bore that."""

    label: str
    under: str
    system: str = ""
    tools: frozenset[str] = frozenset()
    talk: tuple[bytes, ...] = ()
    name: str = ""


def heard(call: Recorded) -> Heard | None:
    """What tells a call's agent; None where its request cannot be read."""
    if not call.request:
        return Heard(call.agent, call.under)
    try:
        wire = dialect_of(call.request)
        parts = wire.split(call.request)
        blocks = wire.hashed(call.request)
        tools = frozenset(wire.tool_name(tool) for tool in parts.tools)
    except Exception:  # noqa: BLE001 - a recording may hold any shape
        return None
    said = (b for b in blocks if b.section == "messages" and b.role not in _SYSTEM)
    talk = tuple(block.identity for block in said)
    return Heard(call.agent, call.under, "\n\n".join(parts.system), tools, talk)


def speakers(calls: Sequence[Heard]) -> list[str]:
    """Name the agent of every call, in the order they were made."""
    last = {(now.label, now.system): n for n, now in enumerate(calls)}
    agents: list[Heard] = []
    names: list[str] = []
    for n, now in enumerate(calls):
        mine = [agent for agent in reversed(agents) if agent.label == now.label]
        over = {id(agent) for agent in mine if last[agent.label, agent.system] < n}
        found = _known(now, mine, over)
        if found is None:
            found = replace(now, name=_name(now, {agent.name for agent in agents}))
            agents.append(found)
        found.system, found.tools, found.talk = now.system, now.tools, now.talk
        found.under = now.under
        names.append(found.name)
    return names


def _known(now: Heard, mine: Sequence[Heard], over: set[int]) -> Heard | None:
    """The agent that speaks again, the latest first; the texts of those in `over` are over."""
    if now.label and not now.under:  # the name stands on the call itself
        return mine[0] if mine else None
    for same in (_same_text, _same_but_time):
        for agent in mine:
            if same(now, agent):
                return agent
    for agent in mine:
        if id(agent) in over and _edited(now, agent):
            return agent
    again = now.label and len(mine) == 1 and mine[0].under != now.under
    return mine[0] if again else None


def _same_text(now: Heard, agent: Heard) -> bool:
    return now.system == agent.system and (now.tools == agent.tools or _goes_on(now, agent))


def _same_but_time(now: Heard, agent: Heard) -> bool:
    return now.tools == agent.tools and same_voice(agent.system, now.system)


def _edited(now: Heard, agent: Heard) -> bool:
    if now.tools != agent.tools or not _goes_on(now, agent):
        return False
    start = now.system[:_SAME_START] == agent.system[:_SAME_START]
    change = None if start else change_of(agent.system, now.system)
    counted = change is not None and change.kind == "counter"
    return (start or counted) and not is_another(agent.system, now.system)


def _goes_on(now: Heard, agent: Heard) -> bool:
    """Whether a conversation goes on from where an agent's last request ended."""
    before = len(agent.talk)
    return 0 < before < len(now.talk) and now.talk[:before] == agent.talk


def _name(now: Heard, taken: set[str]) -> str:
    words = now.label or " ".join(now.system.split()) or "agent"
    fits = now.label or len(words) <= _NAME
    short = words if fits else words[:_NAME].rsplit(" ", 1)[0] + "..."
    name, n = short, 1
    while name in taken:
        n += 1
        name = f"{short} ({n})"
    return name
