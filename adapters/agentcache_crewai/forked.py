"""A forked model: a dynamic subclass of the model's own class, over a copy of the model.

A delegating wrapper loses native tools, streaming, stop words and usage in CrewAI; a subclass of
the object's own class keeps all of them, because CrewAI asks for the class in many places.
"""

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

from crewai import BaseLLM
from pydantic import PrivateAttr

from agentcache.allow import foreign_tools, refusal_text
from agentcache.dialects.base import is_list
from agentcache.errors import ForeignToolError
from agentcache.usage import Usage
from agentcache_crewai.turns import (
    Stand,
    Turn,
    aentry,
    entry,
    previewing,
    sending,
    speech_of,
    turn_of,
)
from agentcache_crewai.wires import fit_sdk

__all__ = ["forked_copy", "stand_of"]

_CORRECTIONS: Final = 2
_FRAMEWORK_KEYS: Final = ("cache_breakpoint",)
"""Keys CrewAI puts on messages for itself; some of its classes leak them onto the wire."""


class ForkMixin:
    """Overrides that turn a model's requests into forks; everything else is the model's own."""

    _agentcache: Stand

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
                with sending(Turn(id(self), stand, speech, held)) as turn:
                    said, given = _outgoing(turn, messages, args, kwargs)
                    answer = await inner.acall(said, *args, **given)
            refused = _foreign(turn, answer)
            if not refused:
                return answer
            tries += 1
            messages = [*messages, _correction(turn, refused, tries)]

    def _prepare_completion_params(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        params: dict[str, Any] = inner._prepare_completion_params(*args, **kwargs)
        turn = turn_of(self)
        if turn is None:
            return params
        return fit_sdk(turn.stand.wire, turn.rewritten(params), params)

    def _emit_stream_chunk_event(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        turn = turn_of(self)
        if turn is not None:
            turn.event()
        return inner._emit_stream_chunk_event(*args, **kwargs)

    def _extract_openai_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response)
        return inner._extract_openai_token_usage(response)

    def _extract_anthropic_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response)
        return inner._extract_anthropic_token_usage(response)

    def _track_token_usage_internal(self, usage_data: dict[str, Any]) -> None:
        """Count on this fork alone, and on the original for whoever reads the total there."""
        inner: Any = super()
        turn = turn_of(self)
        if turn is not None and turn.usage.input_tokens is None:
            turn.usage = _crewai_usage(usage_data)
        inner._track_token_usage_internal(usage_data)
        original: Any = self._agentcache.original
        original._track_token_usage_internal(usage_data)

    def __copy__(self) -> Any:
        """Copy with counters of its own: a shared dict makes CrewAI count a call several times."""
        inner: Any = super()
        return _restate(inner.__copy__(), type(self), self._agentcache)


class CountingForkMixin(ForkMixin):
    """For crewai >= 1.15.29, whose models count a request before it is sent."""

    def get_input_tokens_count(self, messages: Any, *args: Any, **kwargs: Any) -> int:
        """Count the request that will be sent; a bare text, such as a tool result, as it is."""
        inner: Any = super()
        if turn_of(self) is not None or not is_list(messages):
            return int(inner.get_input_tokens_count(messages, *args, **kwargs))
        with previewing(self, self._agentcache):
            return int(inner.get_input_tokens_count(messages, *args, **kwargs))


def forked_copy(llm: BaseLLM, stand: Stand) -> BaseLLM:
    """Return a copy of the model, of a subclass of its own class, that sends forks."""
    return cast("BaseLLM", _restate(copy.copy(llm), _forked_class(type(llm)), stand))


def stand_of(llm: object) -> Stand | None:
    """The stand of a forked model; None for any other object."""
    return llm._agentcache if isinstance(llm, ForkMixin) else None  # pyright: ignore[reportPrivateUsage]


def _restate(twin: Any, cls: type, stand: Stand) -> Any:
    object.__setattr__(twin, "__class__", cls)
    twin._agentcache = stand
    twin._token_usage = dict.fromkeys(twin._token_usage, 0)
    return twin


@lru_cache(maxsize=64)
def _forked_class(cls: type[BaseLLM]) -> type[BaseLLM]:
    space = {
        "__module__": __name__,
        "__doc__": cls.__doc__,
        "__annotations__": {"_agentcache": Any},
        "_agentcache": PrivateAttr(default=None),
    }
    mixin = CountingForkMixin if hasattr(cls, "get_input_tokens_count") else ForkMixin
    return type(f"Forked{cls.__name__}", (mixin, cls), space)


def _outgoing(
    turn: Turn, messages: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """What is given to the model's own `call`. Native classes are forked later, on the wire."""
    if turn.stand.wire.native or not is_list(messages) or args:
        return messages, dict(kwargs)
    plain = [{k: v for k, v in m.items() if k not in _FRAMEWORK_KEYS} for m in messages]
    tools = kwargs.get("tools")
    sent = turn.rewritten({"messages": plain, **({"tools": tools} if tools else {})})
    if turn.rewrite is None or not turn.rewrite.forked:
        return messages, dict(kwargs)
    return sent["messages"], {**kwargs, "tools": sent.get("tools")}


def _note_usage(llm: object, response: Any) -> None:
    turn, usage = turn_of(llm), getattr(response, "usage", None)
    if turn is not None and usage is not None:
        turn.usage = Usage.from_payload(usage.model_dump())
        ledger = turn.stand.attachment.ledger
        ledger.answered(getattr(response, "id", ""), getattr(response, "system_fingerprint", ""))


def _crewai_usage(data: Mapping[str, Any]) -> Usage:
    """Read CrewAI's own counters, all a model class without a known wire gives."""

    def count(*names: str) -> int | None:
        return next((int(data[n]) for n in names if isinstance(data.get(n), int)), None)

    return Usage(
        count("prompt_tokens", "input_tokens"),
        count("cached_prompt_tokens", "cached_tokens"),
        count("cache_creation_tokens"),
        count("completion_tokens", "output_tokens"),
    )


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
    return str(getattr(getattr(item, "function", None) or item, "name", ""))


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
