"""HTTP exchanges: a request to a chat API and its answer, whole or streamed, as one call."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from agentcache.breaks.vendors import Verdict, heard
from agentcache.dialects import dialect_of
from agentcache.dialects.base import Json, is_json
from agentcache.errors import OptionError
from agentcache.recordings.documents import parsed
from agentcache.recordings.secrets import host_of, kept_headers, kept_request
from agentcache.recordings.values import Recorded
from agentcache.usage import Usage

__all__ = ["Exchange", "call_of", "from_base64"]

_ASIDE: Final = ("batches", "count_tokens", "embeddings", "input_tokens", "moderations", "rerank")
"""Endings of paths that take the body of a chat request, or one like it, and start no model."""
_IN_PATH: Final = re.compile(r"/model/([^/]+)/(converse|invoke)")
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; bodies as text, bytes or parsed. Times are seconds since 1970."""

    url: str
    method: str = "POST"
    headers: Iterable[tuple[str, str]] = ()
    body: Any = None
    status: int = 200
    answer: Any = None
    at_s: float | None = None
    ended_s: float | None = None


def call_of(exchange: Exchange) -> Recorded | None:
    """The call that an exchange is; None if it is no request to a chat API."""
    path = urlsplit(exchange.url).path.rstrip("/")
    body = _json(exchange.body)
    if body is None or exchange.method.upper() != "POST" or path.endswith(_ASIDE):
        return None
    found = _IN_PATH.search(path)
    if found is not None:  # Bedrock names the model in the path
        body = {"modelId" if found[2] == "converse" else "model": unquote(found[1]), **body}
    try:
        dialect_of(body)
    except OptionError:
        return None
    request, _ = kept_request(body)
    said = _Said()
    read = said.read(exchange.answer)
    return Recorded(
        request,
        usage=Usage.from_payload(said.usage or None) if read else None,
        at_s=exchange.at_s,
        ended_s=exchange.ended_s,
        headers=kept_headers(exchange.headers),
        answer_id=said.id,
        model=str(request.get("model") or request.get("modelId") or said.model),
        error="" if exchange.status < 400 else f"HTTP {exchange.status}",
        base_url=host_of(exchange.url),
        fingerprint=said.fingerprint,
        verdict=said.verdict,
    )


@dataclass(slots=True)
class _Said:
    """What an answer, or the pieces of one, say of themselves."""

    usage: Json = field(default_factory=dict[str, Any])
    id: str = ""
    model: str = ""
    fingerprint: str = ""
    verdict: Verdict | None = None

    def read(self, answer: Any) -> bool:
        """Read an answer; False where it cannot be."""
        whole = _json(answer)
        pieces = [whole] if whole is not None else list(_events(_decoded(answer)))
        for piece in pieces:
            for held in (piece, piece.get("message"), piece.get("response")):
                if is_json(held):
                    self._notice(held)
        return bool(pieces)

    def _notice(self, held: Json) -> None:
        used: Any = held.get("usage")
        if is_json(used):
            self.usage |= {k: v for k, v in used.items() if v is not None}
        self.verdict = heard(self.verdict, held)
        self.id = self.id or _text(held.get("id"))
        self.model = self.model or _text(held.get("model"))
        self.fingerprint = self.fingerprint or _text(held.get("system_fingerprint"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _events(text: str) -> Iterator[Json]:
    """The data of server-sent events."""
    for line in text.splitlines():
        if line.startswith("data:"):
            value = parsed(line[5:])
            if is_json(value):
                yield value


def _json(body: Any) -> Json | None:
    value: Any = body if is_json(body) else parsed(_decoded(body))
    return value if is_json(value) else None


def _decoded(body: Any) -> str:
    """A body as text; empty where it is compressed in a way Python cannot undo."""
    if isinstance(body, str):
        return body
    if not isinstance(body, bytes | bytearray):
        return ""
    data = bytes(body)
    if data.startswith(_GZIP):
        try:
            data = zlib.decompressobj(wbits=31).decompress(data)
        except zlib.error:
            return ""
    return data.decode("utf-8", "replace")


def from_base64(text: str) -> bytes:
    """Bytes that were written as base 64; none where they were not."""
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return b""
