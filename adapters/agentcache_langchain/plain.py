"""Messages as JSON, for model classes that show no request: taken apart, forked, put back."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agentcache.dialects.base import is_json

__all__ = ["Plain"]

_ROLES: Final = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
_SOURCE: Final = "source"


class _Source:
    """The message that a JSON message was made from; in JSON it is named by its type alone."""

    __slots__ = ("message",)

    def __init__(self, message: BaseMessage) -> None:
        self.message = message


class Plain:
    """One call's messages and tools, in the form of `openai.chat.text`."""

    def __init__(self, model: str, messages: Sequence[BaseMessage]) -> None:
        """Take the messages of one call."""
        self._model = model
        self._messages = messages

    def body(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The call as a request."""
        said = [_json(message) for message in self._messages]
        held = {k: v for k, v in kwargs.items() if k in ("tools", "tool_choice") and v is not None}
        format_ = {k: v for k, v in kwargs.items() if k == "response_format" and v is not None}
        return {"model": self._model, "messages": said, **held, **format_}

    def readable(self, body: Mapping[str, Any]) -> bool:
        """Whether its tools are in a form in which they can be told apart."""
        tools: Sequence[Any] = body.get("tools") or ()
        return all(is_json(t) and is_json(t.get("function")) for t in tools)

    def back(
        self, body: Mapping[str, Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """The forked request as LangChain's messages and arguments."""
        changed = {k: body[k] for k in ("tools", "tool_choice") if k in body}
        return [_message(m) for m in body["messages"]], {**kwargs, **changed}


def _json(message: BaseMessage) -> dict[str, Any]:
    role = _ROLES.get(message.type, str(getattr(message, "role", message.type)))
    said: dict[str, Any] = {"role": role, "content": message.content}
    if isinstance(message, AIMessage) and message.tool_calls:
        said["tool_calls"] = [dict(call) for call in message.tool_calls]
    if isinstance(message, ToolMessage):
        said["tool_call_id"] = message.tool_call_id
    return {**said, _SOURCE: _Source(message)}


def _message(said: Mapping[str, Any]) -> BaseMessage:
    source = said.get(_SOURCE)
    if isinstance(source, _Source):
        same = source.message.content is said["content"]
        changed = {"content": said["content"]}
        return source.message if same else source.message.model_copy(update=changed)
    role = SystemMessage if said["role"] == "system" else HumanMessage
    return role(content=said["content"])
