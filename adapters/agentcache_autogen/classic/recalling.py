"""recall_result for classic agents: who runs their tools knows it, and their requests offer it.

On the wire only: AutoGen builds an agent's client anew whenever its tools change, so that what is
added there would be lost or left behind.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any

from autogen import ConversableAgent

from agentcache.compaction import RECALL, ContentStore, recall, recall_tool
from agentcache.dialects import Json
from agentcache.dialects.base import is_json

__all__ = ["Recalls", "partners"]


class Recalls:
    """Puts the tool where the tools of a chat are run, and takes it out again."""

    def __init__(self, store: ContentStore) -> None:
        """Read from this store."""
        self._run = _tool(store)
        self._knowing: dict[int, Any] = {}

    def equip(self, agents: Iterable[ConversableAgent]) -> bool:
        """Let those who run tools run this one; returns whether anybody does.

        To be asked before every call: tools may be registered, and groups made, at any time.
        """
        found = False
        for agent in agents:
            held: dict[str, Callable[..., Any]] = agent.function_map
            if held and RECALL not in held:
                held[RECALL] = self._run
                self._knowing[id(agent)] = agent
            found = found or held.get(RECALL) is self._run
        return found

    def forget(self, gone: Container[int]) -> None:
        """Let go of agents, by their ids."""
        self._knowing = {key: one for key, one in self._knowing.items() if key not in gone}

    def strip(self) -> None:
        """Take it out of all who know it."""
        for agent in self._knowing.values():
            if agent.function_map.get(RECALL) is self._run:
                del agent.function_map[RECALL]
        self._knowing.clear()

    def offered(self, dialect: str, tools: Sequence[Json]) -> list[Json]:
        """An agent's tools as its requests will have them."""
        if not tools or self.is_taken(tools):
            return list(tools)
        return [*tools, recall_tool(dialect)]

    def is_taken(self, tools: Any) -> bool:
        """Whether one of an agent's own tools has that name."""
        return any(_name(tool) == RECALL for tool in tools or ())


def _tool(store: ContentStore) -> Callable[..., str]:
    def recall_result(id: Any = "", lines: Any = None, pattern: Any = None, **_: Any) -> str:  # noqa: A002
        return recall(store, {"id": id, "lines": lines, "pattern": pattern})

    return recall_result


def _name(tool: Any) -> str:
    held: Any = tool.get("function", tool) if is_json(tool) else {}
    return str(held.get("name", ""))


def partners(agent: Any) -> Iterator[ConversableAgent]:
    """Those whom an agent has talked with."""
    for one in tuple(agent._oai_messages):
        if isinstance(one, ConversableAgent):
            yield one
