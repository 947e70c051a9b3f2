"""What a dialect is: how one API writes tools, system text, messages, marks and restrictions."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeGuard, cast

from agentcache.blocks import Block, Cuts, dumps, frozen

__all__ = ["Dialect", "Json", "Parts", "Sent", "is_json", "is_list", "role_of", "strip_marks"]

Json = dict[str, Any]
_ORDER: Final = "*order"


@dataclass(frozen=True, slots=True)
class Parts:
    """A request taken apart: `system` texts, the `messages` after them, `tools`, and the `rest`."""

    system: tuple[str, ...]
    messages: tuple[Json, ...]
    tools: tuple[Json, ...]
    rest: Json = field(default_factory=dict[str, Any])


class Sent(Json):
    """A request as it was sent, which nobody changes: `wire` cut it into its `blocks`.

    `said` are its messages, as whoever compares them knows them.
    """

    __slots__ = ("blocks", "said", "wire")

    blocks: tuple[Block, ...]
    said: Sequence[Any]
    wire: object

    def blocks_of(self, wire: object) -> tuple[Block, ...] | None:
        """The blocks, as far as this dialect cut them."""
        return self.blocks if self.wire is wire else None


class Dialect(Protocol):
    """One API's way of writing a request.

    `text_type` is the type of a text part, `mark_key` the key under which a part carries a cache
    mark, `rendered` the parameters that render ahead of everything else, `messages_key` the key of
    the messages, `context_in` where shared context stands so that no fork's own settings
    invalidate it. `alternates` says that the roles user and assistant take turns.
    """

    name: str
    text_type: str
    mark_key: str
    messages_key: str
    rendered: tuple[str, ...]
    context_in: Literal["system", "user"]
    alternates: bool

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

    def opened(self, opening: Sequence[Json], messages: Sequence[Json]) -> list[Json]:
        """Put user text parts in front of messages, in the same shape whatever follows."""
        ...

    def blocks(self, request: Mapping[str, Any]) -> tuple[Block, ...]:
        """Cut a request into blocks, in the order the provider hashes them."""
        ...

    def hashed(
        self,
        request: Mapping[str, Any],
        cuts: Cuts | None = None,
        keep: int | None = None,
        keys: Callable[[Any], object] = frozen,
        skip: int = 0,
    ) -> tuple[Block, ...]:
        """The blocks that render, without section `free`.

        `cuts` keeps what was cut before: system text, and the first `keep` messages or all, under
        their `keys`. The first `skip` messages are left out. What is `Sent` has its blocks.
        """
        ...

    def request(self, blocks: Sequence[Block]) -> Json:
        """Put blocks back together: the inverse of `blocks`, byte for byte."""
        ...

    def tools_of(self, request: Mapping[str, Any]) -> Sequence[Any]:
        """The tool definitions of a request, wherever it keeps them."""
        ...

    def tool_name(self, tool: Mapping[str, Any]) -> str:
        """Name of one tool definition."""
        ...

    def mark(self, ttl: str = "") -> Json:
        """The value of a mark; `ttl` names a lifetime that is not the provider's default."""
        ...

    def allow(self, names: Sequence[str], mode: Literal["auto", "required"] = "auto") -> Json:
        """Parameters that restrict a call to these tools without touching the prefix.

        An empty `names` forbids every tool; an empty result means the API has no such parameter.
        """
        ...

    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Whether the API accepts a mark on this part of this message."""
        ...

    def content_key(self, message: Mapping[str, Any]) -> str:
        """The key under which a message keeps its text or parts."""
        ...

    def added(self, tools: Sequence[Json]) -> tuple[list[Json], dict[str, str]]:
        """Messages that offer more tools from here on, and the headers they need.

        Nothing where the API has no such form.
        """
        ...


class BlockCutter(ABC):
    """The block arithmetic that all dialects share; a dialect names its keys."""

    text_type: str
    mark_key: str
    rendered: tuple[str, ...]
    system_key: str
    messages_key: str
    alternates: bool = False

    def content_key(self, message: Mapping[str, Any]) -> str:
        """The key under which a message keeps its text or parts."""
        del message
        return "content"

    def added(self, tools: Sequence[Json]) -> tuple[list[Json], dict[str, str]]:
        """Messages that offer more tools from here on: this API has none."""
        del tools
        return [], {}

    def opened(self, opening: Sequence[Json], messages: Sequence[Json]) -> list[Json]:
        """Put user text parts in front of messages, joined to a first message of the user's.

        A message with keys of its own (`name`, `id`, `type`) stays apart: joined, it would give the
        shared parts its envelope, and they would differ from the parent's.
        """
        if not opening:
            return list(messages)
        first = messages[0] if messages else {}
        joins = is_json(first) and set(first) == {"role", "content"} and first["role"] == "user"
        own = self._parts(first["content"]) if joins else None
        content = [*opening, *(own or [])]
        return [{"role": "user", "content": content}, *(messages if own is None else messages[1:])]

    def _parts(self, content: Any) -> list[Json] | None:
        if isinstance(content, str):
            return [{"type": self.text_type, "text": content}] if content else []
        return content if is_list(content) else None

    @abstractmethod
    def markable(self, message: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        """Whether a part may carry a mark."""

    def tools_of(self, request: Mapping[str, Any]) -> Sequence[Any]:
        """The tool definitions of a request, wherever it keeps them."""
        return request.get("tools") or ()

    def mark(self, ttl: str = "") -> Json:
        """The value of a mark; `ttl` names a lifetime that is not the provider's default."""
        kind = {"type": "ephemeral"} if self.mark_key == "cache_control" else {"mode": "explicit"}
        return {**kind, "ttl": ttl} if ttl else kind

    def blocks(self, request: Mapping[str, Any]) -> tuple[Block, ...]:
        """Cut a request into blocks, in the order the provider hashes them."""
        hashed = self.hashed(request)
        big = {"tools", self.system_key, self.messages_key}
        free = [k for k in request if k not in big and k not in self.rendered]
        rest = [Block("free", k, dumps(request[k])) for k in free]
        # Keys in sending order, with the value of those that were cut into no block at all.
        known = {block.path.partition("[")[0] for block in (*hashed, *rest)}
        order = [[k] if k in known else [k, v] for k, v in request.items()]
        return (*hashed, *rest, Block("free", _ORDER, dumps(order), role=_ORDER))

    def hashed(
        self,
        request: Mapping[str, Any],
        cuts: Cuts | None = None,
        keep: int | None = None,
        keys: Callable[[Any], object] = frozen,
        skip: int = 0,
    ) -> tuple[Block, ...]:
        """Cut what the provider hashes into blocks, in its order; `cuts` are kept between calls."""
        known = request.blocks_of(self) if isinstance(request, Sent) else None
        if known is not None:
            return known
        cuts = Cuts(0) if cuts is None else cuts
        out = [Block("params", k, dumps(request[k])) for k in self.rendered if k in request]
        out += self._list("tools", "tools", request.get("tools"))
        if self.system_key != self.messages_key:
            system = request.get(self.system_key)
            out += cuts.cut(("system", frozen(system)), lambda: self._system(system))
        out += self._messages(request.get(self.messages_key), cuts, keep, keys, skip)
        return tuple(out)

    def _list(self, section: Literal["tools", "system"], key: str, values: Any) -> list[Block]:
        out: list[Block] = []
        for n, value in enumerate(_rows(values)):
            body, mark = strip_marks(value, self.mark_key)
            out.append(Block(section, f"{key}[{n}]", dumps(body), mark=mark))
        return out

    def _system(self, system: Any) -> list[Block]:
        if isinstance(system, str):
            return [Block("system", self.system_key, dumps(system), role="system", markable=False)]
        return self._list("system", self.system_key, system)

    def _messages(
        self,
        messages: Any,
        cuts: Cuts,
        keep: int | None,
        keys: Callable[[Any], object],
        skip: int,
    ) -> list[Block]:
        if isinstance(messages, str):
            return [Block("messages", self.messages_key, dumps(messages), "user", markable=False)]
        out: list[Block] = []
        for n, message in enumerate(_rows(messages)[skip:], skip):
            if keep is None or n < keep:
                out += cuts.cut((n, keys(message)), partial(self._message, n, message))
            else:
                out += self._message(n, message)
        return out

    def _message(self, n: int, message: Any) -> list[Block]:
        path = f"{self.messages_key}[{n}]"
        role = role_of(message)
        key = self.content_key(message) if is_json(message) else ""
        content: Any = message.get(key) if key else None
        if not is_list(content) or not content:
            may = role != "assistant" and isinstance(content, str)
            return [Block("messages", path, dumps(message), role, markable=may)]
        envelope = dumps({**message, key: None})
        out: list[Block] = []
        for at, part in enumerate(content):
            body, mark = strip_marks(part, self.mark_key)
            may = is_json(part) and self.markable(message, part)
            here = f"{path}.{key}[{at}]"
            out.append(Block("messages", here, dumps(body), role, mark, envelope, may))
        return out

    def request(self, blocks: Sequence[Block]) -> Json:
        """Put blocks back together: the inverse of `blocks`, byte for byte."""
        found: Json = {}
        order: list[list[Any]] = []
        for block in blocks:
            value = json.loads(block.json)
            if block.role == _ORDER:
                order = value
            elif block.section in ("params", "free"):
                found[block.path] = value
            else:
                self._put(found, block, value)
        return {key: literal[0] if literal else found[key] for key, *literal in order}

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
        inner, _, at = block.path.rpartition(".")[2].partition("[")
        if at == "0]":
            rows.append({**json.loads(block.envelope), inner: []})
        rows[-1][inner].append(value)


def is_json(value: object) -> TypeGuard[Json]:
    """Whether a value is a plain JSON object, not an SDK's own."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a plain JSON array."""
    return isinstance(value, list)


def role_of(message: object) -> str:
    """Role of a message; the type of an item that has none."""
    return str(message.get("role", message.get("type", ""))) if is_json(message) else ""


def _rows(value: object) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else []


def strip_marks(part: Any, mark_key: str) -> tuple[Any, str]:
    """Split a part into itself without its mark, and the mark as JSON with its key position."""
    body: Any = part
    if not is_json(body) or mark_key not in body:
        return body, ""
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
