"""A task: what is to be done, with the results of which others, and for how long."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.asking import AsyncOpenSession, OpenSession, Tool
from agentcache.asking.functions import as_text

__all__ = ["AnySession", "Task", "filled", "parameters_of"]

AnySession = OpenSession | AsyncOpenSession
_FIELD: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One task. `needs` are the tasks and inputs whose values it is given, `after` others that come
    first; `prompt` is a template, `function` a callable instead, `runs` an agent's own way to
    answer a prompt. `weight` is its expected duration, beside the others'; `version` what its agent
    or function is known by in a store.
    """

    name: str
    prompt: str | None
    function: Callable[..., Any] | None = None
    runs: Callable[[str], Any] | None = None
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    session: AnySession | None = None
    role: str = ""
    tools: Sequence[Tool | str] | None = None
    output: type[Any] | None = None
    retries: int = 0
    timeout_s: float | None = None
    weight: float = 1.0
    version: str = ""

    @property
    def asks(self) -> bool:
        """Whether it asks a model of its session's with its prompt."""
        return self.function is None and self.runs is None

    def said(self, values: Mapping[str, Any]) -> str:
        """Its prompt, with the values of what it needs."""
        return filled(self.prompt or "", {name: values[name] for name in self.needs})

    def unused(self) -> tuple[str, ...]:
        """What it needs and makes no use of."""
        if self.function is not None:
            named, open_ended = parameters_of(self.function)
            return () if open_ended else tuple(n for n in self.needs if n not in named)
        fields = set(_FIELD.findall(self.prompt or ""))
        return tuple(name for name in self.needs if name not in fields)

    def missing(self) -> tuple[str, ...]:
        """Parameters that its function asks for and nothing gives it."""
        if self.function is None:
            return ()
        named, _ = parameters_of(self.function)
        given = {*self.needs, "worker"}
        return tuple(n for n, optional in named.items() if not optional and n not in given)

    @property
    def takes_worker(self) -> bool:
        """Whether its function asks for a fork of the session, as `worker`."""
        return self.function is not None and "worker" in parameters_of(self.function)[0]


def parameters_of(function: Callable[..., Any]) -> tuple[dict[str, bool], bool]:
    """The parameters of a function by name, True for one that may be left out; and `**kwargs`."""
    try:
        held = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return {}, True
    named = {p.name: p.default is not p.empty for p in held if p.kind in _BY_NAME}
    return named, any(p.kind is p.VAR_KEYWORD for p in held)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with `{name}` replaced for these names, once; all other braces are text."""
    return _FIELD.sub(
        lambda m: as_text(values[m[1]]) if m[1] in values else m[0],
        template,
    )
