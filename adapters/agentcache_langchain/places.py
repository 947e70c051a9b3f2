"""Where a program keeps its chat models: found, replaced in place, and put back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel

from agentcache_langchain.finding import Finder, Holding
from agentcache_langchain.kinds import Use

__all__ = ["Found", "Place", "find"]


@dataclass(slots=True)
class Place:
    """One model of one agent, and how to replace it there and nowhere else.

    `put` sets every reference that this agent has to the model; `put(place.model)` restores each
    exactly. `tools` are in the provider's wire form; `system` is the fixed system prompt. Where
    it `varies`, a middleware may change both for each request. `use` is "side" for a model that
    a middleware or a hook calls for itself, to summarise for instance.
    """

    name: str
    model: BaseChatModel
    put: Callable[[BaseChatModel], None] = field(repr=False)
    system: str
    tools: tuple[dict[str, Any], ...]
    use: Use
    varies: bool


@dataclass(frozen=True, slots=True)
class Found:
    """All places, and a sentence for each model that cannot be replaced: what, why, the cure.

    `runners` are LangGraph's nodes that run tools, `asides` middleware by the names of its places.
    """

    places: tuple[Place, ...]
    missed: tuple[str, ...]
    runners: tuple[Any, ...] = ()
    asides: dict[str, Any] = field(default_factory=dict[str, Any])


def find(x: object, *, is_fork: Callable[[BaseChatModel], bool] | None = None) -> Found:
    """Find every chat model that a runnable, a graph, or a list of them will call.

    Reads closures and attributes, calls no model and none of the program's functions. A model
    that `is_fork` accepts is found like any other, but not reported as missed where it cannot be
    replaced: it was wrapped there.
    """
    finder = Finder(is_fork or (lambda _model: False))
    finder.walk(x)
    places = tuple(_places(finder.holdings.values()))
    return Found(places, tuple(finder.missed), (*finder.runners.values(),), finder.asides)


def _places(holdings: Iterable[Holding]) -> Iterator[Place]:
    seen = dict[str, int]()
    for group in _groups(holdings):
        first = group[0]
        seen[first.name] = seen.get(first.name, 0) + 1
        times = seen[first.name]
        name = first.name if times == 1 else f"{first.name} ({times})"
        system = next((each.system for each in group if each.system), "")
        yield Place(name, first.model, _putter(group), system, first.tools, first.use, first.varies)


def _groups(holdings: Iterable[Holding]) -> Iterator[list[Holding]]:
    """References of one agent to one model with the same tools, divided by their prompts.

    A maker keeps a model twice, once without the prompt: where there is one prompt it is both's.
    """
    alike = dict[tuple[Any, ...], list[Holding]]()
    for holding in holdings:
        alike.setdefault(holding.identity(), []).append(holding)
    for group in alike.values():
        prompts = list(dict.fromkeys(each.system for each in group))
        if len([prompt for prompt in prompts if prompt]) <= 1:
            yield group
        else:
            yield from ([each for each in group if each.system == prompt] for prompt in prompts)


def _putter(group: list[Holding]) -> Callable[[BaseChatModel], None]:
    def put(model: BaseChatModel) -> None:
        for holding in group:
            holding.slot.put(holding.leaf, model)

    return put
