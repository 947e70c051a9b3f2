"""Summaries as forks: a conversation is summed up behind the prefix on which it was held."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentcache.allow import NO_CALL_LINE
from agentcache.dialects import Dialect, Json
from agentcache.layout import taking_turns

__all__ = ["ABOVE", "Summaries"]

ABOVE: Final = "(the conversation above)"
"""What stands in a summary's prompt in place of its own copy of the conversation."""
_AGENTS: Final = 64
_EACH: Final = 16
_DELIVERY: Final = frozenset(
    {"stream", "stream_options", "temperature", "top_p", "stop", "stop_sequences"}
    | {"max_tokens", "max_completion_tokens", "max_output_tokens"}
)
"""How an answer is given: of the summary's own request. All else renders, or leads to the cache."""


class Summaries:
    """The latest requests of each agent, as its program made them, and who was summed up."""

    def __init__(self) -> None:
        """Have heard nobody."""
        self._latest: dict[str, list[Mapping[str, Any]]] = {}
        self._anew: set[str] = set()
        self._lock = threading.Lock()

    def heard(self, wire: Dialect, agent: str, request: Mapping[str, Any]) -> bool:
        """Note an agent's request; returns whether its conversation was summed up before it."""
        with self._lock:
            kept = self._latest.pop(agent, [])
            said = wire.split(request).messages
            kept = [one for one in kept if not _begins(said, wire.split(one).messages)]
            self._latest[agent] = [*kept, request][-_EACH:]
            while len(self._latest) > _AGENTS:
                del self._latest[next(iter(self._latest))]
            anew = agent in self._anew
            self._anew.discard(agent)
            return anew

    def summed_up(self, agent: str) -> None:
        """Expect an agent's conversation to begin anew."""
        with self._lock:
            self._anew.add(agent)

    def request(
        self, wire: Dialect, agent: str, said: Sequence[Json], prompt: str, own: Mapping[str, Any]
    ) -> Json | None:
        """The agent's own request for a summary of what was `said` in it; None if it said no such.

        `own` is the request that the framework made for the summary, to the same model. What was
        said must open a request of the agent's word for word, or go on from one: no other
        conversation is read.
        """
        with self._lock:
            every = self._latest.get(agent, [])
            found = [r for r in every if said and _goes_with(wire.split(r).messages, said)]
            if not found or found[-1].get("model") != own.get("model"):
                return None
        base = found[-1]
        lead = len(base[wire.messages_key]) - len(wire.split(base).messages)
        asked = [{"type": wire.text_type, "text": f"{prompt}\n\n{NO_CALL_LINE}"}]
        rows = [*base[wire.messages_key][:lead], *said, *wire.opened(asked, ())]
        kept = {k: v for k, v in base.items() if k not in _DELIVERY and k != "tool_choice"}
        given = {k: v for k, v in own.items() if k in _DELIVERY}
        rows = taking_turns(wire, rows) if wire.alternates else rows
        # Where shared context stands in `system`, tool_choice invalidates all messages.
        none = {} if wire.context_in == "system" else wire.allow(())
        return {**kept, **given, wire.messages_key: rows, **none}


def _goes_with(messages: Sequence[Json], said: Sequence[Json]) -> bool:
    return bool(messages) and (_begins(messages, said) or _begins(said, messages))


def _begins(messages: Sequence[Json], said: Sequence[Json]) -> bool:
    return len(said) <= len(messages) and list(messages[: len(said)]) == list(said)
