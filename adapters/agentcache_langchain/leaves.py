"""What a value holds once its runnables are opened, and the same value around another model.

What LangChain makes while it composes (a binding, a sequence, fallbacks) is a value: it is copied
around the new model, because a program may use the same chain elsewhere.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import FunctionType, MethodType
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import BaseMessage, SystemMessage
from langchain_core.prompts import BasePromptTemplate, ChatPromptTemplate
from langchain_core.prompts.chat import SystemMessagePromptTemplate
from langchain_core.prompts.string import StringPromptTemplate
from langchain_core.runnables import RunnableBinding, RunnableSequence, RunnableSerializable
from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.tools import BaseTool

from agentcache_langchain.walk import (
    Path,
    Ref,
    cells,
    fields_of,
    is_a,
    set_field,
    walkable,
    written_by_user,
)

__all__ = ["Leaf", "Slot", "held", "is_composed", "leaves", "text_of"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a value holds at `path`; the wire tools, system prompt and name put around it."""

    path: Path
    thing: Any
    tools: tuple[dict[str, Any], ...] = ()
    system: str = ""
    name: str = ""


@dataclass(slots=True)
class Slot:
    """A reference whose value is its original with some models swapped."""

    ref: Ref
    swaps: dict[Path, BaseChatModel] = field(default_factory=dict[Path, BaseChatModel])

    def put(self, leaf: Leaf, model: BaseChatModel) -> None:
        """Swap the model at a leaf; the leaf's own model restores it."""
        if model is leaf.thing:
            self.swaps.pop(leaf.path, None)
        else:
            self.swaps[leaf.path] = model
        value = self.ref.value
        for path, swapped in self.swaps.items():
            value = _rebuilt(value, path, swapped)
        self.ref.set(value)


def leaves(value: Any, *, inside: bool = False) -> Iterator[Leaf]:
    """What is left of a value after its runnables are opened; `inside` opens lists and dicts."""
    if isinstance(value, BaseChatModel) or not _opens(value, inside=inside):
        yield Leaf((), value)
        return
    tools, system = _around(value)
    for key, part in _parts(value):
        for leaf in leaves(part, inside=inside or isinstance(value, RunnableSerializable)):
            yield Leaf(
                (key, *leaf.path),
                leaf.thing,
                tools or leaf.tools,
                leaf.system or system,
                leaf.name or _name_of(value, key),
            )


def _around(value: Any) -> tuple[tuple[dict[str, Any], ...], str]:
    """The tools that a binding adds, and the prompt that a sequence puts first."""
    if is_a(value, RunnableBinding):
        return tuple(tool for tool in value.kwargs.get("tools") or () if is_a(tool, dict)), ""
    steps: list[Any] = value.steps if is_a(value, RunnableSequence) else []
    return (), next((text for text in map(_system_of, steps) if text), "")


def held(runnable: Any) -> Iterator[tuple[Ref, Leaf]]:
    """The leaves of a composed runnable that nothing else holds, each with the field it is in."""
    for leaf in leaves(runnable):
        key = leaf.path[0]
        setter = functools.partial(set_field, runnable, key)
        ref = Ref((id(runnable), key), getattr(runnable, key), setter)
        yield ref, replace(leaf, path=leaf.path[1:])


def _opens(value: Any, *, inside: bool) -> bool:
    if isinstance(value, MethodType):
        return isinstance(value.__self__, BaseChatModel) or is_composed(value.__self__)
    if isinstance(value, list | dict):
        return inside
    return isinstance(value, tuple) or is_composed(value)


def is_composed(value: Any) -> bool:
    """Whether LangChain made this runnable of others; its fields are read, never its class's."""
    if not is_a(value, RunnableSerializable) or isinstance(
        value, BaseTool | BasePromptTemplate | BaseLanguageModel | RunnableConfigurableFields
    ):
        return False
    return type(value).__module__.startswith("langchain_core.")


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, MethodType):
        return [("__self__", value.__self__)]
    if is_a(value, dict):
        return list(value.items())
    if is_a(value, list, tuple):
        items: list[Any] = list(value)
        return list(enumerate(items))
    skipped = ("kwargs", "config", "config_factories", "name", "custom_input_type")
    own: dict[str, Any] = value.__dict__
    return [(key, part) for key, part in own.items() if key not in skipped]


def _name_of(value: Any, key: Any) -> str:
    """The name that a program gave to what stands here: of a run, or of a branch side by side."""
    if isinstance(value, dict):  # only inside a runnable; "raw" is with_structured_output's own
        return key if isinstance(key, str) and key != "raw" else ""
    config: dict[str, Any] = value.config if is_a(value, RunnableBinding) else {}
    return str(config.get("run_name") or "")


def _rebuilt(value: Any, path: Path, model: BaseChatModel) -> Any:
    """A copy of a value with another model at a path."""
    if not path:
        return model
    key, rest = path[0], path[1:]
    if isinstance(value, MethodType):
        return getattr(_rebuilt(value.__self__, rest, model), value.__name__)
    if is_a(value, dict):
        return {**value, key: _rebuilt(value[key], rest, model)}
    if is_a(value, list, tuple):
        items: list[Any] = list(value)
        items[key] = _rebuilt(items[key], rest, model)
        cls: type[Any] = value.__class__
        make: Any = getattr(cls, "_make", cls)
        return make(items)
    return value.model_copy(update={key: _rebuilt(getattr(value, key), rest, model)})


# --- the system prompt that stands before a model ------------------------------------------------


def _system_of(step: Any) -> str:
    """The text of a step of a sequence that puts a fixed system message first, else nothing."""
    if isinstance(step, ChatPromptTemplate):
        return _template_text(step.messages[0]) if step.messages else ""
    function = fields_of(step).get("func") if walkable(step) else None
    if not isinstance(function, FunctionType) or written_by_user(function.__module__):
        return ""
    held = [cell.cell_contents for cell in cells(function).values()]
    return next((text_of(each) for each in held if isinstance(each, SystemMessage)), "")


def _template_text(template: Any) -> str:
    if isinstance(template, SystemMessage):
        return text_of(template)
    if not isinstance(template, SystemMessagePromptTemplate):
        return ""
    prompt = template.prompt
    if not isinstance(prompt, StringPromptTemplate) or prompt.input_variables:
        return ""
    return "" if prompt.partial_variables else prompt.format()


def text_of(message: object) -> str:
    """The text of a message, or of a plain str."""
    content: Any = message.content if isinstance(message, BaseMessage) else message
    if is_a(content, list):
        content = "".join(b if isinstance(b, str) else b.get("text", "") for b in content)
    return content if isinstance(content, str) else ""
