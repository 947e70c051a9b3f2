"""Clusters: the one that was passed, the one at an address, or one on this machine."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import distributed

from agentcache.errors import EndpointError, OptionError
from agentcache_dask.desk import OP, Desk

__all__ = ["Cluster", "cluster_of"]

LOCAL: Final = "local"
_dask: Any = distributed  # its own types are partial
_WORKERS: Final = 2
_CONNECT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster whose scheduler has a desk."""

    client: Any

    @property
    def dashboard(self) -> str:
        """Where Dask shows what runs; empty without bokeh here, which its pages are drawn with."""
        return str(self.client.dashboard_link or "") if find_spec("bokeh") else ""

    async def on_loop(self, make: Callable[[], Awaitable[Any]]) -> Any:
        """Await something on the client's own loop, which need not be the one that runs here."""
        loop: asyncio.AbstractEventLoop = self.client.loop.asyncio_loop
        if loop is asyncio.get_running_loop():
            return await make()

        async def run() -> Any:
            return await make()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), loop))

    async def ask(self, do: str, **what: Any) -> Any:
        """Ask the desk."""
        return await self.on_loop(lambda: getattr(self.client.scheduler, OP)(do=do, **what))

    async def on_workers(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Call a function on each worker; one that cannot says nothing."""
        found: dict[str, Any] = await self.on_loop(
            lambda: self.client.run(function, *args, on_error="ignore")
        )
        return found


@asynccontextmanager
async def cluster_of(on: object, threads: int) -> AsyncGenerator[Cluster, None]:
    """The cluster for what was passed as `on=`; what is made here is closed again."""
    if isinstance(on, distributed.Client):
        yield await _with_desk(on)
    elif on == LOCAL:
        async with _local(threads) as made, _dask.Client(made, asynchronous=True) as client:
            yield await _with_desk(client)
    else:
        try:
            opened = await _dask.Client(on, asynchronous=True, timeout=_CONNECT_S)
        except (OSError, ValueError) as error:
            raise EndpointError(f"on={on!r}: no Dask scheduler answers there ({error}).") from error
        async with opened as client:
            yield await _with_desk(client)


def _local(threads: int) -> Any:
    """Two processes on this machine, that only it can reach."""
    return _dask.LocalCluster(
        host="127.0.0.1",
        n_workers=_WORKERS,
        threads_per_worker=max(1, -(-threads // _WORKERS)),
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        asynchronous=True,
    )


async def _with_desk(client: Any) -> Cluster:
    cluster = Cluster(client)
    if client.status not in ("running", "connecting"):
        raise OptionError(f"on={client!r}: this client is {client.status}.")
    try:
        await cluster.on_loop(lambda: client.register_plugin(Desk()))
    except Exception as error:
        raise OptionError(
            f"The Dask scheduler could not take agentcache in ({type(error).__name__}: {error}). "
            "Install agentcache with the extra 'dask' where the scheduler and its workers run, as "
            "here."
        ) from error
    return cluster
