"""Limits of classic agents that drop in blocks: TransformMessages, with a head that stays."""

import copy
import sys
from functools import partial
from typing import Any, Final

from agentcache.compaction import dropped, gap
from agentcache.dialects.base import is_list
from agentcache_autogen.windows import Pace

__all__ = ["Limits", "is_limited", "is_steady", "may_steady", "moved"]

Message = dict[str, Any]
_HOOK: Final = "process_all_messages_before_reply"
_MODULES: Final = "autogen.agentchat.contrib.capabilities"


class SteadyMixin:
    """Overrides how a limiter limits; what it was told to keep is kept by the user's own."""

    __slots__ = ("_agentcache_gone",)

    def leave(self, messages: list[Message], start: int, end: int) -> list[Message]:
        """The messages without those from `start` to before `end`, and results of those."""
        while 0 < end < len(messages) and end > start and messages[end].get("role") == "tool":
            end += 1
        first = f"{messages[0]!r:.500}" if messages else ""
        self._agentcache_gone = (first, end - start)
        return [*messages[:start], *messages[end:]]


class SteadyHistory(SteadyMixin):
    """Stands in for MessageHistoryLimiter."""

    def apply_transform(self, messages: list[Message]) -> list[Message]:
        """The messages, the earliest of them dropped in blocks."""
        kept: Any = self
        names: Any = getattr(kept, "_exclude_names", None) or ()
        held = [m for m in messages if m.get("name") not in names] if names else messages
        limit = len(held) if kept._max_messages is None else kept._max_messages
        head = 1 if kept._keep_first_message else 0
        start, end = gap([1] * len(held), limit, head) if len(held) > limit else (0, 0)
        return self.leave(held, start, end)


class SteadyTokens(SteadyMixin):
    """Stands in for MessageTokenLimiter."""

    def apply_transform(self, messages: list[Message]) -> list[Message]:
        """The messages, each cut as before, the earliest of them dropped in blocks."""
        kept: Any = self
        util: Any = sys.modules[f"{_MODULES}.transforms_util"]
        if not util.min_tokens_reached(messages, kept._min_tokens):
            return self.leave(messages, 0, 0)
        held, weights = copy.deepcopy(messages), list[int]()
        for message in held:
            right = util.is_content_right_type(message.get("content"))
            told = (message, kept._filter_dict, kept._exclude_filter)
            if right and util.should_transform_message(*told):
                _cut(kept, message, kept._max_tokens_per_message)
            weights.append(util.count_text_tokens(message["content"]) if right else 0)
        end = dropped(weights, kept._max_tokens)
        if messages and end == len(held):  # the latest alone is too long
            end -= 1
            _cut(kept, held[end], kept._max_tokens)
        return self.leave(held, 0, end)


def _cut(limiter: Any, message: Message, tokens: int) -> None:
    content = message.get("content")
    if isinstance(content, str) or is_list(content):
        message["content"] = limiter._truncate_str_to_tokens(content, tokens)


class Limits:
    """Exchanges limiters for ones that drop in blocks, and gives the user's own back."""

    def __init__(self) -> None:
        """Nothing is exchanged yet."""
        self._given: list[tuple[Any, Any]] = []

    def steady(self, agent: Any) -> list[str]:
        """Exchange those of an agent; returns the names of their classes."""
        names: list[str] = []
        hooks: Any = agent.hook_lists.get(_HOOK, ())
        for one in [_holder(hook) for hook in hooks if may_steady(hook)]:
            names += [type(each).__name__ for each in one._transforms]
            if not all(isinstance(each, SteadyMixin) for each in one._transforms):
                self._given.append((one, one._transforms))
                one._transforms = [_steady(each) for each in one._transforms]
        return names

    def release(self) -> None:
        """Put the user's own back."""
        for one, transforms in reversed(self._given):
            one._transforms = transforms
        self._given.clear()


def is_steady(hook: Any) -> bool:
    """Whether a hook only limits, in blocks."""
    one = _holder(hook)
    if one is None or not one._transforms:
        return False
    return all(isinstance(each, SteadyMixin) for each in one._transforms)


def may_steady(hook: Any) -> bool:
    """Whether a hook only limits, so that it could do so in blocks."""
    one = _holder(hook)
    return one is not None and bool(one._transforms) and all(map(_is_known, one._transforms))


def is_limited(agent: Any) -> bool:
    """Whether an agent reads no more than a limit of ours lets through."""
    return any(map(is_steady, agent.hook_lists.get(_HOOK, ())))


def moved(agent: Any, pace: Pace) -> str:
    """Why an agent's messages begin otherwise than they did; empty if they do not."""
    told: list[str] = []
    for hook in agent.hook_lists.get(_HOOK, ()):
        one = _holder(hook)
        for n, each in enumerate(one._transforms if one is not None else ()):
            first, gone = getattr(each, "_agentcache_gone", ("", 0))
            told.append(pace.moved(gone, f"{n} {first}"))
    return " ".join(filter(None, told))


def _holder(hook: Any) -> Any:
    """The TransformMessages that a hook belongs to; None if it belongs to none."""
    does: Any = hook.func if isinstance(hook, partial) else hook
    cls = getattr(sys.modules.get(f"{_MODULES}.transform_messages"), "TransformMessages", None)
    one = getattr(does, "__self__", None)
    return one if cls is not None and type(one) is cls else None


def _classes() -> dict[Any, type[Any]]:
    module: Any = sys.modules.get(f"{_MODULES}.transforms")
    if module is None:
        return {}
    return {module.MessageHistoryLimiter: SteadyHistory, module.MessageTokenLimiter: SteadyTokens}


def _is_known(transform: Any) -> bool:
    return isinstance(transform, SteadyMixin) or type(transform) in _classes()


def _steady(transform: Any) -> Any:
    """A limiter in the name of this one, which keeps all that it keeps."""
    if isinstance(transform, SteadyMixin):
        return transform
    cls: Any = transform.__class__
    space = {"__module__": __name__, "__doc__": cls.__doc__}
    made: Any = object.__new__(type(f"Steady{cls.__name__}", (_classes()[cls], cls), space))
    made.__dict__ = vars(transform)
    return made
