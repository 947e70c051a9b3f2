"""A request on its way in, and the log of all that came."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentcache.loopback.families import family_of
from agentcache.loopback.values import Api, Family, Logged
from agentcache.loopback.wire import digest, dumps, mapping

__all__ = ["Call", "Log", "arrived"]

_PATHS: dict[str, Api] = {
    "/chat/completions": "openai.chat",
    "/responses": "openai.responses",
    "/messages": "anthropic.messages",
}
_SECRETS = ("authorization", "x-api-key", "api-key", "cookie", "proxy-authorization")
_TENANT = ("authorization", "x-api-key", "api-key", "openai-organization", "openai-project")


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    `route` is its path without `/v1`, `domain` whose cache it may read, `betas` what its
    `anthropic-beta` header names, `edits` what the provider cleared from `body` by itself.
    """

    number: int
    route: str
    api: Api
    body: dict[str, Any]
    model: str
    family: Family
    stream: bool
    domain: str
    betas: frozenset[str] = frozenset()
    edits: tuple[dict[str, Any], ...] = ()

    @property
    def id(self) -> str:
        """Return the request id, unique on a server."""
        return f"req_{self.number:06d}"

    @property
    def readable_at_first_event(self) -> bool:
        """Return whether what it writes is readable before the answer is complete."""
        return self.stream or self.family in ("anthropic", "engine")

    @property
    def is_prewarm(self) -> bool:
        """Return whether it only fills the cache and asks for no answer."""
        if self.api == "anthropic.messages":
            return self.body.get("max_tokens") == 0
        return mapping(self.body.get("prompt_cache_options")).get("prewarm") is True


class Log:
    """Requests in order of arrival; safe to use from any thread."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._logged: dict[str, Logged] = {}

    def add(self, logged: Logged) -> None:
        """Add a request that has just arrived."""
        with self._lock:
            self._logged[logged.id] = logged

    def note(self, call: Call, **changes: Any) -> None:
        """Fill in what became of a request; nothing happens if the log was emptied since."""
        with self._lock:
            if call.id in self._logged:
                self._logged[call.id] = replace(self._logged[call.id], **changes)

    def all(self) -> tuple[Logged, ...]:
        """Return them all."""
        with self._lock:
            return tuple(self._logged.values())

    def clear(self) -> None:
        """Empty it."""
        with self._lock:
            self._logged.clear()


def arrived(number: int, path: str, headers: Mapping[str, str], raw: bytes) -> tuple[Call, Logged]:
    """Read the outside of a request; header names are lower-case."""
    route = "/" + path.strip("/")
    while route.startswith("/v1/"):
        route = route.removeprefix("/v1")
    body = _parsed(raw)
    model = str(body.get("model") or "")
    tenant = digest("\n".join(headers.get(name, "") for name in _TENANT))
    call = Call(
        number=number,
        route=route,
        api=_PATHS.get(route, "other"),
        body=body,
        model=model,
        family=family_of(model),
        stream=bool(body.get("stream")),
        domain=dumps([tenant, model, body.get("cache_salt"), body.get("extra_key")]),
        betas=frozenset(map(str.strip, headers.get("anthropic-beta", "").split(","))),
    )
    logged = Logged(
        id=call.id,
        path=path,
        api=call.api,
        headers={key: _hidden(key, value) for key, value in headers.items()},
        raw=raw,
        body=body,
        model=model,
        family=None if call.api == "other" else call.family,
        stream=call.stream,
        started_s=time.monotonic(),
    )
    return call, logged


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        return mapping(json.loads(raw)) if raw else {}
    except ValueError:
        return {}


def _hidden(name: str, value: str) -> str:
    return f"sha256:{digest(value)}" if name in _SECRETS else value
