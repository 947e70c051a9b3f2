"""Workers: forks of an opened session that are asked, run their tools and answer."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, cast, overload

from agentcache.asking.functions import Function, as_text
from agentcache.asking.loops import Answer, Ask, Loop, Run, Step
from agentcache.asking.pace import Pace
from agentcache.asking.shapes import Shape, ToolCall
from agentcache.compaction import RECALL, recall
from agentcache.dialects import Dialect, Json
from agentcache.errors import OptionError
from agentcache.sdk.lines import async_forking, forking
from agentcache.sdk.turns import Stand, Turn, during
from agentcache.usage import Usage

__all__ = ["AsyncStream", "AsyncWorker", "Line", "Stream", "Tap", "Worker"]

T = TypeVar("T")
_LONGEST_STEP_S: Final = 0.25


class Tap(Protocol):
    """Stands between a worker and its provider: a journal, a budget."""

    def before(self, request: Json) -> Json | None:
        """An answer to this request that is known already; raises to send nothing."""
        ...

    def after(self, request: Json, answer: Json, usage: Usage) -> None:
        """Hear what was answered."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """How a session's workers speak to their provider; `pace` is shared by all of them."""

    client: Any
    shape: Shape
    pace: Pace


@dataclass(slots=True)
class _Worker:
    """What sync and async workers have in common."""

    stand: Stand
    line: Line
    loop: Loop
    functions: Mapping[str, Function]
    tap: Tap | None = None
    busy: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.stand.fork.name

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools it may call."""
        return tuple(self.functions)

    @property
    def messages(self) -> tuple[Json, ...]:
        """Its conversation so far, in the API's form, as its program alone would have sent it."""
        return tuple(self.loop.rows)

    def _steps(self, prompt: str, output: type[Any] | None) -> Generator[Step, Any, Answer[Any]]:
        """The steps of one question; a worker answers one at a time."""
        if not isinstance(cast("object", prompt), str) or not prompt:
            raise OptionError(f"{self.name} was asked {prompt!r:.60}: ask it with a text.")
        if self.busy:
            raise OptionError(
                f"Worker {self.name!r} is still answering. Await its answer, or fork another one."
            )
        return self._busy(prompt, output)

    def _busy(self, prompt: str, output: type[Any] | None) -> Generator[Step, Any, Answer[Any]]:
        self.busy = True
        try:
            return (yield from self.loop.ask(prompt, output))
        finally:
            self.busy = False

    def _known(self, request: Json) -> Json | None:
        return None if self.tap is None else self.tap.before(request)

    def _heard(self, request: Json, answer: Json, usage: Usage) -> Json:
        if self.tap is not None:
            self.tap.after(request, answer, usage)
        return answer

    def _turn(self) -> Turn:
        return Turn(self.stand, _no_chat)

    def _recalled(self, call: ToolCall) -> tuple[str, bool] | None:
        """What a call of `recall_result` answers; None for a call of another tool."""
        if call.name != RECALL or RECALL in self.functions:
            return None
        return recall(self.stand.attachment.store, call.arguments), False


def _no_chat(wire: Dialect, request: Json) -> str:
    del wire, request
    return ""


def _unknown(name: str, known: Sequence[str]) -> tuple[str, bool]:
    own = ", ".join(map(repr, known)) or "none"
    return f"Error: there is no tool {name!r}. Yours: {own}. Nothing was executed.", True


class Worker(_Worker):
    """A fork that answers questions; its tools run here, one after the other.

    Its conversation goes on from one question to the next.
    """

    @overload
    def ask(self, prompt: str) -> Answer[None]: ...
    @overload
    def ask(self, prompt: str, output: type[T]) -> Answer[T]: ...
    def ask(self, prompt: str, output: type[Any] | None = None) -> Answer[Any]:
        """Ask; runs the tools that the model calls, and returns its answer.

        `output` is a pydantic model, or any type pydantic reads JSON into: `Answer.output` is one.
        The schema stands in the question, not in a parameter, so that no prefix moves.

        Raises:
            OutputError: the answer does not fit `output`, after two corrections.
            ForeignToolError: a model without tools insists on calling one.
            BudgetError: a budget is spent.

        """
        steps = self._steps(prompt, output)
        got: Any = None
        try:
            while True:
                got = self._do(steps.send(got))
        except StopIteration as done:
            made: Answer[Any] = done.value
            return made
        finally:
            steps.close()

    def stream(self, prompt: str) -> "Stream":
        """Ask; iterate for the answer's text as it comes, then `answer` holds the whole."""
        return Stream(self._streamed(self._steps(prompt, None)))

    def _do(self, step: Step) -> Any:
        if isinstance(step, Run):
            return [(call, *self._run(call)) for call in step.calls]
        known = self._known(step.request)
        if known is not None:
            return known
        turn = self._turn()
        with during(turn):
            answer = forking("", self._paced)(**step.request)
        return self._heard(step.request, _json(answer), turn.usage)

    def _streamed(
        self, steps: Generator[Step, Any, Answer[Any]]
    ) -> Generator[str, None, Answer[Any]]:
        got: Any = None
        with closing(steps):
            try:
                while True:
                    step = steps.send(got)
                    known = self._known(step.request) if isinstance(step, Ask) else None
                    if isinstance(step, Run):
                        got = self._do(step)
                    elif known is not None:
                        got = known
                        yield self.line.shape.said(known).text
                    else:
                        got = yield from self._events(step)
            except StopIteration as done:
                made: Answer[Any] = done.value
                return made

    def _events(self, step: Ask) -> Generator[str, None, Json]:
        turn, pieces = self._turn(), self.line.shape.pieces()
        with during(turn):
            stream = forking("", self._paced)(**step.request, stream=True)
        with closing(stream):
            for event in stream:
                text = pieces.take(_json(event))
                if text:
                    yield text
        return self._heard(step.request, pieces.whole(), turn.usage)

    def _paced(self, **params: Any) -> Any:
        """Send; tries again where the provider asks for time, all callers together."""
        create, pace, tried = self.line.shape.create(self.line.client), self.line.pace, 0
        while True:
            while left := pace.left_s():
                time.sleep(min(left, _LONGEST_STEP_S))
            try:
                return create(**params)
            except Exception as error:
                tried += 1
                wait = pace.wait_s(error, tried)
                if wait is None:
                    raise
            time.sleep(wait)

    def _run(self, call: ToolCall) -> tuple[str, bool]:
        function = self.functions.get(call.name)
        if function is None:
            return self._recalled(call) or _unknown(call.name, self.tools)
        made, failed = function.call(call.arguments)
        return as_text(made), failed


