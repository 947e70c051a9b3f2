"""Clients of an SDK under observation: their own calls, recorded as they are sent.

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

from agentcache.attach import Attachment
from agentcache.breaks.voices import Voices
from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.errors import UnknownObjectError
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import Rule, match_route
from agentcache.sdk.places import place_of
from agentcache.sessions import Session
from agentcache_openai.calls import Going, going_now, put_back, then

__all__ = ["Asking", "Place", "Target", "Watch", "attachments", "clients_in", "unwrap", "watch_of"]

_APIS: Final = {
    "/chat/completions": "openai.chat",
    "/responses": "openai.responses",
    "/v1/messages": "anthropic.messages",
}
_CALLS: Final = ("request", "_build_request")
_COPIES: Final = ("copy", "with_options")
_FORKS: Final = 512


def unwrap(x: object) -> object:
    """Give a client its own methods back."""
    for client in clients_in(x):
        watch = watch_of(client)
        if watch is not None:
            watch.end()
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `wrap` or `observe` attached."""
    found = (watch_of(client) for client in clients_in(x))
    return list({id(watch): watch.attachment for watch in found if watch is not None}.values())


def clients_in(x: object) -> list[Any]:
    """The clients that were given, one or several; raises UnknownObjectError for anything else."""
    given: Any = x
    several: list[Any] = list(given) if isinstance(x, list | tuple) else [given]
    for client in several:
        if isinstance(client, type) or not all(
            callable(getattr(client, name, None)) for name in (*_CALLS, *_COPIES)
        ):
            raise UnknownObjectError(
                "agentcache wraps and observes clients of openai and anthropic, not "
                f"{type(client).__qualname__} ({client!r:.80})."
            )
    return several


def watch_of(client: object) -> "Watch | None":
    """What stands in for a client's calls, if something of ours does."""
    held = vars(client).get("request")
    return held.watch if isinstance(held, Asking) else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client's calls go, by URL and by the `routes` that it is known for, and whose."""

    url: str
    digest: str
    routes: tuple[str, ...] = ()

    @classmethod
    def of(cls, client: Any) -> "Place":
        """The place of a client."""
        routes = ("azure",) if "Azure" in type(client).__name__ else ()
        return cls(*place_of(client), routes)


@dataclass(frozen=True, slots=True)
class Target:
    """What a call is for: an API's dialect, a model, and a place."""

    dialect: str
    model: str
    place: Place

    def rule(self, provider: str | None) -> Rule:
        """The caching rule that applies there."""
        return match_route(self.model, self.place.url, self.place.routes, provider).rule

    def domain(self, rule: Rule) -> CacheDomain:
        """Whose cache is read and written there."""
        return CacheDomain(rule.provider, self.model, self.place.url, self.place.digest)


@dataclass(eq=False)
class Watch:
    """A client under observation, and its copies: a session for each API, place and model."""

    attachment: Attachment
    clients: WeakKeyDictionary[Any, dict[str, Any]] = field(
        default_factory=WeakKeyDictionary[Any, dict[str, Any]]
    )
    sessions: dict[Target, Session] = field(default_factory=dict[Target, Session])
    forks: dict[tuple[Session, str], Fork] = field(default_factory=dict[tuple[Session, str], Fork])
    voices: Voices = field(default_factory=lambda: Voices(_name_of))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, client: Any) -> None:
        """Stand in for a client's calls; another's stand-ins are kept for the end."""
        own: dict[str, Any] = client.__dict__
        self.clients[client] = {k: own[k] for k in (*_CALLS, *_COPIES) if k in own}
        client.request = self.asking(client)
        client._build_request = _building(client._build_request)
        for name in _COPIES:
            setattr(client, name, _copying(self, getattr(client, name)))

    def end(self) -> None:
        """Put the calls back, of copies too."""
        for client, before in list(self.clients.items()):
            put_back(client, (*_CALLS, *_COPIES))
            client.__dict__.update(before)
        self.clients.clear()

    def asking(self, client: Any) -> "Asking":
        """What stands in for a client's `request`."""
        return Asking(self, client)

    def flight(self, target: Target, request: Json, headers: Mapping[str, str]) -> Flight:
        """The record of a call that is about to be sent as it is."""
        session = self.session(target)
        fork = self.fork(session, request)
        flight = Flight(self.attachment, session, fork.name)
        flight.rewrite = replace(fork.rewrite(request), headers=headers)
        return flight

    def session(self, target: Target) -> Session:
        """The session on which what is not forked is recorded."""
        with self.lock:
            found = self.sessions.get(target)
            if found is None:
                found = self.sessions[target] = self.opened(target)
            return found

    def opened(self, target: Target) -> Session:
        """A new one."""
        rule = target.rule(self.attachment.options.provider)
        parent = freeze(target.dialect, rule, target.domain(rule))
        return self.attachment.open(parent, (), judge=False)

    def fork(self, session: Session, request: Json) -> Fork:
        """The fork of whoever speaks, told by its system text and by what it goes on from."""
        parts = session.parent.dialect.split(request)
        name = self.voices.name("\n".join(parts.system), parts.messages)
        mine = (session, name)
        with self.lock:
            fork = self.forks.pop(mine, None) or self.forked(session, name)
            self.forks[mine] = fork
            while len(self.forks) > _FORKS:
                del self.forks[next(iter(self.forks))]
        return fork

    def forked(self, session: Session, name: str) -> Fork:
        """A new one."""
        return session.fork(name)


def _name_of(said: str) -> str:
    """An agent's name, by how it is spoken to; the same in every process."""
    told = said.encode("utf-8", "surrogatepass")
    return f"agent {hashlib.blake2b(told, digest_size=3).hexdigest()}" if told else "agent"


class Asking:
    """Stands in for a client's `request`: the same request is sent."""

    def __init__(self, watch: Watch, client: Any) -> None:
        """Stand in for it in a watch."""
        self.watch, self.client, self.real = watch, client, client.request
        self._place = Place.of(client)

    def __call__(self, cast_to: Any, options: Any, **how: Any) -> Any:
        """Send the request, and record what came of it when that is known."""
        going = self._going(options)
        with going:
            answer = self.real(cast_to, options, **how)
        return then(answer, going.answered, going)

    def target(self, options: Any) -> Target | None:
        """What a call is for; None if it is no conversation."""
        path = str(options.url).partition("?")[0]
        dialect = next((api for end, api in _APIS.items() if path.endswith(end)), "")
        if not dialect or str(options.method).lower() != "post":
            return None
        asked = options.json_data
        model = asked.get("model") if is_json(asked) else ""
        return Target(dialect, model if isinstance(model, str) else "", self._place)

    def _going(self, options: Any) -> Going:
        target = self.target(options)
        if target is None:
            return Going(None)

        def opens(request: Json, headers: Mapping[str, str]) -> Flight:
            sent = str(request.get("model", ""))  # an extra body may name another one
            return self.watch.flight(replace(target, model=sent), request, headers)

        return Going(opens, target.model)


def _building(real: Callable[..., Any]) -> Callable[..., Any]:
    """Stands in for a client's `_build_request`: the same request is built."""

    def build(*args: Any, **kwargs: Any) -> Any:
        request = real(*args, **kwargs)
        going = going_now()
        if going is not None:
            going.built(request)
        return request

    return build


def _copying(watch: Watch, real: Callable[..., Any]) -> Callable[..., Any]:
    """Stands in for a client's `copy`: the same copy, which is observed too."""

    def copy(*args: Any, **kwargs: Any) -> Any:
        client = real(*args, **kwargs)
        if watch_of(client) is None:
            watch.begin(client)
        return client

    return copy
