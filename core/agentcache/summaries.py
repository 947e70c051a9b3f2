"""Summaries as forks: a conversation is summed up behind the prefix on which it was held."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentcache.allow import NO_CALL_LINE
from agentcache.dialects import Dialect, Json
from agentcache.layout import taking_turns

__all__ = ["ABOVE", "Summaries"]

ABOVE: Final = "(the conversation above)"
"""What stands in a summary's prompt in place of its own copy of the conversation."""
_AGENTS: Final = 64
_EACH: Final = 8
_DELIVERY: Final = frozenset(
    {"stream", "stream_options", "temperature", "top_p", "stop", "stop_sequences"}
    | {"max_tokens", "max_completion_tokens", "max_output_tokens"}
)
"""How an answer is given: of the summary's own request. All else renders, or leads to the cache."""
_SHAPED: Final = ("response_format", "text", "output_config", "output_format", "thinking")
"""What says of an answer how it is to look, or how long it may be thought about."""


@dataclass(slots=True)
class _Fronts:
    """What an agent's requests say before their messages: each once, without the tools.

    `tools` are those it has offered; None where they have differed.
    """

    known: list[tuple[tuple[str, ...], Json]] = field(default_factory=list[Any])
    tools: Sequence[Any] | None = ()


class Summaries:
    """What stands in front of each agent's conversations, and who was summed up.

    No conversation is kept: what is summed up comes with the framework's own call for it.
    """

    def __init__(self) -> None:
        """Have heard nobody."""
        self._fronts: dict[str, _Fronts] = {}
        self._anew: set[str] = set()
        self._lock = threading.Lock()

    def heard(self, wire: Dialect, agent: str, request: Mapping[str, Any]) -> bool:
        """Note an agent's request; returns whether its conversation was summed up before it."""
        system, front = _front(wire, request)
        tools = wire.tools_of(request)
        with self._lock:
            kept = self._fronts.pop(agent, None) or _Fronts()
            if (system, front) not in kept.known:
                kept.known = [*kept.known, (system, front)][-_EACH:]
            if tools and kept.tools is not None:
                kept.tools = tools if kept.tools in ((), tools) else None
            self._fronts[agent] = kept
            while len(self._fronts) > _AGENTS:
                self._anew.discard(next(iter(self._fronts)))
                del self._fronts[next(iter(self._fronts))]
            anew = agent in self._anew
            self._anew.discard(agent)
            return anew

    def summed_up(self, agent: str) -> None:
        """Expect an agent's conversation to begin anew."""
        with self._lock:
            self._anew.add(agent)

    def request(
        self,
        wire: Dialect,
        agent: str,
        said: Sequence[Json],
        prompt: str,
        own: Mapping[str, Any],
        system: tuple[str, ...] | None = None,
    ) -> Json | None:
        """The agent's own request for a summary of what was `said`.

        `own` is the request that the framework made for the summary, to the same model. None where
        it is not sure what stood in front: where the agent's requests have differed before their
        messages, as they do where each user has a prompt, unless `system` tells which it was.
        """
        with self._lock:
            kept = self._fronts.get(agent, _Fronts())
            found = [front for text, front in kept.known if system in (None, text)]
            tools = kept.tools
        if not said or len(found) != 1 or tools is None or not _same_model(found[0], own):
            return None
        front = dict(found[0])
        if any(front.get(name) for name in _SHAPED):
            return None
        lead = front.pop(wire.messages_key)
        asked = [{"type": wire.text_type, "text": f"{prompt}\n\n{NO_CALL_LINE}"}]
        rows = [*lead, *said, *wire.opened(asked, ())]
        given = {k: v for k, v in own.items() if k in _DELIVERY}
        rows = taking_turns(wire, rows) if wire.alternates else rows
        # Where shared context stands in `system`, tool_choice invalidates all messages.
        none = {} if wire.context_in == "system" or not tools else wire.allow(())
        offered = {"tools": list(tools)} if tools else {}
        return {**front, **offered, **given, wire.messages_key: rows, **none}


def _front(wire: Dialect, request: Mapping[str, Any]) -> tuple[tuple[str, ...], Json]:
    """A request's system texts, and all of it but its messages, its tools and its delivery."""
    parts = wire.split(request)
    kept = {k: v for k, v in request.items() if k not in (*_DELIVERY, "tools", "tool_choice")}
    held: Any = request.get(wire.messages_key)
    rows: list[Any] = held if isinstance(held, list) else []  # pyright: ignore[reportUnknownVariableType]
    return parts.system, {**kept, wire.messages_key: rows[: len(rows) - len(parts.messages)]}


def _same_model(front: Json, own: Mapping[str, Any]) -> bool:
    names = [front.get(key) or "" for key in ("model", "modelId")]
    return any(names) and names == [own.get(key) or "" for key in ("model", "modelId")]
