"""wrap, unwrap, attachments: an SDK client's own calls, recorded as they are sent."""

import hashlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentcache.attach import Attachment, Flight, Options
from agentcache.breaks.voices import same_voice
from agentcache.dialects import Json
from agentcache.errors import OptionError, UnknownObjectError
from agentcache.forks import Fork
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import match_route
from agentcache.sdk.answers import Tally
from agentcache.sdk.turns import request_of

__all__ = ["attachments", "unwrap", "wrap"]

_RESOURCES: Final = (
    ("chat.completions", "openai.chat", ("create", "parse")),
    ("responses", "openai.responses", ("create", "parse")),
    ("messages", "anthropic.messages", ("create",)),
)
_SECRETS: Final = ("api_key", "auth_token", "organization", "project")
_VOICES: Final = 64
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
            _Watch(client, Attachment(options)).begin()
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
        if not any(_at(client, path) is not None for path, _, _ in _RESOURCES):
            raise UnknownObjectError(
                "agentcache observes clients of openai and anthropic, not "
                f"{type(client).__qualname__} ({client!r:.80})."
            )
    return several


def _at(client: object, path: str) -> Any:
    found: Any = client
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _watch_of(client: object) -> "_Watch | None":
    for path, _, _ in _RESOURCES:
        resource = _at(client, path)
        own: dict[str, Any] = {} if resource is None else resource.__dict__
        held = own.get("create")
        if isinstance(held, _Recorded):
            return held.watch
    return None


@dataclass(eq=False)
class _Watch:
    """One client under observation: a session for each API and model that it calls."""

    client: Any
    attachment: Attachment
    forks: dict[tuple[str, str, str], Fork] = field(
        default_factory=dict[tuple[str, str, str], Fork]
    )
    put: list[tuple[Any, str]] = field(default_factory=list[tuple[Any, str]])
    voices: dict[str, str] = field(default_factory=dict[str, str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Stand in for the client's calls."""
        for path, dialect, names in _RESOURCES:
            resource = _at(self.client, path)
            for name in names if resource is not None else ():
                real = getattr(resource, name, None)
                if real is not None and name not in vars(resource):
                    setattr(resource, name, _Recorded(self, dialect, real))
                    self.put.append((resource, name))

    def end(self) -> None:
        """Put the client's calls back."""
        for resource, name in self.put:
            own: dict[str, Any] = resource.__dict__
            own.pop(name, None)
        self.put.clear()

    def flight(self, dialect: str, params: Mapping[str, Any]) -> Flight:
        """The record of a call that is about to be sent."""
        before = request_of(params)
        fork = self._fork(dialect, before)
        flight = Flight(self.attachment, fork.session, fork.name)
        flight.rewrite = fork.rewrite(before)
        return flight

    def _fork(self, dialect: str, before: Json) -> Fork:
        model = str(before.get("model", ""))
        session = next(
            (f.session for k, f in self.forks.items() if k[:2] == (dialect, model)), None
        )
        if session is None:
            url = str(getattr(self.client, "base_url", "") or "").rstrip("/")
            url = "" if url in _VENDOR_URLS else url
            rule = match_route(model, url, (), self.attachment.options.provider).rule
            secrets = [getattr(self.client, name, None) for name in _SECRETS]
            digest = CacheDomain.digest(*(s if isinstance(s, str) else None for s in secrets))
            domain = CacheDomain(rule.provider, model, url, digest)
            session = self.attachment.open(freeze(dialect, rule, domain), (), judge=False)
        name = self._name("\n".join(session.parent.dialect.split(before).system))
        return self.forks.setdefault((dialect, model, name), session.fork(name))

    def _name(self, said: str) -> str:
        """The agent that speaks so, or so but for the time and the like; else a new one."""
        with self.lock:
            own = self.voices.pop(said, "")
            near = (n for text, n in reversed(self.voices.items()) if same_voice(text, said))
            name = own or next(near, "") or _name_of(said)
            self.voices[said] = name
            while len(self.voices) > _VOICES:
                del self.voices[next(iter(self.voices))]
            return name


def _name_of(said: str) -> str:
    """An agent's name, by how it is spoken to first; the same in every process."""
    told = said[:200].encode("utf-8", "surrogatepass")
    return f"agent {hashlib.blake2b(told, digest_size=3).hexdigest()}" if told else "agent"


class _Recorded:
    """Stands in for a method that sends a request: the same request is sent."""

    def __init__(self, watch: _Watch, dialect: str, real: Callable[..., Any]) -> None:
        self.watch, self.dialect, self.real = watch, dialect, real

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Send the request, and record what came of it when that is known."""
        flight = self.watch.flight(self.dialect, params)
        flight.held = flight.ungated()
        tally = Tally()
        recording = flight.sending(flight.held, tally)
        recording.__enter__()
        try:
            answer = self.real(*args, **params)
        except BaseException as error:
            recording.__exit__(type(error), error, error.__traceback__)
            raise
        if isinstance(answer, Awaitable):
            return _awaited(answer, recording, flight, tally)  # pyright: ignore[reportUnknownArgumentType]
        return _answered(answer, recording, flight, tally)


async def _awaited(answer: Awaitable[Any], recording: Any, flight: Flight, tally: Tally) -> Any:
    try:
        made = await answer
    except BaseException as error:
        recording.__exit__(type(error), error, error.__traceback__)
        raise
    return _answered(made, recording, flight, tally)


def _answered(answer: Any, recording: Any, flight: Flight, tally: Tally) -> Any:
    """An answer, recorded; a stream records itself as it is read, in place."""
    source = getattr(answer, "_iterator", None)
    if hasattr(answer, "__aiter__") and source is not None:
        answer._iterator = _aread(source, recording, flight, tally)
        return answer
    if hasattr(answer, "__next__") and source is not None:
        answer._iterator = _read(source, recording, flight, tally)
        return answer
    tally.notice(answer)
    recording.__exit__(None, None, None)
    return answer


def _read(source: Iterator[Any], recording: Any, flight: Flight, tally: Tally) -> Iterator[Any]:
    with _Going(recording):
        for piece in source:
            flight.event()
            tally.notice(_of(piece))
            yield piece


async def _aread(
    source: AsyncIterator[Any], recording: Any, flight: Flight, tally: Tally
) -> AsyncIterator[Any]:
    with _Going(recording):
        async for piece in source:
            flight.event()
            tally.notice(_of(piece))
            yield piece


def _of(piece: Any) -> Any:
    """A piece of a stream; the last event of Responses holds the whole response."""
    return getattr(piece, "response", None) or piece


class _Going:
    """A record that was begun before."""

    def __init__(self, recording: Any) -> None:
        """Go on with it."""
        self.recording = recording

    def __enter__(self) -> None:
        """It was entered already."""

    def __exit__(self, *error: object) -> None:
        """End it."""
        self.recording.__exit__(*error)
