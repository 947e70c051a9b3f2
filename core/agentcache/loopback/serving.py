"""Start and stop the provider on this machine."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from agentcache.errors import EndpointError, MissingExtraError, OptionError
from agentcache.loopback.faults import Fault, FaultKind
from agentcache.loopback.provider import Provider
from agentcache.loopback.scripts import echo
from agentcache.loopback.tokens import Tokenizer, pieces
from agentcache.loopback.values import Latency, Logged, Script, Turn

if TYPE_CHECKING:
    import uvicorn

    from agentcache.loopback.app import App

__all__ = ["Loopback", "serve"]

_HOSTS = ("127.0.0.1", "localhost")
_START_S = 10.0
_GRACE_S = 2.0
_BEAT_S = 0.002
_TICK_S = 0.1
_LOOKS = 10


class Loopback:
    """A running provider. Every number it reports is emulated, none is measured."""

    def __init__(self, provider: Provider, port: int) -> None:
        """Made by `serve()`."""
        self._provider = provider
        self.port = port

    @property
    def url(self) -> str:
        """Return the base URL that the Anthropic SDK takes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """Return the base URL that the OpenAI SDK takes."""
        return f"{self.url}/v1"

    @property
    def log(self) -> tuple[Logged, ...]:
        """Return every request so far, as received and in order of arrival."""
        return self._provider.log.all()

    def clear(self) -> None:
        """Empty the log; the caches stay warm."""
        self._provider.log.clear()

    def reset(self) -> None:
        """Empty the log and the caches, and let faults count requests from 1 again."""
        self._provider.reset()

    def fail(
        self,
        kind: FaultKind,
        *,
        at: int | Callable[[Turn], bool] | None = None,
        times: int = 1,
        retry_after_s: float | None = None,
        delay_s: float = 1.0,
    ) -> None:
        """Let something go wrong from now on; see `Fault`."""
        self._provider.faults.add(Fault(kind, at, times, retry_after_s, delay_s))


@contextmanager
def serve(
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    script: Script | None = None,
    latency: Latency | None = None,
    faults: Iterable[Fault] = (),
    tokenizer: Tokenizer = pieces,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Loopback, None, None]:
    """Run a provider on 127.0.0.1 in a thread of its own until the block ends.

    `port=0` takes a free one; `script` decides the answers (default: `echo`);
    `latency=None` answers at once; `clock` is what cache lifetimes are measured with.

    Raises EndpointError when the port is taken, OptionError for a host that is not this
    machine's loopback, MissingExtraError without the extra `loopback`.
    """
    if not 0 <= port <= 65535:
        raise OptionError(f"port={port} is not between 0 (any free one) and 65535.")
    if host not in _HOSTS:
        raise OptionError(
            f"host={host!r} is refused: the loopback provider accepts any key, so it listens "
            "on 127.0.0.1 only. Leave host out."
        )
    provider = Provider(
        script=script or echo, latency=latency, faults=faults, tokenizer=tokenizer, clock=clock
    )
    from agentcache.loopback.app import App  # noqa: PLC0415  (starlette is an extra)

    app = App(provider)
    with _bound(port) as bound, _running(app, bound):
        yield Loopback(provider, bound.getsockname()[1])


@contextmanager
def _bound(port: int) -> Generator[socket.socket, None, None]:
    # The protocol is named because asyncio switches Nagle's delay off only where it is.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
        except OSError as error:
            raise EndpointError(
                f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}. "
                "Stop what listens there, pick another port, or use port=0 for a free one."
            ) from error
        yield bound


@contextmanager
def _running(app: "App", bound: socket.socket) -> Generator[None, None, None]:
    try:
        import uvicorn  # noqa: PLC0415  (uvicorn is an extra)
    except ImportError as error:
        raise MissingExtraError("loopback", "uvicorn") from error
    config = uvicorn.Config(
        app.asgi,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
    )
    server = uvicorn.Server(config)
    server.main_loop = partial(_until_told, server)  # type: ignore[method-assign]
    server.shutdown = partial(_hang_up, server)  # type: ignore[method-assign]
    thread = threading.Thread(
        target=server.run, args=([bound],), name="agentcache-loopback", daemon=True
    )
    thread.start()
    try:
        _await_start(lambda: server.started, thread)
        yield
    finally:
        app.close()
        server.should_exit = True
        thread.join(_START_S)


async def _until_told(server: "uvicorn.Server") -> None:
    """Serve until told to stop, and notice soon: uvicorn looks ten times a second only."""
    ticks = 0
    while not server.should_exit:
        if ticks % _LOOKS == 0 and await server.on_tick(ticks // _LOOKS):
            return
        ticks += 1
        await asyncio.sleep(_TICK_S / _LOOKS)


async def _hang_up(
    server: "uvicorn.Server", sockets: Iterable[socket.socket] | None = None
) -> None:
    """Close as uvicorn does, and be done when the last answer is: it rests a tenth of a second."""
    for listening in server.servers:
        listening.close()
    for bound in sockets or ():
        bound.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    end = time.monotonic() + _GRACE_S
    while (state.connections or state.tasks) and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(_BEAT_S)
    for task in state.tasks:
        task.cancel()


def _await_start(started: Callable[[], bool], thread: threading.Thread) -> None:
    end = time.monotonic() + _START_S
    while not started():
        if not thread.is_alive() or time.monotonic() > end:
            raise EndpointError("The loopback provider did not start; try another port.")
        time.sleep(0.002)
