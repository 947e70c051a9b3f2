"""Blocks: a wire request cut into the pieces a provider hashes, in the order it hashes them."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = [
    "Block",
    "Cuts",
    "Keys",
    "Section",
    "dumps",
    "estimate_tokens",
    "frozen",
    "shared_blocks",
]

Section = Literal["params", "tools", "system", "messages", "free"]


def _only(wanted: Callable[[str], bool]) -> bytes:
    """A table that leaves the wanted ASCII characters and turns all else into spaces."""
    return bytes(c if c < 128 and wanted(chr(c)) else 32 for c in range(256))


_LETTERS: Final = _only(str.isalpha)
_DIGITS: Final = _only(str.isdigit)
_SIGNS: Final = _only(lambda c: c.isprintable() and not c.isalnum())
_LONG_WORD: Final = 8


def dumps(value: Any) -> str:
    """Serialise `value` as the SDKs do: compact, keys in sending order, no ASCII escapes.

    What is no JSON (a class, an SDK's own object) is named by its type alone: its `repr` may hold
    an address, and would look new at every call.

    >>> dumps({"b": 1, "a": "é"})
    '{"b":1,"a":"é"}'
    """
    return _ENCODER.encode(value)


def _named(value: object) -> str:
    cls = value if isinstance(value, type) else type(value)
    return f"<{cls.__module__}.{cls.__qualname__}>"


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_named
)


@dataclass(frozen=True, slots=True)
class Block:
    """One hashed piece of a request.

    `path` says where it stands (`tools[2]`, `messages[4].content[0]`), `json` is the exact JSON as
    sent without its cache mark, `mark` is that mark's JSON or `""`. `envelope` is the JSON of the
    message around a content part, its content replaced by `null`; `role` is that message's role.
    `identity` digests what two blocks must share to be the same piece of a prefix.
    """

    section: Section
    path: str
    json: str
    role: str = ""
    mark: str = ""
    envelope: str = ""
    markable: bool = True
    identity: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Digest the block once; it may be compared many times."""
        around = f"{self.section}\x1f{self.envelope or self.role}\x1f"
        digest = hashlib.blake2b(_bytes(around), digest_size=16)
        digest.update(_bytes(self.json))
        object.__setattr__(self, "identity", digest.digest())


class Cuts:
    """Messages that were cut into blocks before, so that a growing conversation is not cut anew.

    Keeps up to `room` characters of JSON, the latest.
    """

    def __init__(self, room: int = 8_000_000) -> None:
        """Remember nothing yet."""
        self._room = room
        self._size = 0
        self._cut: dict[object, tuple[Block, ...]] = {}
        self._lock = threading.Lock()

    def cut(self, key: object, make: Callable[[], Sequence[Block]]) -> Sequence[Block]:
        """The blocks kept under this key; made, and kept, where there are none."""
        try:
            found = self._cut.get(key)
        except TypeError:  # it holds an SDK's own object
            return make()
        if found is None:
            found = tuple(make())
            self._keep(key, found)
        return found

    def _keep(self, key: object, blocks: tuple[Block, ...]) -> None:
        with self._lock:
            if key in self._cut or not self._room:
                return
            self._cut[key] = blocks
            self._size += _size(blocks)
            while self._size > self._room and len(self._cut) > 1:
                self._size -= _size(self._cut.pop(next(iter(self._cut))))


class Keys:
    """Keys of one request's messages, worked out once though the fork holds them again.

    Known by object: use it only while the messages live.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._known: dict[int, object] = {}

    def __call__(self, message: object) -> object:
        """The key of a message."""
        found = self._known.get(id(message))
        if found is None:
            found = self._known[id(message)] = frozen(message)
        return found


def _size(blocks: Iterable[Block]) -> int:
    return sum(len(block.json) for block in blocks)


def frozen(value: Any) -> object:
    """A key that is equal for two JSON values exactly if their JSON is, without writing it.

    Texts stand in it as they are: nothing is copied, and a text that was hashed once is not again.
    """
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is str:
        return value
    if kind is dict:
        flat: list[object] = [dict]
        for key, inner in value.items():
            flat += (
                key if type(key) is str else frozen(key),
                inner if type(inner) is str else frozen(inner),
            )
        return tuple(flat)
    if kind is list or kind is tuple:
        return (kind, *map(frozen, value))
    return (type(value), repr(value) if kind is float else value)  # pyright: ignore[reportUnknownVariableType]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # half a surrogate pair is legal in JSON


def shared_blocks(a: Sequence[Block], b: Sequence[Block]) -> int:
    """Count the leading blocks that two requests have in common."""
    count = 0
    for left, right in zip(a, b, strict=False):
        if left.identity != right.identity:
            break
        count += 1
    return count


def estimate_tokens(text: str) -> int:
    """Estimate the tokens in `text` by character classes, without a tokenizer.

    Against o200k on 250 mixed prompts this kind of estimate has a median error of 8 %, and 3 % once
    scaled to the total that the provider reports; use it for shares and thresholds, not for bills.
    """
    data = _bytes(text)
    words = data.translate(_LETTERS).split()
    long = [len(word) for word in words if len(word) > _LONG_WORD]
    total = len(words) - len(long) + sum(long) / 6
    total += sum([(len(digits) + 2) // 3 for digits in data.translate(_DIGITS).split()])
    total += sum([(len(signs) + 1) // 2 for signs in data.translate(_SIGNS).split()])
    for space in (b"\n", b"\t"):
        total += 0.6 * (data.count(space) - data.count(space * 2))
    if not text.isascii():
        total += 0.7 * (len(text) - len(text.encode("ascii", "ignore")))
    return round(total)
