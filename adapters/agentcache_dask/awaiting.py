"""Workers of a synchronous session, for functions that await theirs."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import wraps
from typing import Any

from agentcache.asking import Answer, Stream, Worker

__all__ = ["awaited_worker"]


def awaited_worker(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a task that awaits its `worker`, which is synchronous here."""

    @wraps(function)
    def called(**given: Any) -> Any:
        return function(**{**given, "worker": _Awaited(given["worker"])})

    return called


class _Awaited:
    """A synchronous worker as an asynchronous one; it answers one question at a time anyway."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)

    async def ask(self, prompt: str, output: type[Any] | None = None) -> Answer[Any]:
        """Ask, in a thread."""
        given: tuple[Any, ...] = (prompt,) if output is None else (prompt, output)
        return await asyncio.to_thread(self._worker.ask, *given)

    def stream(self, prompt: str) -> "_Streamed":
        """Ask, and iterate for the text."""
        return _Streamed(self._worker.stream(prompt))


class _Streamed:
    """A stream as an asynchronous one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """The text, piece by piece."""
        pieces = iter(self._stream)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    @property
    def answer(self) -> Answer[None]:
        """The whole answer."""
        return self._stream.answer
