"""An opened session on other machines: the same parent, byte for byte, on a client made there."""

import asyncio
import inspect
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from pydantic import TypeAdapter

from agentcache.asking import OpenSession, Tool
from agentcache.asking.functions import Function, as_functions
from agentcache.asking.pace import Pace
from agentcache.asking.shapes import shape_of
from agentcache.asking.workers import Line
from agentcache.attach import Attachment, Options
from agentcache.dialects import Json, dialect
from agentcache.gate import Gate
from agentcache.graphs.tasks import AnySession, Task
from agentcache.ledger import Ledger
from agentcache.parent import Parent
from agentcache.sdk.places import is_async
from agentcache.sessions import Session
from agentcache_dask.clients import ClientRecipe, recipe_of

__all__ = ["SessionRecipe", "session_recipe"]

_OURS: Final = ("session", "gate", "ledger", "on_break", "store")
"""Options that stay where the graph was started, or have a stand-in elsewhere."""


@dataclass(frozen=True, slots=True)
class SessionRecipe:
    """What an opened session is made of, as values.

    `tools` are functions with the name, the words and the schema that its parent has frozen.
    """

    client: ClientRecipe
    parent: Parent
    affinity_id: str
    left: str
    options: Mapping[str, Any]
    content: bool
    model: str
    tools: tuple[tuple[str, str, Json, Tool], ...]
    params: Mapping[str, Any]
    max_turns: int
    awaited: bool

    def opened(self, gate: Gate, ledger: Ledger) -> OpenSession:
        """Open it here."""
        options = Options(**self.options, gate=gate, ledger=ledger)
        attachment = Attachment(options)
        # A dialect is told from others by identity: what was sent over is a copy.
        parent = replace(self.parent, dialect=dialect(self.parent.dialect.name))
        session = Session(
            parent,
            leave=self.left,
            hoist=options.hoist,
            announce=None if options.strict else attachment.announce,
            affinity_id=self.affinity_id,
        )
        attachment.join(session, ())
        line = Line(self.client.made(), shape_of(parent.dialect.name), Pace())
        known = {tool[0]: _function(*tool) for tool in self.tools}
        held = (attachment, session, self.model, known, self.params, self.max_turns)
        return OpenSession(line, *held)


def session_recipe(
    session: AnySession, tasks: Sequence[Task], *, ships_keys: bool
) -> SessionRecipe:
    """What a session is made of; the tools that tasks bring join its parent now, for all."""
    _join(session, tasks)
    options = session.attachment.options
    kept = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in _OURS}
    functions = session.functions.values()
    return SessionRecipe(
        recipe_of(session.line.client, ships_keys=ships_keys),
        session.parent.parent,
        session.parent.affinity_id,
        session.parent.left,
        kept,
        session.ledger.content,
        session.model,
        tuple((f.name, f.description, f.schema, f.tool) for f in functions),
        session.params,
        session.max_turns,
        is_async(session.line.client),
    )


def _join(session: AnySession, tasks: Sequence[Task]) -> None:
    """Let the tools that tasks bring join the union, which they would else do on each worker."""
    wire = session.parent.parent.dialect
    brought = [t for task in tasks for t in task.tools or () if not isinstance(t, str)]
    made = [session.line.shape.tool(f) for f in as_functions(list(dict.fromkeys(brought)))]
    names = set(session.parent.parent.tool_names)
    news = [tool for tool in made if wire.tool_name(tool) not in names]
    if news and not session.parent.offer(news):
        session.parent.widen("a task", news)


def _function(name: str, description: str, schema: Json, tool: Tool) -> Function:
    """A tool as it was described; one that is async is run to its end where it is called."""
    adapter: Any = TypeAdapter[Any](tool)
    if inspect.iscoroutinefunction(tool):
        return Function(name, description, schema, _run_of(tool), _Ran(adapter))
    return Function(name, description, schema, tool, adapter)


@dataclass(frozen=True, slots=True)
class _Ran:
    """Calls what an adapter calls, and runs it to its end."""

    adapter: Any

    def validate_python(self, given: Any) -> Any:
        """Call it with these arguments."""
        return asyncio.run(_awaited(self.adapter.validate_python(given)))


def _run_of(tool: Tool) -> Tool:
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(_awaited(tool(*args, **kwargs)))

    return run


async def _awaited(made: Awaitable[Any]) -> Any:
    return await made
