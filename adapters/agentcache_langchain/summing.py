"""Summaries: LangChain's SummarizationMiddleware, whose call becomes a fork of its agent's."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
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


def hook(middleware: Any) -> None:
    """Note which messages the middleware sums up: its prompt holds them as one text, and cut."""
    made = {_SYNC: _noting, _ASYNC: _anoting}
    for name in [n for n in made if n not in vars(middleware)]:
        method: Callable[..., Any] | None = getattr(middleware, name, None)
        if method is not None:  # the asynchronous one since langchain 1.1
            vars(middleware)[name] = made[name](method)


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def create(messages: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        with _summing(messages):
            return method(messages, *args, **kwargs)

    return create


def _anoting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def acreate(messages: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        with _summing(messages):
            return await method(messages, *args, **kwargs)

    return acreate


def unhook(middleware: Any) -> None:
    """Let the middleware do as it did."""
    kept = cast("dict[str, Any]", vars(middleware))
    for name in (_SYNC, _ASYNC):
        kept.pop(name, None)


@contextmanager
def _summing(messages: Sequence[Any]) -> Generator[None]:
    token = _now.set(messages)
    try:
        yield
    finally:
        _now.reset(token)
