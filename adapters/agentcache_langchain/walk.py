"""The references that an object holds, read without calling it: closures, attributes, items."""

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CellType, FunctionType, MemberDescriptorType, MethodType, SimpleNamespace
from typing import Any, cast

from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.prompts import BasePromptTemplate

__all__ = [
    "Path",
    "Ref",
    "cells",
    "fields_of",
    "is_a",
    "loaded",
    "refs",
    "set_field",
    "walkable",
    "written_by_user",
]

Path = tuple[Any, ...]

_OPAQUE = frozenset(
    {"_pytest", "aiohttp", "anthropic", "boto3", "botocore", "google", "httpcore", "httpx"}
    | {"httpx2", "langsmith", "numpy", "openai", "pandas", "pydantic", "pydantic_core"}
    | {"pydantic_settings", "pytest", "requests", "sqlalchemy", "tiktoken", "torch", "urllib3"}
)
"""Packages whose objects hold no chat model and many other things."""

_STORES = ("langgraph.checkpoint", "langgraph.store", "langgraph.cache", "langgraph.channels")


@dataclass(frozen=True, slots=True)
class Ref:
    """One reference: what it holds and how to set it. Equal `key`, same reference."""

    key: tuple[int, object]
    value: Any
    set: Callable[[Any], None]


def loaded(modules: str, name: str) -> tuple[type, ...]:
    """The class of this name if one of the modules was imported already, for isinstance."""
    found = (getattr(sys.modules.get(module), name, None) for module in modules.split())
    return tuple(cls for cls in found if isinstance(cls, type))


def written_by_user(module: str | None) -> bool:
    """Whether a module is the user's own rather than a framework's or the standard library's."""
    top = (module or "builtins").partition(".")[0]
    if top in ("langchain", "langgraph", "deepagents", "typing_extensions") or top in _OPAQUE:
        return False
    return top not in sys.stdlib_module_names and not top.startswith(("langchain_", "langgraph_"))


def walkable(x: object) -> bool:
    """Whether an object's attributes may lead to a model that the program calls."""
    if isinstance(x, FunctionType | MethodType | functools.partial | SimpleNamespace):
        return True
    if isinstance(x, list | dict | set | frozenset):
        return len(cast("list[Any]", x)) > 0
    if isinstance(x, type | BaseMessage | BasePromptTemplate | BaseLanguageModel):
        return False
    module = type(x).__module__
    top = module.partition(".")[0]
    return not (top in _OPAQUE or top in sys.stdlib_module_names or module.startswith(_STORES))


def refs(x: Any) -> Iterator[Ref]:
    """Every reference in one object that could hold a model, or lead to one."""
    if isinstance(x, FunctionType):
        yield from _function_refs(x)
    elif is_a(x, functools.partial):
        yield from _partial_refs(x)
    elif is_a(x, dict):
        yield from (_item(x, key, value) for key, value in list(x.items()))
    elif is_a(x, list):
        yield from (_item(x, at, value) for at, value in enumerate(x))
    else:
        yield from _instance_refs(x)


def is_a(x: object, *classes: type) -> bool:
    """Isinstance that leaves an Any what it is: the type of its items is not known either."""
    return isinstance(x, classes)


def cells(function: FunctionType) -> dict[str, CellType]:
    """The closure of a function by variable, without what is not assigned yet."""
    closed = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell for name, cell in closed if _is_filled(cell)}


def _is_filled(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _function_refs(x: FunctionType) -> Iterator[Ref]:
    for cell in cells(x).values():
        yield Ref(
            (id(cell), ""), cell.cell_contents, functools.partial(_set, cell, "cell_contents")
        )
    if x.__defaults__:
        set_defaults = functools.partial(_set, x, "__defaults__")
        yield Ref((id(x), "__defaults__"), x.__defaults__, set_defaults)
    held = x.__kwdefaults__ or {}
    yield from (_item(held, key, value) for key, value in held.items())


def _partial_refs(x: Any) -> Iterator[Ref]:
    def set_args(args: Any) -> None:
        _func, _args, keywords, own = x.__reduce__()[2]
        x.__setstate__((x.func, args, keywords, own))

    def set_func(func: Any) -> None:
        _func, args, keywords, own = x.__reduce__()[2]
        x.__setstate__((func, args, keywords, own))

    yield Ref((id(x), "func"), x.func, set_func)
    yield Ref((id(x), "args"), x.args, set_args)
    yield from (_item(x.keywords, key, value) for key, value in x.keywords.items())


def _instance_refs(x: Any) -> Iterator[Ref]:
    node = isinstance(x, loaded("langgraph.pregel._read langgraph.pregel.read", "PregelNode"))
    fields = sorted(fields_of(x).items(), key=lambda kept: node and kept[0] == "writers")
    for name, value in fields:  # a node's model before those of what it routes to
        if not (node and name == "node"):
            setter = functools.partial(_set_node if node else set_field, x, name)
            yield Ref((id(x), name), value, setter)


def fields_of(x: Any) -> dict[str, Any]:
    """An instance's own attributes: its dict, pydantic's private ones, and its slots."""
    found = dict[str, Any](getattr(x, "__dict__", None) or {})
    found.update(getattr(x, "__pydantic_private__", None) or {})
    for cls in type(x).__mro__:
        for name, member in vars(cls).items():
            if isinstance(member, MemberDescriptorType) and not name.startswith("__"):
                try:
                    found.setdefault(name, member.__get__(x))
                except AttributeError:
                    continue
    return found


def _set(x: Any, name: str, value: Any) -> None:
    setattr(x, name, value)


def set_field(x: Any, name: str, value: Any) -> None:
    """Set past pydantic's validation and a frozen dataclass's refusal."""
    private: Any = getattr(x, "__pydantic_private__", None) or {}
    own: Any = getattr(x, "__dict__", {})
    if name in private:
        private[name] = value
    elif name in own:
        own[name] = value
    else:
        object.__setattr__(x, name, value)


def _set_node(x: Any, name: str, value: Any) -> None:
    """Set a graph node's field; what it combined of its fields is combined anew when it runs."""
    set_field(x, name, value)
    x.__dict__.pop("node", None)


def _item(held: Any, key: Any, value: Any) -> Ref:
    own = list[Any] if is_a(held, list) else dict[Any, Any]
    return Ref((id(held), key), value, functools.partial(own.__setitem__, held, key))
