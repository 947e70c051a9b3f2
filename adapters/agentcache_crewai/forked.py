"""A forked model: a dynamic subclass of the model's own class, over a copy of the model.

A delegating wrapper loses native tools, streaming, stop words and usage in CrewAI; a subclass of
the object's own class keeps all of them, because CrewAI asks for the class in many places.
"""

import copy
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, cast

from crewai import LLM, BaseLLM
from pydantic import PrivateAttr

from agentcache.allow import foreign_tools, refusal_text
from agentcache.dialects.base import is_list
from agentcache.errors import ForeignToolError
from agentcache_crewai.hooks import Hooks, without_flags
from agentcache_crewai.preflight import counted, fits, undeferred
from agentcache_crewai.summing import summing
from agentcache_crewai.turns import (
    Stand,
    Turn,
    aentry,
    entry,
    sending,
    speech_of,
    turn_of,
)

__all__ = ["forked_copy", "stand_of"]

_CORRECTIONS: Final = 2
_PRIVATE: Final = ("_agentcache", "_agentcache_owner", "_agentcache_source")
_CHAIN: Final = ("_last_response_id", "_last_reasoning_items")
"""Where OpenAI's class keeps what its next call continues."""


class ForkMixin(Hooks):
    """Overrides that turn a model's requests into forks; everything else is the model's own."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one call as a fork: through the gate, recorded, its answer checked."""
        inner: Any = super()
        if turn_of(self) is not None:  # the class calls itself again, e.g. without `stop`
            return inner.call(messages, *args, **kwargs)
        stand, tries = self._agentcache, 0
        speech = speech_of(stand, self, messages, kwargs)
        while True:
            with (
                entry(stand, speech) as held,
                sending(Turn(id(self), stand, speech, held)) as turn,
                _chain(self, stand),
            ):
                said, given = _outgoing(turn, messages, args, kwargs)
                answer = inner.call(said, *args, **given)
            refused = _foreign(turn, answer)
            if not refused:
                return answer
            tries += 1
            messages = [*messages, _correction(turn, refused, tries)]

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Async twin of `call`."""
        inner: Any = super()
        if turn_of(self) is not None:
            return await inner.acall(messages, *args, **kwargs)
        stand, tries = self._agentcache, 0
        speech = speech_of(stand, self, messages, kwargs)
        while True:
            async with aentry(stand, speech) as held:
                with sending(Turn(id(self), stand, speech, held)) as turn, _chain(self, stand):
                    said, given = _outgoing(turn, messages, args, kwargs)
                    answer = await inner.acall(said, *args, **given)
            refused = _foreign(turn, answer)
            if not refused:
                return answer
            tries += 1
            messages = [*messages, _correction(turn, refused, tries)]

    def __copy__(self) -> Any:
        """Copy with counters of its own: a shared dict makes CrewAI count a call several times."""
        inner: Any = super()
        twin = _restate(inner.__copy__(), type(self), self._agentcache)
        twin._agentcache_source = self
        return twin


class CountingForkMixin(ForkMixin):
    """For crewai >= 1.15.29, whose models count a request before it is sent."""

    def get_input_tokens_count(self, messages: Any, *args: Any, **kwargs: Any) -> int:
        """Count the request that will be sent; a bare text, such as a tool result, as it is."""
        inner: Any = super()
        return counted(self, inner.get_input_tokens_count, messages, args, kwargs)

    def is_context_window_overflowing_threshold(
        self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any
    ) -> bool:
        """Answer without asking the provider, where that is wished and an estimate is sure."""
        inner: Any = super()
        fitting = fits(self, messages, tools)
        if fitting is not None:
            return not fitting
        return bool(inner.is_context_window_overflowing_threshold(messages, tools, *args, **kwargs))

    def is_tool_result_overflowing_threshold(self, tool_result: str) -> tuple[bool, int]:
        """Answer without asking the provider, where a result is replaced, or surely short."""
        inner: Any = super()
        tokens = undeferred(self, tool_result)
        if tokens is not None:
            return False, tokens
        found: tuple[bool, int] = inner.is_tool_result_overflowing_threshold(tool_result)
        return found

    def summarize_messages(self, messages: Any, *args: Any, **kwargs: Any) -> None:
        """Let CrewAI sum the conversation up; its call is a fork of that, where we compact."""
        inner: Any = super()
        stand = self._agentcache
        compactor = stand.fork.session.compactor
        if compactor is None:
            inner.summarize_messages(messages, *args, **kwargs)
            return

        def written(said: Any) -> Any:
            plain = list(said) if stand.wire.native else without_flags(said)
            asked = stand.wire.request(self, plain, None)
            return stand.fork.session.parent.dialect.split(asked).messages

        with summing(stand.voices, list(messages), written):
            inner.summarize_messages(messages, *args, **kwargs)


def forked_copy(llm: BaseLLM, stand: Stand) -> BaseLLM:
    """Return a copy of the model, of a subclass of its own class, that sends forks."""
    # CrewAI's own copy of a LiteLLM model builds a new one, and loses its timeout.
    twin: Any = _shallow(llm) if isinstance(llm, LLM) else copy.copy(llm)
    return cast("BaseLLM", _restate(twin, _forked_class(type(llm)), stand))


def stand_of(llm: object) -> Stand | None:
    """The stand of a forked model; None for any other object."""
    return llm._agentcache if isinstance(llm, ForkMixin) else None  # pyright: ignore[reportPrivateUsage]


def _shallow(llm: BaseLLM) -> Any:
    """Copy as pydantic does; its own way asks `LLM` for a new one, which wants arguments."""
    twin = object.__new__(type(llm))
    for name in ("__dict__", *(f"__pydantic_{n}__" for n in ("private", "fields_set", "extra"))):
        object.__setattr__(twin, name, copy.copy(getattr(llm, name)))
    return twin


def _restate(twin: Any, cls: type, stand: Stand) -> Any:
    object.__setattr__(twin, "__class__", cls)
    twin._agentcache = stand
    twin._token_usage = dict.fromkeys(twin._token_usage, 0)
    delegate = getattr(twin, "_responses_delegate", None)
    if delegate is not None and not stand.wire.chained(twin):
        twin._responses_delegate = _lent(delegate, twin, stand)
    return twin


def _lent(delegate: Any, owner: Any, stand: Stand) -> Any:
    """A copy of the model that Azure's class hands Responses to, with its owner's turns."""
    first: Any = stand.original
    lent = copy.copy(delegate)
    served: BaseLLM = first._responses_delegate
    object.__setattr__(lent, "__class__", _hooked_class(type(served)))
    lent._agentcache = replace(stand, original=served)
    lent._agentcache_owner = id(owner)
    lent._token_usage = dict.fromkeys(lent._token_usage, 0)
    return lent


@lru_cache(maxsize=64)
def _forked_class(cls: type[BaseLLM]) -> type[BaseLLM]:
    mixin = CountingForkMixin if hasattr(cls, "get_input_tokens_count") else ForkMixin
    return _class_of(f"Forked{cls.__name__}", mixin, cls)


@lru_cache(maxsize=8)
def _hooked_class(cls: type[BaseLLM]) -> type[BaseLLM]:
    return _class_of(f"Hooked{cls.__name__}", Hooks, cls)


def _class_of(name: str, mixin: type, cls: type[BaseLLM]) -> type[BaseLLM]:
    space = {
        "__module__": __name__,
        "__doc__": cls.__doc__,
        "__annotations__": dict.fromkeys(_PRIVATE, Any),
        **{name: PrivateAttr(default=None) for name in _PRIVATE},
    }
    return type(name, (mixin, cls), space)


@contextmanager
def _chain(llm: Any, stand: Stand) -> Generator[None]:
    """Share what a call continues: agents of one model continue each other's responses."""
    original: Any = stand.original
    chained = bool(stand.wire.chained(llm))
    kept = [name for name in _CHAIN if chained and hasattr(original, name)]
    for name in kept:
        setattr(llm, name, getattr(original, name))
    try:
        yield
    finally:
        for name in kept:
            setattr(original, name, getattr(llm, name))


