"""What a dialect is: how one API writes tools, system text, messages, marks and restrictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from agentcache.blocks import Block, dumps

__all__ = ["Dialect", "Json", "Parts", "strip_marks"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """A request taken apart: `system` texts, the `messages` after them, `tools`, and the `rest`."""

    system: tuple[str, ...]
    messages: tuple[Json, ...]
    tools: tuple[Json, ...]
    rest: Json = field(default_factory=dict[str, Any])


class Dialect(Protocol):
    """One API's way of writing a request.

    `text_type` is the type of a text part, `mark_key` the key under which a part carries a cache
    mark, `context_in` where shared context stands so that no fork's own settings invalidate it.
    """

    name: str
    text_type: str
    mark_key: str
    context_in: Literal["system", "user"]

    def split(self, request: Mapping[str, Any]) -> Parts:
        """Take a request apart."""
        ...

    def join(
        self,
        rest: Mapping[str, Any],
        tools: Sequence[Json],
        system: Sequence[Json],
        messages: Sequence[Json],
    ) -> Json:
        """Put a request together; `system` are text parts."""
        ...

    def blocks(self, request: Mapping[str, Any]) -> tuple[Block, ...]:
        """Cut a request into blocks, in the order the provider hashes them."""
        ...

    def request(self, blocks: Sequence[Block]) -> Json:
        """Put blocks back together: the inverse of `blocks`, byte for byte."""
        ...

    def tool_name(self, tool: Mapping[str, Any]) -> str:
        """Name of one tool definition."""
        ...

    def allow(self, names: Sequence[str]) -> Json:
        """Parameters that restrict a call to these tools without touching the prefix.

        An empty `names` forbids every tool; an empty result means the API has no such parameter.
        """
        ...

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Whether the API accepts a mark on this part of this message."""
        ...


class BlockCutter:
    """The block arithmetic that all dialects share; a dialect names its keys."""

    mark_key: str
    rendered: tuple[str, ...]
    system_key: str
    messages_key: str

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Whether a part may carry a mark."""
        raise NotImplementedError

    def blocks(self, request: Mapping[str, Any]) -> tuple[Block, ...]:
        """Cut a request into blocks, in the order the provider hashes them."""
        big = {"tools", self.system_key, self.messages_key}
        params = [k for k in request if k not in big and k in self.rendered]
        free = [k for k in request if k not in big and k not in self.rendered]
        out = [Block("params", k, dumps(request[k])) for k in params]
        out += self._list("tools", "tools", request)
        if self.system_key != self.messages_key and self.system_key in request:
            out += self._system(request[self.system_key])
        out += self._messages(request)
        out += [Block("free", k, dumps(request[k])) for k in free]
        order = {key: str(n) for n, key in enumerate(request)}
        return (*out, Block("free", "*order", dumps(list(order))))

    def _list(self, section: Literal["tools", "system"], key: str, request: Any) -> list[Block]:
        values = cast("Sequence[Json]", request.get(key) or ())
        out: list[Block] = []
        for n, value in enumerate(values):
            body, mark = strip_marks(value, self.mark_key)
            out.append(Block(section, f"{key}[{n}]", dumps(body), mark=mark))
        return out

    def _system(self, system: Any) -> list[Block]:
        if isinstance(system, str):
            return [Block("system", self.system_key, dumps(system), role="system", markable=False)]
        return self._list("system", self.system_key, {self.system_key: system})

    def _messages(self, request: Mapping[str, Any]) -> list[Block]:
        value = request.get(self.messages_key)
        if isinstance(value, str):
            return [Block("messages", self.messages_key, dumps(value), "user", markable=False)]
        out: list[Block] = []
        for n, message in enumerate(cast("Sequence[Json]", value or ())):
            out += self._message(f"{self.messages_key}[{n}]", message)
        return out

    def _message(self, path: str, message: Json) -> list[Block]:
        role = str(message.get("role", message.get("type", "")))
        content = message.get("content")
        if not isinstance(content, list) or not content:
            may = role not in {"assistant"} and isinstance(content, str)
            return [Block("messages", path, dumps(message), role, markable=may)]
        envelope = dumps({**message, "content": None})
        out: list[Block] = []
        for n, part in enumerate(cast("list[Json]", content)):
            body, mark = strip_marks(part, self.mark_key)
            may = self.markable(message, part)
            here = f"{path}.content[{n}]"
            out.append(Block("messages", here, dumps(body), role, mark, envelope, may))
        return out

    def request(self, blocks: Sequence[Block]) -> Json:
        """Put blocks back together: the inverse of `blocks`, byte for byte."""
        found: Json = {}
        order: list[str] = []
        for block in blocks:
            value = json.loads(block.json)
            if block.path == "*order":
                order = value
            elif block.section in ("params", "free"):
                found[block.path] = value
            else:
                self._put(found, block, value)
        return {key: found.get(key, []) for key in order}

    def _put(self, found: Json, block: Block, value: Any) -> None:
        key = block.path.partition("[")[0]
        if "[" not in block.path:
            found[key] = value
            return
        if block.mark:
            value = _with_mark(value, self.mark_key, block.mark)
        rows = cast("list[Json]", found.setdefault(key, []))
        if not block.envelope:
            rows.append(value)
            return
        if block.path.endswith(".content[0]"):
            rows.append({**json.loads(block.envelope), "content": []})
        rows[-1]["content"].append(value)


def strip_marks(part: Any, mark_key: str) -> tuple[Any, str]:
    """Split a part into itself without its mark, and the mark as JSON with its key position."""
    if not isinstance(part, dict) or mark_key not in part:
        return part, ""
    body = cast("Json", part)
    position = list(body).index(mark_key)
    return (
        {k: v for k, v in body.items() if k != mark_key},
        dumps([position, body[mark_key]]),
    )


def _with_mark(part: Json, mark_key: str, mark: str) -> Json:
    position, value = json.loads(mark)
    items = list(part.items())
    items.insert(position, (mark_key, value))
    return dict(items)
