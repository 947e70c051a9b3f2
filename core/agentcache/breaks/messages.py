"""Messages, as they are compared: without marks, and without the ids of calls."""

import hashlib
from typing import Any, Final

from agentcache.blocks import dumps
from agentcache.dialects.base import is_json, is_list, role_of, strip_marks
from agentcache.dialects.openai_chat import texts_of

__all__ = ["Message", "is_image", "is_result", "parts_of", "text_of"]

_SYSTEM: Final = ("system", "developer")
_RESULTS: Final = ("tool", "function", "function_call_output", "custom_tool_call_output")
_IDS: Final = ("tool_call_id", "tool_use_id", "call_id")
_IMAGES: Final = ("image", "image_url", "input_image", "input_file", "document", "file")


class Message:
    """One message: its number, its `body` as sent, and a digest of it without its marks."""

    __slots__ = ("_bare", "key", "mark_key", "number", "sent")

    def __init__(self, number: int, sent: Any, key: bytes, mark_key: str) -> None:
        self.number, self.sent, self.key = number, sent, key
        self.mark_key = mark_key
        self._bare: bytes | None = None

    @property
    def body(self) -> Any:
        """The message without its marks."""
        return _unmarked(self.sent, self.mark_key)

    @property
    def bare(self) -> bytes:
        """A digest of it without the ids that tie calls to results."""
        if self._bare is None:
            self._bare = _digest(_without_ids(self.body)) if _has_ids(self.sent) else self.key
        return self._bare

    @property
    def role(self) -> str:
        """Role, or the type of an item that has none."""
        return role_of(self.sent)

    @property
    def is_system(self) -> bool:
        """Whether the program speaks as the system."""
        return self.role in _SYSTEM


def is_image(part: Any) -> bool:
    return is_json(part) and part.get("type") in _IMAGES


def parts_of(body: Any) -> list[Any]:
    content: Any = body.get("content") if is_json(body) else None
    return content if is_list(content) else []


def is_result(message: Message) -> bool:
    kinds = [part.get("type") for part in parts_of(message.body) if is_json(part)]
    return message.role in _RESULTS or "tool_result" in kinds


def text_of(body: Any) -> str:
    if not is_json(body):
        return dumps(body)
    held: Any = body.get("content", body.get("output", body.get("summary")))
    if isinstance(held, str):
        return held
    texts = [t for t in texts_of(held) if t] if is_list(held) else []
    return "\n".join(texts) or dumps(held)


def _unmarked(value: Any, mark_key: str) -> Any:
    """A message without marks, however deep they stand."""
    body = strip_marks(value, mark_key)[0] if mark_key else value
    if is_json(body):
        return {k: _unmarked(v, mark_key) if is_list(v) else v for k, v in body.items()}
    return [_unmarked(v, mark_key) for v in body] if is_list(body) else body


def _has_ids(value: Any) -> bool:
    """Whether a message holds ids of calls."""
    if not is_json(value):
        return False
    kinds = [part.get("type") for part in parts_of(value) if is_json(part)]
    named = any(key in value for key in (*_IDS, "tool_calls"))
    return named or "tool_use" in kinds or "tool_result" in kinds


def _without_ids(value: Any) -> Any:
    """A message without the ids that tie calls to results."""
    if is_json(value):
        named = value.get("type") in ("tool_use", "function", "function_call", "custom_tool_call")
        drop = (*_IDS, *(("id",) if named or "arguments" in value else ()))
        return {k: _without_ids(v) for k, v in value.items() if k not in drop}
    return [_without_ids(v) for v in value] if is_list(value) else value


def _digest(body: Any) -> bytes:
    text = dumps(body).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=12).digest()
