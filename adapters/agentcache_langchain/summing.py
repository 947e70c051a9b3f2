"""Summaries: LangChain's SummarizationMiddleware, whose call becomes a fork of its agent's."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, cast

from agentcache.summaries import ABOVE
from agentcache_langchain.walk import loaded

__all__ = ["Summed", "hook", "summed_now", "unhook"]

_MIDDLEWARE: Final = "langchain.agents.middleware.summarization"
_SYNC, _ASYNC = "_create_summary", "_acreate_summary"
_MESSAGES: Final = "{messages}"
_SURE: Final = 200
"""Characters by which a wish is known."""

_now: ContextVar[Sequence[Any] | None] = ContextVar("agentcache_langchain_summed", default=None)


@dataclass(frozen=True, slots=True)
class Summed:
    """Whose conversation a middleware sums up, and by which wish."""

    agent: str
    middleware: Any

    @classmethod
    def of(cls, place: str, aside: Any) -> "Summed | None":
        """What the middleware at a place sums up; None if it does something else."""
        if not isinstance(aside, loaded(_MIDDLEWARE, "SummarizationMiddleware")):
            return None
        return cls(place.removesuffix(f" {type(aside).__name__.strip('_')}"), aside)

    def prompt(self, said: str) -> str:
        """The wish without its copy of the conversation; empty if this is not the wish."""
        wish = str(self.middleware.summary_prompt)
        head, _, tail = wish.partition(_MESSAGES)
        if _MESSAGES not in wish or not said.startswith(head.lstrip()[:_SURE]):
            return ""
        return f"{head}{ABOVE}{tail}".strip()


def summed_now() -> Sequence[Any] | None:
    """The messages that a middleware is summing up here; None if none is."""
    return _now.get()


@dataclass(frozen=True, slots=True)
class _Noting:
    """A middleware's way to sum up, that notes which messages it does this to."""

    method: Callable[..., Any]

    def __call__(self, messages: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        with _summing(messages):
            return self.method(messages, *args, **kwargs)


class _ANoting(_Noting):
    """Async twin of `_Noting`."""

    async def __call__(self, messages: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        with _summing(messages):
            return await self.method(messages, *args, **kwargs)


def hook(middleware: Any) -> None:
    """Note which messages the middleware sums up: its prompt holds them as one text, and cut.

    A way to sum up that the program has set on it stays.
    """
    made = {_SYNC: _Noting, _ASYNC: _ANoting}
    for name in [n for n in made if n not in vars(middleware)]:
        method: Callable[..., Any] | None = getattr(middleware, name, None)
        if method is not None:  # the asynchronous one since langchain 1.1
            vars(middleware)[name] = made[name](method)


def unhook(middleware: Any) -> None:
    """Let the middleware do as it did."""
    kept = cast("dict[str, Any]", vars(middleware))
    for name in [n for n in (_SYNC, _ASYNC) if isinstance(kept.get(n), _Noting)]:
        del kept[name]


@contextmanager
def _summing(messages: Sequence[Any]) -> Generator[None]:
    token = _now.set(messages)
    try:
        yield
    finally:
        _now.reset(token)
