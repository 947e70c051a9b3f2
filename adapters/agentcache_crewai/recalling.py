"""Compaction in a crew: the tool that reads a result again, and when CrewAI would step in."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from crewai import BaseLLM, Crew
from crewai.tools import BaseTool
from crewai.utilities.string_utils import sanitize_tool_name
from pydantic import BaseModel, Field, PrivateAttr

from agentcache.attach import Options
from agentcache.blocks import estimate_tokens
from agentcache.compaction import (
    RECALL,
    RECALL_SAYS,
    Compaction,
    ContentStore,
    MemoryStore,
    recall,
    recall_tool,
)
from agentcache_crewai.forked import stand_of
from agentcache_crewai.places import Place, models, writes_its_tools
from agentcache_crewai.preflight import RESULT_SHARE
from agentcache_crewai.tools import benches
from agentcache_crewai.wires import takes_tools

__all__ = ["RecallResult", "giving", "levels", "take_back", "told"]

_BEFORE: Final = 0.8
"""Of the window that CrewAI uses: where a step is taken that must be."""
_BELOW: Final = 0.75
"""Of that: where one is taken that pays."""
_SAYS: Final[Any] = recall_tool("openai.chat")["function"]["parameters"]["properties"]


def never(_arguments: Any = None, _result: Any = None) -> bool:
    """Keep no answer in CrewAI's own cache of tool results: a store may come to hold an id."""
    return False


class RecallArguments(BaseModel):
    """What the tool takes."""

    id: str = Field(description=_SAYS["id"]["description"])
    lines: str | None = Field(default=None, description=_SAYS["lines"]["description"])
    pattern: str | None = Field(default=None, description=_SAYS["pattern"]["description"])


class RecallResult(BaseTool):
    """The tool by which an agent reads again what compaction replaced.

    One that CrewAI restored from a checkpoint reads nothing, until its crew is wrapped again.
    """

    name: str = RECALL
    description: str = RECALL_SAYS
    args_schema: type[BaseModel] = RecallArguments
    _store: ContentStore = PrivateAttr(default_factory=MemoryStore)
    _most: int | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, store: ContentStore, most: int | None) -> "RecallResult":
        """The tool that reads from this store, not more than so many tokens at once."""
        tool = cls(cache_function=never)
        tool._store, tool._most = store, most
        return tool

    def reads(self, store: ContentStore) -> bool:
        """Whether this is the store it reads from."""
        return self._store is store

    def _run(self, id: str, lines: str | None = None, pattern: str | None = None) -> str:  # noqa: A002 - the name in the placeholders
        text = recall(self._store, {"id": id, "lines": lines, "pattern": pattern})
        if lines or pattern or self._most is None or estimate_tokens(text) <= self._most:
            return text
        # CrewAI would put it into a file of a random name, to be read in parts.
        rows = text.count("\n") + 1
        return (
            f"Error: all of it, about {estimate_tokens(text):,} tokens, is too much to read at "
            f"once. Read it in parts: lines= (it has {rows:,} lines), or pattern=."
        )

    async def _arun(self, id: str, lines: str | None = None, pattern: str | None = None) -> str:  # noqa: A002
        return self._run(id, lines, pattern)


@contextmanager
def giving(x: object, options: Options) -> Generator[None]:
    """Give the tool to every agent that has tools and is not forked yet; not if the body raises."""
    given: list[tuple[list[Any], list[Any]]] = []
    try:
        if options.compact is not None:
            given += _give(x, options.kept_in)
        yield
    except BaseException:
        for tools, before in given:
            tools[:] = before
        raise


def take_back(x: Any) -> None:
    """Take the tool from all agents and tasks of a Crew, or from an agent."""
    owners = [x]
    if isinstance(x, Crew):
        owners = [*x.agents, x.manager_agent, *x.tasks]
    for owner in owners:
        tools: Any = getattr(owner, "tools", None)
        if any(isinstance(tool, RecallResult) for tool in tools or ()):
            tools[:] = [tool for tool in tools if not isinstance(tool, RecallResult)]


def levels(wish: Compaction, places: Sequence[Place]) -> Compaction:
    """When to compact, where CrewAI minds the window: before it would sum a conversation up.

    From 1.15.29 on it asks before each call whether the request is larger than the model's
    `get_context_window_size()`, which is 85 % of the window it knows (of 8,192 tokens for a model
    that it does not know), and then sums up all but the system message. The limit is 80 % of that,
    so 68 % of the window: estimates and what forking adds may be off by a quarter. A step that
    pays is taken from three quarters of the limit on. An earlier CrewAI waits until the provider
    refuses, and its table of windows is too old to go by: there, as for agents that do not respect
    the window, the wish stays as it is.
    """
    windows = [
        int(place.llm.get_context_window_size())
        for place in places
        if _asks(place.llm, "is_context_window_overflowing_threshold")
        and getattr(place.holder, "respect_context_window", True)
    ]
    if wish.limit is not None or not windows:
        return wish
    limit = int(_BEFORE * min(windows))
    high = None if wish.high is None else min(wish.high, int(_BELOW * limit))
    low = wish.low if high is None or wish.low is None else min(wish.low, high // 2)
    return replace(wish, limit=limit, high=high, low=low)


def told(wish: Compaction, places: Sequence[Place]) -> Iterator[str]:
    """Say where a wish gave way to the window, and whose results are not compacted, and why."""
    made = levels(wish, places)
    if made.high is not None and made.high != wish.high:
        model = places[0].llm.model
        yield (
            f"Compaction begins at {made.high:,} tokens and not at high={wish.high:,}: CrewAI sums "
            f"up a conversation with {model} that is larger than the window it knows."
        )
    for place in places:
        has = any(talk.tools for talk in place.talks) or getattr(place.holder, "tools", None)
        if has and not place.tools:
            yield (
                f"Not compacted: what tools answer {place.name!r}, whose model takes none. CrewAI "
                "writes tools and answers into its texts."
            )


def _give(x: object, store: ContentStore) -> Iterator[tuple[list[Any], list[Any]]]:
    crew = x if isinstance(x, Crew) else None
    for holder, _attribute, llm in models(x):
        if stand_of(llm) is None and takes_tools(llm) and not writes_its_tools(holder):
            tool = RecallResult.of(store, _most(holder, llm))
            for owner in benches(holder, crew):
                before = list(owner.tools or ())
                if _add(owner, tool, store):
                    yield owner.tools, before


def _add(owner: Any, tool: RecallResult, store: ContentStore) -> bool:
    """Append the tool, in place: a task may hold its agent's very list. The program's own stays."""
    tools: list[Any] | None = owner.tools
    if tools is None:
        tools = owner.tools = []
    rest = [held for held in tools if not isinstance(held, RecallResult)]
    kept = [held for held in tools if isinstance(held, RecallResult) and held.reads(store)]
    if kept or any(sanitize_tool_name(held.name) == RECALL for held in rest):
        return False
    tools[:] = [*rest, tool]
    return True


def _most(holder: Any, llm: BaseLLM) -> int | None:
    """Tokens from which CrewAI would defer a result; None where it does not."""
    if not _asks(llm, "is_tool_result_overflowing_threshold"):
        return None
    if not getattr(holder, "use_better_compaction", True):
        return None
    return int(RESULT_SHARE * llm.get_context_window_size())


def _asks(llm: BaseLLM, question: str) -> bool:
    """Whether this CrewAI asks its models a question before a call, or after a tool."""
    return callable(getattr(llm, question, None))
