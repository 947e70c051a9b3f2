"""Compaction in LangGraph: who runs `recall_result`, and what middleware leaves to compaction."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_core.tools import StructuredTool
from pydantic import PrivateAttr

from agentcache.attach import Attachment
from agentcache.compaction import RECALL, RECALL_SAYS, Compaction, ContentStore, recall
from agentcache.errors import OptionError
from agentcache_langchain.summing import hook, unhook
from agentcache_langchain.walk import is_a, loaded

__all__ = ["NOT_RUN", "RecallTool", "give", "levels", "recall_tool", "runs", "take"]

NOT_RUN = (
    "Not compacted: the tools of {!r} run in code of the program's own. Give it "
    "agentcache_langchain.recall_tool(store), and wrap with that store."
)
_BELOW = 0.75
"""Of a middleware's trigger: where a step is taken that pays, before it has to be."""
_EDITING = "langchain.agents.middleware.context_editing"
_SUMMARIES = "langchain.agents.middleware.summarization"


class RecallTool(StructuredTool):
    """The tool by which an agent reads again what compaction replaced."""

    _store: ContentStore | None = PrivateAttr(None)

    @classmethod
    def of(cls, store: ContentStore, func: Callable[..., str]) -> "RecallTool":
        """The tool that reads from a store."""
        made = cast("RecallTool", cls.from_function(func, name=RECALL, description=RECALL_SAYS))
        made._store = store
        return made

    def of_another(self, store: ContentStore) -> bool:
        """Whether it reads from another store than this one."""
        return self._store is not None and self._store is not store


class _Given(RecallTool):
    """One that `give` put into a node: `take` takes no other."""


def recall_tool(store: ContentStore) -> RecallTool:
    """The tool, as LangChain runs it: for agents whose tools run in code of the program's own."""
    return _made(store, RecallTool)


def _made(store: ContentStore, kind: type[RecallTool]) -> RecallTool:
    """The tool, as LangChain runs it."""

    def recall_result(id: str, lines: str | None = None, pattern: str | None = None) -> str:  # noqa: A002 - the name in the placeholders
        return recall(store, {"id": id, "lines": lines, "pattern": pattern})

    return kind.of(store, recall_result)


class _Left(list[Any]):
    """No edits: `before` are those that compaction does in their stead."""

    before: Sequence[Any] = ()


def give(runners: Iterable[Any], asides: Collection[Any], attachment: Attachment) -> None:
    """Where compaction is asked for, let these nodes run the tool, and leave editing to it.

    A tool of that name which the program has itself stays.

    Raises:
        OptionError: a node runs the tool for another store already; nothing is changed then.

    """
    options = attachment.options
    if options.compact is None:
        return
    nodes = list(runners)
    for node in nodes:
        _check_store(node, attachment.store)
    attachment.compact = levels(options.compact, asides)
    for node in nodes:
        _let_run(node, attachment.store)
    for aside in asides:
        if _edits(aside) and not isinstance(aside.edits, _Left):
            left = _Left()
            left.before, aside.edits = aside.edits, left
        if _sums_up(aside):
            hook(aside)


def _check_store(node: Any, store: ContentStore) -> None:
    held = node.tools_by_name.get(RECALL)
    if isinstance(held, RecallTool) and held.of_another(store):
        raise OptionError(
            f"A tool node with {sorted(node.tools_by_name)!r} already reads {RECALL} from another "
            f"store than {store!r}: what is replaced here could not be read again. Pass the same "
            "store= to every wrap (and recall_tool) that shares the node."
        )


def _let_run(node: Any, store: ContentStore) -> None:
    held = node.tools_by_name
    if not held or RECALL in held:
        return
    maker = next(cls for cls in type(node).__mro__ if cls.__name__ == "ToolNode")
    made = cast("dict[str, Any]", vars(maker([_made(store, _Given)])))
    for name, own in made.items():
        if is_a(own, dict) and RECALL in own:
            vars(node)[name][RECALL] = own[RECALL]


def runs(runners: Iterable[Any], names: Iterable[str]) -> bool:
    """Whether one of these nodes runs the tool, and all others of an agent's."""
    wanted = {*names, RECALL}
    return any(wanted <= set(node.tools_by_name) for node in runners)


def take(runners: Iterable[Any], asides: Iterable[Any]) -> None:
    """Take the tool out again, and put the edits back."""
    for node in runners:
        if isinstance(node.tools_by_name.get(RECALL), _Given):
            for own in cast("dict[str, Any]", vars(node)).values():
                if is_a(own, dict):
                    own.pop(RECALL, None)
    for aside in asides:
        if _edits(aside) and isinstance(aside.edits, _Left):
            aside.edits = aside.edits.before
        if _sums_up(aside):
            unhook(aside)


def levels(wish: Compaction, asides: Iterable[Any]) -> Compaction:
    """When to compact, where middleware clears tool results: at its trigger, a step is forced.

    What it keeps and what it excludes stays; the strictest trigger counts.
    """
    clears = loaded(_EDITING, "ClearToolUsesEdit")
    for aside in asides:
        for edit in _before(aside) if _edits(aside) else ():
            if isinstance(edit, clears):
                wish = _limited(wish, edit)
    return wish


def _limited(wish: Compaction, edit: Any) -> Compaction:
    limit = min(edit.trigger, wish.limit or edit.trigger)
    high = min(wish.high or limit, int(_BELOW * limit))
    return replace(
        wish,
        limit=limit,
        high=high,
        low=min(wish.bottom, high // 2),
        keep=max(wish.keep, edit.keep),
        never=tuple(dict.fromkeys((*wish.never, *edit.exclude_tools))),
        also=(*wish.also, "input") if edit.clear_tool_inputs else wish.also,
    )


def _edits(aside: Any) -> bool:
    return isinstance(aside, loaded(_EDITING, "ContextEditingMiddleware"))


def _sums_up(aside: Any) -> bool:
    return isinstance(aside, loaded(_SUMMARIES, "SummarizationMiddleware"))


def _before(aside: Any) -> Sequence[Any]:
    return aside.edits.before if isinstance(aside.edits, _Left) else aside.edits
