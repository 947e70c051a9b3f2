"""wrap, unwrap, attachments: an SDK client's own calls, recorded as they are sent.

Each helper of both SDKs (create, stream, parse, beta, raw) ends in the client's `request`, which
has its `_build_request` make what goes on the wire. Standing in for these two on one client sees
every call of it; `copy` and `with_options` make the clients on which to stand in next.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from agentcache.attach import Attachment, Options
from agentcache.breaks.voices import Voices
from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.errors import OptionError, UnknownObjectError
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import match_route
from agentcache.sessions import Session
from agentcache_openai.calls import Going, going_now, put_back, then

__all__ = ["attachments", "unwrap", "wrap"]

_APIS: Final = {
    "/chat/completions": "openai.chat",
    "/responses": "openai.responses",
    "/v1/messages": "anthropic.messages",
}
_CALLS: Final = ("request", "_build_request")
_COPIES: Final = ("copy", "with_options")
_SECRETS: Final = ("api_key", "auth_token", "organization", "project")
_FORKS: Final = 512
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")


def wrap(x: object, options: Options) -> object:
    """Record what a client sends, in place. Only `layout="as_is"`, which `observe` asks for."""
    clients = _clients(x)
    if options.layout != "as_is":
        raise OptionError(
            f"{type(clients[0]).__name__} is an SDK's own client: agentcache.observe(client) "
            "records it. To fork agents, wrap the framework's object that makes the calls."
        )
    for client in clients:
        if _watch_of(client) is None:
            _Watch(Attachment(options)).begin(client)
    return x


def unwrap(x: object) -> object:
    """Give a client its own methods back."""
    for client in _clients(x):
        watch = _watch_of(client)
        if watch is not None:
            watch.end()
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `observe` attached."""
    found = (_watch_of(client) for client in _clients(x))
    return [watch.attachment for watch in found if watch is not None]


def _clients(x: object) -> list[Any]:
    given: Any = x
    several: list[Any] = list(given) if isinstance(x, list | tuple) else [given]
    for client in several:
        if isinstance(client, type) or not all(
            callable(getattr(client, name, None)) for name in (*_CALLS, *_COPIES)
        ):
            raise UnknownObjectError(
                "agentcache observes clients of openai and anthropic, not "
                f"{type(client).__qualname__} ({client!r:.80})."
            )
    return several


def _watch_of(client: object) -> "_Watch | None":
    held = vars(client).get("request")
    return held.watch if isinstance(held, _Asking) else None


@dataclass(eq=False)
class _Watch:
    """A client under observation, and its copies: a session for each API, place and model."""

    attachment: Attachment
    clients: WeakKeyDictionary[Any, dict[str, Any]] = field(
        default_factory=WeakKeyDictionary[Any, dict[str, Any]]
    )
    sessions: dict[tuple[str, ...], Session] = field(default_factory=dict[tuple[str, ...], Session])
    forks: dict[tuple[str, ...], Fork] = field(default_factory=dict[tuple[str, ...], Fork])
    voices: Voices = field(default_factory=lambda: Voices(_name_of))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, client: Any) -> None:
        """Stand in for a client's calls; another's stand-ins are kept for the end."""
        own: dict[str, Any] = client.__dict__
        self.clients[client] = {k: own[k] for k in (*_CALLS, *_COPIES) if k in own}
        client.request = _Asking(self, client)
        client._build_request = _building(client._build_request)
        for name in _COPIES:
            setattr(client, name, _copying(self, getattr(client, name)))

    def end(self) -> None:
        """Put the calls back, of copies too."""
        for client, before in list(self.clients.items()):
            put_back(client, (*_CALLS, *_COPIES))
            client.__dict__.update(before)
        self.clients.clear()

    def flight(
        self, dialect: str, place: tuple[str, str], request: Json, headers: Mapping[str, str]
    ) -> Flight:
        """The record of a call that is about to be sent to a place: a URL, and whose it is."""
        fork = self._fork(dialect, place, request)
        flight = Flight(self.attachment, fork.session, fork.name)
        flight.rewrite = replace(fork.rewrite(request), headers=headers)
        return flight

    def _fork(self, dialect: str, place: tuple[str, str], request: Json) -> Fork:
        key = (dialect, str(request.get("model", "")), *place)
        with self.lock:
            session = self.sessions.get(key)
            if session is None:
                session = self.sessions[key] = self._session(*key)
        parts = session.parent.dialect.split(request)
        name = self.voices.name("\n".join(parts.system), parts.messages)
        mine = (*key, name)
        with self.lock:
            fork = self.forks.pop(mine, None) or session.fork(name)
            self.forks[mine] = fork
            while len(self.forks) > _FORKS:
                del self.forks[next(iter(self.forks))]
        return fork

    def _session(self, dialect: str, model: str, url: str, digest: str) -> Session:
        rule = match_route(model, url, (), self.attachment.options.provider).rule
        domain = CacheDomain(rule.provider, model, url, digest)
        return self.attachment.open(freeze(dialect, rule, domain), (), judge=False)


def _name_of(said: str) -> str:
    """An agent's name, by how it is spoken to; the same in every process."""
    told = said.encode("utf-8", "surrogatepass")
    return f"agent {hashlib.blake2b(told, digest_size=3).hexdigest()}" if told else "agent"


class _Asking:
    """Stands in for a client's `request`: the same request is sent."""

    def __init__(self, watch: _Watch, client: Any) -> None:
        """Stand in for it in a watch."""
        self.watch, self._real = watch, client.request
        url = str(getattr(client, "base_url", "") or "").rstrip("/")
        secrets = [getattr(client, name, None) for name in _SECRETS]
        digest = CacheDomain.digest(*(s if isinstance(s, str) else None for s in secrets))
        self._place = ("" if url in _VENDOR_URLS else url, digest)

    def __call__(self, cast_to: Any, options: Any, **how: Any) -> Any:
        """Send the request, and record what came of it when that is known."""
        going = self._going(options)
        with going:
            answer = self._real(cast_to, options, **how)
        return then(answer, going.answered, going)

    def _going(self, options: Any) -> Going:
        path = str(options.url).partition("?")[0]
        dialect = next((api for end, api in _APIS.items() if path.endswith(end)), "")
        if not dialect or str(options.method).lower() != "post":
            return Going(None)
        asked = options.json_data
        model = asked.get("model") if is_json(asked) else ""
        return Going(
            lambda request, headers: self.watch.flight(dialect, self._place, request, headers),
            model if isinstance(model, str) else "",
        )


def _building(real: Callable[..., Any]) -> Callable[..., Any]:
    """Stands in for a client's `_build_request`: the same request is built."""

    def build(*args: Any, **kwargs: Any) -> Any:
        request = real(*args, **kwargs)
        going = going_now()
        if going is not None:
            going.built(request)
        return request

    return build


def _copying(watch: _Watch, real: Callable[..., Any]) -> Callable[..., Any]:
    """Stands in for a client's `copy`: the same copy, which is observed too."""

    def copy(*args: Any, **kwargs: Any) -> Any:
        client = real(*args, **kwargs)
        if _watch_of(client) is None:
            watch.begin(client)
        return client

    return copy
