"""Session.open: one frozen parent on a plain client, asked directly or through its workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar, overload

from agentcache.asking.functions import Function, Tool, as_functions
from agentcache.asking.loops import Answer, Loop
from agentcache.asking.pace import Pace
from agentcache.asking.shapes import shape_of
from agentcache.asking.workers import AsyncStream, AsyncWorker, Line, Stream, Worker
from agentcache.attach import Attachment
from agentcache.errors import OptionError
from agentcache.ledger import Ledger
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import match_route
from agentcache.sdk.places import dialects_of, is_async, place_of
from agentcache.sdk.turns import Company, Stand
from agentcache.sessions import Session
from agentcache.wrapping import options_of

__all__ = ["AsyncOpenSession", "OpenSession", "open_session"]

W = TypeVar("W", Worker, AsyncWorker)
T = TypeVar("T")
_TURNS = 20
_APIS = {"chat": "openai.chat", "responses": "openai.responses"}


@dataclass(slots=True)
class _Opened(Generic[W]):
    """What an opened session holds: how to speak, the frozen parent, and what all may call."""

    line: Line
    attachment: Attachment
    parent: Session
    model: str
    functions: Mapping[str, Function]
    params: Mapping[str, Any]
    max_turns: int
    _own: list[W] = field(default_factory=list[Any])

    @property
    def ledger(self) -> Ledger:
        """Every call of its workers: `agentcache.report(session.ledger).show()`."""
        return self.attachment.ledger

    def extend(self, *texts: str) -> None:
        """Append shared context for all workers to read, from their next conversation on."""
        self.parent.extend(*texts)

    def _forked(
        self,
        kind: type[W],
        name: str,
        role: str,
        tools: Sequence[Tool | str] | None,
        params: Mapping[str, Any],
        max_turns: int | None,
    ) -> W:
        functions = self._functions(name, tools)
        session: Session = self.parent
        wire = session.parent.dialect
        definitions = [self.line.shape.tool(f) for f in functions]
        names = [wire.tool_name(d) for d in definitions]
        fork = session.fork(name, names, late_tools=True)
        stand = Stand(fork, self.attachment, Company(), recalls=True)
        system = tuple(filter(None, (session.parent.system, *session.parent.context, role)))
        params = {**self.params, **params}
        turns = self.max_turns if max_turns is None else max_turns
        loop = Loop(self.line.shape, self.model, system, definitions, params, turns)
        return kind(stand, self.line, loop, {f.name: f for f in functions})

    def _functions(self, name: str, tools: Sequence[Tool | str] | None) -> tuple[Function, ...]:
        if tools is None:
            return tuple(self.functions.values())
        if isinstance(tools, str):
            raise OptionError(f"tools={tools!r} is a string; pass a list: tools=[{tools!r}].")
        unknown = [t for t in tools if isinstance(t, str) and t not in self.functions]
        if unknown:
            known = ", ".join(map(repr, self.functions)) or "none"
            raise OptionError(
                f"Worker {name!r} asks for the tool {unknown[0]!r}; the session has: {known}. "
                "Pass the function itself, or open the session with it."
            )
        return as_functions([self.functions[t] if isinstance(t, str) else t for t in tools])


class OpenSession(_Opened[Worker]):
    """A session on a synchronous client. Its workers fork it; `ask` asks it directly."""

    def fork(
        self,
        name: str,
        *,
        role: str = "",
        tools: Sequence[Tool | str] | None = None,
        params: Mapping[str, Any] | None = None,
        max_turns: int | None = None,
    ) -> Worker:
        """Fork a worker; `role` is its own system text, `tools` what it may call (None: all).

        Tools are the session's, by name, or functions. One that the session was not opened with
        joins its union: before the first call that costs nothing, later all is written anew, once.
        `params` go with its requests, beside the session's own.
        """
        return self._forked(Worker, name, role, tools, params or {}, max_turns)

    @overload
    def ask(self, prompt: str) -> Answer[None]: ...
    @overload
    def ask(self, prompt: str, output: type[T]) -> Answer[T]: ...
    def ask(self, prompt: str, output: type[Any] | None = None) -> Answer[Any]:
        """Ask the session itself, in a conversation that goes on; see `Worker.ask`."""
        return self._main().ask(prompt, output) if output else self._main().ask(prompt)

    def stream(self, prompt: str) -> Stream:
        """Ask the session itself; see `Worker.stream`."""
        return self._main().stream(prompt)

    def _main(self) -> Worker:
        if not self._own:
            self._own.append(self.fork("session"))
        return self._own[0]


class AsyncOpenSession(_Opened[AsyncWorker]):
    """Async twin of `OpenSession`."""

    def fork(
        self,
        name: str,
        *,
        role: str = "",
        tools: Sequence[Tool | str] | None = None,
        params: Mapping[str, Any] | None = None,
        max_turns: int | None = None,
    ) -> AsyncWorker:
        """Fork a worker; see `OpenSession.fork`."""
        return self._forked(AsyncWorker, name, role, tools, params or {}, max_turns)

    @overload
    async def ask(self, prompt: str) -> Answer[None]: ...
    @overload
    async def ask(self, prompt: str, output: type[T]) -> Answer[T]: ...
    async def ask(self, prompt: str, output: type[Any] | None = None) -> Answer[Any]:
        """Ask the session itself, in a conversation that goes on; see `Worker.ask`."""
        return await (self._main().ask(prompt, output) if output else self._main().ask(prompt))

    def stream(self, prompt: str) -> AsyncStream:
        """Ask the session itself; see `Worker.stream`."""
        return self._main().stream(prompt)

    def _main(self) -> AsyncWorker:
        if not self._own:
            self._own.append(self.fork("session"))
        return self._own[0]


def open_session(
    client: Any,
    *,
    model: str,
    system: str | None = None,
    context: Sequence[str] = (),
    tools: Sequence[Tool] = (),
    api: Literal["chat", "responses", "messages"] | None = None,
    params: Mapping[str, Any] | None = None,
    max_turns: int = _TURNS,
    **options: Any,
) -> OpenSession | AsyncOpenSession:
    """Open a session; see `Session.open`."""
    if not isinstance(model, str) or not model:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"model={model!r} is no model's name.")
    if max_turns < 1:
        raise OptionError(f"max_turns={max_turns}: an answer takes at least one.")
    name = _dialect(client, api)
    shape, functions = shape_of(name), as_functions(tools)
    late = [f.name for f in functions if f.is_async and not is_async(client)]
    if late:
        raise OptionError(
            f"The tool {late[0]}() is async, and {type(client).__name__} is not. Pass an async "
            "client, or a plain function."
        )
    wishes = options_of(system=system, context=context, **options)
    rule = match_route(model, place_of(client)[0], (), wishes.provider).rule
    domain = CacheDomain(rule.provider, model, *place_of(client))
    parent = freeze(
        name,
        rule,
        domain,
        system=wishes.system,
        context=wishes.context,
        tools=[shape.tool(f) for f in functions],
        params={"model": model, **(params or {})},
        ttl=wishes.ttl,
    )
    attachment = Attachment(replace(wishes, layout="fork") if wishes.layout == "auto" else wishes)
    session = attachment.open(parent, (), judge=False)
    line = Line(client.with_options(max_retries=0), shape, Pace())
    kind = AsyncOpenSession if is_async(client) else OpenSession
    known = {f.name: f for f in functions}
    return kind(line, attachment, session, model, known, params or {}, max_turns)


def _dialect(client: Any, api: str | None) -> str:
    spoken = dialects_of(client)
    wanted = spoken[0] if api is None else _APIS.get(api, f"anthropic.{api}")
    if wanted not in spoken:
        known = " or ".join(repr(each.partition(".")[2]) for each in spoken)
        raise OptionError(f"api={api!r}: {type(client).__name__} speaks {known}.")
    return wanted
