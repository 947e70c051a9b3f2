"""Typed functions as tools: pydantic reads their signature and checks what a model passes."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs, to_json

from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.errors import OptionError

__all__ = ["Function", "Tool", "as_functions", "as_text"]

Tool = Callable[..., Any]
"""A typed function, sync or async, with a docstring that tells the model what it does."""
_BAD: Final = (PydanticSchemaGenerationError, PydanticUserError)


@dataclass(frozen=True, slots=True)
class Function:
    """A tool: its `name`, what it does, the JSON schema of its arguments, and the function."""

    name: str
    description: str
    schema: Json
    tool: Tool
    adapter: Any

    @classmethod
    def of(cls, tool: Tool) -> "Function":
        """Read a function's signature; raises OptionError for what is none, or cannot be read."""
        name = getattr(tool, "__name__", "")
        if not callable(cast("object", tool)) or not name or name == "<lambda>":
            raise OptionError(f"{tool!r:.80} is no tool: pass a named function with type hints.")
        try:
            adapter = TypeAdapter[Any](tool)
            schema = adapter.json_schema()
        except _BAD as error:
            raise OptionError(
                f"The arguments of {name}() cannot be described to a model: {error}. Give them "
                "type hints that pydantic knows."
            ) from error
        if schema.get("type") != "object":
            raise OptionError(f"{name}() takes arguments by position only; a model names them.")
        return cls(name, inspect.getdoc(tool) or "", schema, tool, adapter)

    @property
    def is_async(self) -> bool:
        """Whether calling it makes something to await."""
        return inspect.iscoroutinefunction(self.tool)

    def call(self, arguments: str | Mapping[str, Any]) -> tuple[Any, bool]:
        """What it returns for a model's arguments, and whether that is an error's text.

        What it returns is to be awaited if it `is_async`.
        """
        try:
            given: Any = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        except ValueError as error:
            return f"Error: the arguments are no JSON ({error}).", True
        if not is_json(given):
            return "Error: the arguments are no JSON object.", True
        try:
            return self.adapter.validate_python(ArgsKwargs((), given)), False
        except ValidationError as error:
            return _told(self.name, error), True
        except Exception as error:  # noqa: BLE001 - a tool's error is for the model to read
            return _failed(error), True

    async def acall(self, arguments: str | Mapping[str, Any]) -> tuple[Any, bool]:
        """Async twin of `call`."""
        made, failed = self.call(arguments)
        if failed or not inspect.isawaitable(made):
            return made, failed
        try:
            done = await made
        except Exception as error:  # noqa: BLE001 - a tool's error is for the model to read
            return _failed(error), True
        return done, False


def _failed(error: Exception) -> str:
    return f"Error: {type(error).__name__}: {error}"


def _told(name: str, error: ValidationError) -> str:
    """What is wrong with the arguments, without pydantic's links."""
    wrong = [
        f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}"
        for e in error.errors(include_url=False, include_context=False)
    ]
    return f"Error: {name}() was not called: {'; '.join(wrong)}."


def as_functions(tools: Sequence[Tool | Function]) -> tuple[Function, ...]:
    """Read functions as tools; raises OptionError where two have one name."""
    found: dict[str, Function] = {}
    for tool in tools:
        function = tool if isinstance(tool, Function) else Function.of(tool)
        other = found.setdefault(function.name, function)
        if other.tool is not function.tool:
            raise OptionError(f"Two tools are named {function.name!r}. Rename one of them.")
    return tuple(found.values())


def as_text(value: Any) -> str:
    """What a tool or a task returned, as a model reads it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else to_json(value, fallback=str).decode()
