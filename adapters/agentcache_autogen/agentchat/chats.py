"""The chat that an agent stands in: the manager's thread and the agent's own context as one."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any, Final

from autogen_agentchat.base import Team
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.utils import remove_images
from autogen_core import AgentId, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from agentcache.attach import CHAT_LAYOUTS, Options
from agentcache.blocks import dumps
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json, is_list, role_of
from agentcache.dialects.openai_chat import texts_of
from agentcache.sdk.turns import Hears
from agentcache.transcripts import Line, Transcript, merged, said
from agentcache_autogen.agentchat.contexts import Window
from agentcache_autogen.agentchat.wires import Source

__all__ = ["agent_hears", "manager_of", "selector_hears", "thread_of"]

_TRACE: Final = "trace"
_ABOVE: Final = "(the conversation above)"


async def manager_of(team: Team | None) -> Any:
    """The manager of a team that runs, where it can be reached from here; None if not."""
    if not isinstance(team, BaseGroupChat):
        return None
    kept: Any = team
    try:
        key = AgentId(kept._group_chat_manager_topic_type, kept._team_id)
        return await kept._runtime.try_get_underlying_agent_instance(key)
    except (LookupError, NotImplementedError, TypeError):  # not started, or in another process
        return None


async def thread_of(team: Team | None, *, vision: bool = True) -> list[LLMMessage]:
    """What has been said to all in a team, as each of them was told it."""
    manager = await manager_of(team)
    thread: list[LLMMessage] = []
    for message in getattr(manager, "_message_thread", ()):
        if isinstance(message, HandoffMessage):
            thread += message.context
        if isinstance(message, BaseChatMessage):
            thread.append(message.to_model_message())
    return thread if vision else remove_images(thread)


def agent_hears(
    messages: Sequence[LLMMessage],
    thread: Sequence[LLMMessage],
    name: str,
    options: Options,
    window: Window | None = None,
) -> Hears:
    """How the request is heard that an agent of this name makes of these messages.

    Through a `window` it hears what that holds, and no more of the thread.
    """
    whole = options.history == "group" and window is None
    lead = sum(1 for _ in takewhile(lambda m: isinstance(m, SystemMessage), messages))

    def hears(wire: Dialect, before: Json) -> Transcript | str:
        held = _aligned(messages[lead:], wire.split(before).messages)
        if held is None:
            return "unreadable: the client writes these messages in an order of its own"
        context = [_line(m, sent, wire) for m, sent in zip(messages[lead:], held, strict=True)]
        lines = merged(_lines(thread, wire, window), context, name, whole=whole)
        if options.private_traces == "drop":
            lines = list(_without_traces(lines))
        return _transcript(lines, options)

    return hears


def selector_hears(
    thread: Sequence[LLMMessage], history: str, options: Options, window: Window | None = None
) -> Hears:
    """How the choice of a speaker is heard: the chat, then the prompt without its copy of it."""

    def hears(wire: Dialect, before: Json) -> Transcript | str:
        split = wire.split(before)
        first = split.messages[0].get("content") if split.messages else ""
        asked = "\n\n".join(split.system or texts_of(first))
        if not history.strip() or history.strip() not in asked:
            return "selection: its prompt does not hold the chat as it is"
        prompt = asked.replace(history.strip(), _ABOVE)
        retries = split.messages if split.system else split.messages[1:]
        lines = [*_lines(thread, wire, window), *(Line("", None, [m]) for m in retries)]
        return _transcript(lines, options, system=(prompt,))

    return hears


def _lines(thread: Sequence[LLMMessage], wire: Dialect, window: Window | None) -> list[Line]:
    """What was said to all; where there is a window, what is still seen through that."""
    lines = [_line(m, [], wire) for m in thread if _name(m) is not None]
    if window is None:
        return lines
    waiting: dict[str, list[int]] = {}
    for n, line in enumerate(lines):
        waiting.setdefault(line.key, []).append(n)
    held: list[int] = []
    for n, message in enumerate(window.messages):
        found = waiting.get(_line(message, [], wire).key) if _name(message) is not None else None
        if found:  # what is forgotten, too: the same may be said again
            at = found.pop(0)
            held += [at] if window.holds(n) else []
    return [lines[at] for at in sorted(held)]


def _line(message: LLMMessage, sent: Sequence[Json], wire: Dialect) -> Line:
    """One message of a chat; `sent` is how its client writes it, if it does."""
    name = _name(message)
    if name is None:
        own = isinstance(message, AssistantMessage | FunctionExecutionResultMessage)
        return Line(_TRACE if own else "", None, list(sent))
    content: Any = message.content
    key = content if isinstance(content, str) else dumps([_key(part) for part in content])
    if is_list(content):
        content = [_part(part, wire) for part in content]
    return Line(f"{name}\n{key}", name, [said(wire, name, content)])


def _name(message: LLMMessage) -> str | None:
    """Who said this to all; None for what is an agent's own."""
    if isinstance(message, UserMessage):
        return message.source
    if isinstance(message, AssistantMessage) and isinstance(message.content, str):
        return message.source
    return None


def _key(part: str | Image) -> str:
    return part if isinstance(part, str) else part.to_base64()


def _part(part: str | Image, wire: Dialect) -> Json:
    """A part of what was said to all, as autogen-ext's clients write it."""
    if isinstance(part, str):
        return {"type": wire.text_type, "text": part}
    if wire.name == "openai.chat":
        return dict(part.to_openai_format())
    data = part.to_base64()
    if wire.name == "anthropic.messages":
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return {"type": "image", "source": source}
    return {"type": "image", "text": "", "data": data, "source": Source(part)}


def _aligned(messages: Sequence[LLMMessage], sent: Sequence[Json]) -> list[Sequence[Json]] | None:
    """For each message how it was written; None if that cannot be told."""
    out: list[Sequence[Json]] = []
    at = 0
    for message in messages:
        end = at
        if isinstance(message, FunctionExecutionResultMessage):
            last = at + len(message.content)
            while end < min(last, len(sent)) and _is_result(sent[end]):
                end += 1
        elif at < len(sent) and role_of(sent[at]) == _role(message) and not _is_result(sent[at]):
            end += 1
        out.append(sent[at:end])
        if end == at:
            return None
        at = end
    return out if at == len(sent) else None


def _role(message: LLMMessage) -> str:
    if isinstance(message, SystemMessage):
        return "system"
    return "user" if isinstance(message, UserMessage) else "assistant"


def _is_result(sent: Json) -> bool:
    content: Any = sent.get("content")
    parts = content if is_list(content) else []
    in_parts = any(is_json(part) and part.get("type") == "tool_result" for part in parts)
    return role_of(sent) == "tool" or in_parts


def _without_traces(lines: Sequence[Line]) -> Iterator[Line]:
    """The chat without the tool calls of turns whose outcome was said to all."""
    heard = max((n for n, line in enumerate(lines) if line.name is not None), default=0)
    for n, line in enumerate(lines):
        if line.key != _TRACE or n > heard:
            yield line


def _transcript(
    lines: Sequence[Line], options: Options, system: tuple[str, ...] | None = None
) -> Transcript:
    messages = [(message, line.name is not None) for line in lines for message in line.message]
    return Transcript(
        tuple(message for message, _ in messages),
        tuple(public for _, public in messages),
        system,
        always=options.layout in CHAT_LAYOUTS,
    )