def _outgoing(
    turn: Turn, messages: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """What is given to the model's own `call`. Native classes are forked later, on the wire."""
    tools = kwargs.get("tools")
    turn.offered = bool(args[0] if args else tools)
    turn.inline = bool(kwargs.get("available_functions") or args[2:3])  # it appends their results
    if turn.stand.wire.native or not is_list(messages) or args:
        return messages, dict(kwargs)
    plain = without_flags(messages)
    sent = turn.rewritten({"messages": plain, **({"tools": tools} if tools else {})})
    if turn.rewrite is None or not turn.rewrite.changed:
        return messages, dict(kwargs)
    return sent["messages"], {**kwargs, "tools": sent.get("tools")}


def _foreign(turn: Turn, answer: Any) -> tuple[str, ...]:
    """Foreign tools in an answer to a call that may use none.

    Where the agent has tools of its own CrewAI answers a foreign name with "Tool not found"; on
    its path without tools a tool call would end the task in a ValidationError.
    """
    rewrite = turn.rewrite
    if rewrite is None or not rewrite.forked or not turn.stand.attachment.options.guard:
        return ()
    if rewrite.allowed or not is_list(answer):
        return ()
    return foreign_tools([_called(item) for item in answer], rewrite.allowed)


def _called(item: Any) -> str:
    """Name in a tool call, in any of the shapes that CrewAI's model classes return."""
    if isinstance(item, dict):
        found = cast("dict[str, Any]", item)
        return str((found.get("function") or found).get("name", ""))
    named = getattr(item, "function", None) or getattr(item, "function_call", None) or item
    return str(getattr(named, "name", ""))


def _correction(turn: Turn, foreign: tuple[str, ...], tries: int) -> dict[str, Any]:
    """What the model is told; raises ForeignToolError once it has been told often enough."""
    if tries > _CORRECTIONS:
        raise ForeignToolError(
            f"Agent {turn.speech.name!r} called {', '.join(map(repr, foreign))} {tries} times "
            "though it has no such tool. Nothing was executed. Give the agent the tool, or a "
            "model that follows its instructions."
        )
    allowed = turn.rewrite.allowed if turn.rewrite is not None else ()
    return {"role": "user", "content": refusal_text(foreign, allowed) + " Answer in text."}
