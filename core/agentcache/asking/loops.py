"""A tool loop as a generator: it says what is to be done, and whoever drives it does that."""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from agentcache.asking.shapes import Said, Shape, ToolCall
from agentcache.blocks import dumps
from agentcache.dialects import Json, dialect
from agentcache.errors import OutputError

__all__ = ["Answer", "Ask", "Loop", "Run", "Step"]

T = TypeVar("T")
_CORRECTIONS: Final = 2
_LAST: Final = "You have used all your turns. Give your final answer now, with what you know."
_FENCE: Final = re.compile(r"^\s*```(?:json)?\s*\n(.*)\n\s*```\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a worker answered: its `text`, and the `output` read from it if a type was asked for.

    `calls` counts the model's calls and `tools` names the tools that ran, in order. `stop` is the
    provider's reason for the end, or `turn_limit`.
    """

    text: str
    output: T
    calls: int = 0
    tools: tuple[str, ...] = ()
    stop: str = "stop"

    def __str__(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to send; the answer is wanted as JSON."""

    request: Json


@dataclass(frozen=True, slots=True)
class Run:
    """Tools to run; wanted are, for each call, its text and whether that is an error."""

    calls: tuple[ToolCall, ...]


Step = Ask | Run
Steps = Generator[Step, Any, "Answer[Any]"]


@dataclass(slots=True)
class Loop:
    """One agent's conversation: its system texts, the rows so far, and the tools it is offered.

    `params` are the request's other parameters, such as `temperature`.
    """

    shape: Shape
    model: str
    system: Sequence[str]
    tools: Sequence[Json]
    params: Mapping[str, Any]
    max_turns: int
    rows: list[Json] = field(default_factory=list[Json])

    def ask(self, prompt: str, output: type[Any] | None = None) -> Steps:
        """Ask, run the tools that are called, and ask again until there is an answer.

        The conversation goes on from there; where something raises it stays as it was.
        """
        adapter = None if output is None else TypeAdapter[Any](output)
        wish = prompt if adapter is None else f"{prompt}\n\n{_schema_line(adapter)}"
        rows = [*self.rows, self.shape.asked(wish)]
        ran: list[str] = []
        told = asked = 0
        while True:
            last = asked >= self.max_turns
            if last:
                rows.append(self.shape.asked(_LAST))
            asked += 1
            said = self.shape.said((yield Ask(self._request(rows, last=last))))
            if said.calls and not last:
                rows += said.rows
                results = yield Run(said.calls)
                ran += [call.name for call in said.calls]
                rows += self.shape.results(results)
                continue
            rows += [self.shape.spoken(said.text)] if said.calls else said.rows
            made, wrong = _read(adapter, said)
            if not wrong:
                self.rows = rows
                return Answer(
                    said.text, made, asked, tuple(ran), "turn_limit" if last else said.stop
                )
            if told >= _CORRECTIONS:
                raise OutputError(
                    f"The answer is no {getattr(output, '__name__', output)} after {told + 1} "
                    f"tries: {wrong} It was: {said.text[:200]!r}"
                )
            told += 1
            rows.append(self.shape.asked(f"{wrong} Answer again, with the JSON alone."))

    def _request(self, rows: Sequence[Json], *, last: bool) -> Json:
        body = {"model": self.model, **self.shape.body(self.system, rows), **self.params}
        if self.tools:
            body["tools"] = [*self.tools]
            body |= dialect(self.shape.dialect).allow(()) if last else {}
        return body


def _schema_line(adapter: TypeAdapter[Any]) -> str:
    """The wish for an output of a type, in the conversation's end, where it moves no prefix."""
    return f"Answer with JSON alone, that fits this schema: {dumps(adapter.json_schema())}"


def _read(adapter: TypeAdapter[Any] | None, said: Said) -> tuple[Any, str]:
    """The output that a text holds, or what is wrong with it."""
    if adapter is None:
        return None, ""
    fenced = _FENCE.match(said.text)
    text = fenced.group(1) if fenced else said.text
    try:
        return adapter.validate_json(text), ""
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[:5]
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in found]
        return None, f"The answer does not fit the schema: {'; '.join(wrong)}."