class AsyncWorker(_Worker):
    """Async twin of `Worker`; the tools that one answer calls run at the same time."""

    @overload
    async def ask(self, prompt: str) -> Answer[None]: ...
    @overload
    async def ask(self, prompt: str, output: type[T]) -> Answer[T]: ...
    async def ask(self, prompt: str, output: type[Any] | None = None) -> Answer[Any]:
        """Async twin of `Worker.ask`."""
        steps = self._steps(prompt, output)
        got: Any = None
        try:
            while True:
                got = await self._do(steps.send(got))
        except StopIteration as done:
            made: Answer[Any] = done.value
            return made
        finally:
            steps.close()

    def stream(self, prompt: str) -> "AsyncStream":
        """Async twin of `Worker.stream`."""
        return AsyncStream(self, self._steps(prompt, None))

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Run):
            made = await asyncio.gather(*map(self._run, step.calls))
            return [(call, *said) for call, said in zip(step.calls, made, strict=True)]
        known = self._known(step.request)
        if known is not None:
            return known
        turn = self._turn()
        with during(turn):
            answer = await async_forking(self._paced)(**step.request)
        return self._heard(step.request, _json(answer), turn.usage)

    async def events(self, step: Ask, keep: Callable[[Json], None]) -> AsyncGenerator[str, None]:
        """The text of one streamed answer; the whole of it is for `keep`."""
        known = self._known(step.request)
        if known is not None:
            keep(known)
            yield self.line.shape.said(known).text
            return
        turn, pieces = self._turn(), self.line.shape.pieces()
        with during(turn):
            stream = await async_forking(self._paced)(**step.request, stream=True)
        async with aclosing(stream):
            async for event in stream:
                text = pieces.take(_json(event))
                if text:
                    yield text
        keep(self._heard(step.request, pieces.whole(), turn.usage))

    async def run(self, step: Run) -> Any:
        """Run the tools of a step."""
        return await self._do(step)

    async def _paced(self, **params: Any) -> Any:
        """Async twin of `Worker._paced`."""
        create, pace, tried = self.line.shape.create(self.line.client), self.line.pace, 0
        while True:
            while left := pace.left_s():  # noqa: ASYNC110 - what is told to one holds for all
                await asyncio.sleep(min(left, _LONGEST_STEP_S))
            try:
                return await create(**params)
            except Exception as error:
                tried += 1
                wait = pace.wait_s(error, tried)
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    async def _run(self, call: ToolCall) -> tuple[str, bool]:
        function = self.functions.get(call.name)
        if function is None:
            return self._recalled(call) or _unknown(call.name, self.tools)
        made, failed = await function.acall(call.arguments)
        return as_text(made), failed


class Stream:
    """An answer as it comes: iterate for its text; `answer` is the whole, once it has ended."""

    def __init__(self, source: Generator[str, None, Answer[Any]]) -> None:
        """Read from a source."""
        self._source = source
        self._answer: Answer[None] | None = None

    def __iter__(self) -> Generator[str, None, None]:
        """The text, piece by piece."""
        self._answer = yield from self._source

    @property
    def answer(self) -> Answer[None]:
        """The whole answer; raises OptionError as long as there is more to come."""
        return _whole(self._answer)

    def close(self) -> None:
        """Stop, with the conversation as it was before."""
        self._source.close()


class AsyncStream:
    """Async twin of `Stream`."""

    def __init__(self, worker: AsyncWorker, steps: Generator[Step, Any, Answer[Any]]) -> None:
        """Read from a worker."""
        self._worker, self._steps = worker, steps
        self._answer: Answer[None] | None = None

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """The text, piece by piece."""
        got: list[Any] = [None]
        with closing(self._steps):
            try:
                while True:
                    step = self._steps.send(got.pop())
                    if isinstance(step, Run):
                        got.append(await self._worker.run(step))
                        continue
                    async with aclosing(self._worker.events(step, got.append)) as texts:
                        async for text in texts:
                            yield text
            except StopIteration as done:
                self._answer = done.value

    @property
    def answer(self) -> Answer[None]:
        """The whole answer; raises OptionError as long as there is more to come."""
        return _whole(self._answer)


def _whole(answer: Answer[None] | None) -> Answer[None]:
    if answer is None:
        raise OptionError("The answer has not ended: iterate over the stream first.")
    return answer


def _json(answer: Any) -> Json:
    """An SDK's answer, or an event of one, as JSON."""
    made: Json = answer.model_dump(mode="json", exclude_unset=True)
    return made
