"""Contexts that forget in blocks: AgentChat's bounded ones, so that their head stays for a while.

What an agent is told is kept by the user's own context: ours shares all that it has, and only hands
it out otherwise. A saved state and a dumped component are the user's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)

from agentcache.compaction import dropped, gap, opening

__all__ = ["Window", "given_context", "may_steady", "steady", "window_of"]

_GIVEN: Final = "_agentcache_given"


@dataclass(frozen=True, slots=True)
class Window:
    """What a context holds: all its `messages`, and from which to before which are left out."""

    messages: Sequence[LLMMessage]
    start: int
    end: int

    @property
    def gone(self) -> int:
        """How many are left out."""
        return self.end - self.start

    def holds(self, n: int) -> bool:
        """Whether it hands out its message of this number."""
        return not self.start <= n < self.end


class SteadyMixin:
    """Overrides what a context hands out; the user's own context keeps the rest."""

    __slots__ = (_GIVEN,)

    async def get_messages(self) -> list[LLMMessage]:
        """The messages, less those that are left out."""
        kept: Any = self
        window = _window(kept)
        skipped: list[LLMMessage] = []
        if window.gone and isinstance(self, HeadAndTailChatCompletionContext):
            told = f"Skipped {window.gone} messages."
            skipped = [UserMessage(content=told, source="System")]  # as AutoGen says it
        messages = window.messages
        return [*messages[: window.start], *skipped, *messages[window.end :]]

    def dump_component(self) -> Any:
        """The component as the user has made it."""
        return given_context(self).dump_component()


class SteadyBuffered(SteadyMixin, BufferedChatCompletionContext):
    """The latest messages."""


class SteadyHeadAndTail(SteadyMixin, HeadAndTailChatCompletionContext):
    """The first messages and the latest."""


class SteadyTokenLimited(SteadyMixin, TokenLimitedChatCompletionContext):
    """The first messages and the latest, by tokens: AutoGen's own forgets the middle, too."""


_CLASSES: Final[dict[type[Any], type[Any]]] = {
    BufferedChatCompletionContext: SteadyBuffered,
    HeadAndTailChatCompletionContext: SteadyHeadAndTail,
    TokenLimitedChatCompletionContext: SteadyTokenLimited,
}


def may_steady(context: object) -> bool:
    """Whether it is known how this context forgets; a class of the user's own is left as it is."""
    return type(context) in _CLASSES


def steady(context: ChatCompletionContext) -> ChatCompletionContext:
    """A context in the name of this one, which keeps all there is to keep."""
    cls = _CLASSES[type(context)]
    made: Any = object.__new__(cls)
    made.__dict__ = vars(context)
    setattr(made, _GIVEN, context)
    return cast("ChatCompletionContext", made)


def given_context(context: object) -> Any:
    """The user's own context behind ours; any other object is itself."""
    return getattr(context, _GIVEN) if isinstance(context, SteadyMixin) else context


def window_of(context: object) -> Window | None:
    """What one of our contexts hands out now; None for any other object."""
    return _window(context) if isinstance(context, SteadyMixin) else None


def _window(kept: Any) -> Window:
    messages: list[LLMMessage] = kept._messages
    counted = [1] * len(messages)
    if isinstance(kept, HeadAndTailChatCompletionContext):
        held: Any = kept
        start, end = gap(counted, held._head_size + held._tail_size, held._head_size)
    elif isinstance(kept, TokenLimitedChatCompletionContext):
        start, end = _by_tokens(kept, messages)
    else:
        start, end = 0, dropped(counted, kept._buffer_size)
    return Window(messages, *_paired(messages, start, end))


def _by_tokens(kept: Any, messages: list[LLMMessage]) -> tuple[int, int]:
    """What is left out so that the client counts no more than the limit."""
    count, limit = _counting(kept)
    base = count([])
    weights = [max(0, count([message]) - base) for message in messages]
    allowed = room = limit - base
    while True:
        start, end = gap(weights, room, opening(weights, room // 2))
        start, end = (start, end) if end > start else (0, 0)
        counted = count([*messages[:start], *messages[end:]]) - base
        if counted <= allowed or end - start == len(messages):
            return start, end
        room = min(room - 1, room * allowed // counted)  # it counts more for all than for each


def _counting(kept: Any) -> tuple[Callable[[list[LLMMessage]], int], int]:
    """How a context counts tokens, and how many it allows."""
    client, tools, limit = kept._model_client, kept._tool_schema, kept._token_limit
    if limit is None:
        return (lambda messages: -int(client.remaining_tokens(messages, tools=tools))), 0
    return (lambda messages: int(client.count_tokens(messages, tools=tools))), limit


def _paired(messages: Sequence[LLMMessage], start: int, end: int) -> tuple[int, int]:
    """The same, and with it the results of calls that are left out, and the other way round."""
    if end > start or not start:
        while end < len(messages) and isinstance(messages[end], FunctionExecutionResultMessage):
            end += 1
    while start and end > start and _calls(messages[start - 1]):
        start -= 1
    return start, end


def _calls(message: LLMMessage) -> bool:
    """Whether a message only calls tools."""
    return isinstance(message, AssistantMessage) and not isinstance(message.content, str)
