"""The engine on a Dask cluster: each task of the graph is one of Dask's."""

import asyncio
from collections.abc import Mapping, Sequence

from agentcache.graphs.plans import Board
from agentcache.graphs.warmth import keeping_warm
from agentcache_dask.clusters import cluster_of
from agentcache_dask.driving import Drive

__all__ = ["OnDask", "engine_on"]


def engine_on(on: object) -> "OnDask":
    """The engine for a `distributed.Client`, a scheduler's address, or `local`."""
    return OnDask(on)


class OnDask:
    """Runs a plan on a cluster.

    Tasks run in the workers' threads: as many at a time as those have, and no more than the plan's
    `limit`. The sessions go there once per worker process. Each call that is paid for is kept by
    the scheduler before anything is made of it, so that a task whose worker is lost goes on
    elsewhere without paying twice; a function of your own may be called again. The budget is looked
    at before each call, by what all workers have spent.
    """

    def __init__(self, on: object) -> None:
        """Run nothing yet."""
        self.where = "on Dask"
        self._on = on
        self._drive: Drive | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: list[str | None] = []

    async def run(self, board: Board, readers: Mapping[str, Sequence[str]]) -> None:
        """Run a plan; cancelled, it stops what runs before it raises."""
        self._loop = asyncio.get_running_loop()
        async with cluster_of(self._on, board.plan.limit) as cluster:
            drive = self._drive = Drive(cluster, board, readers)
            try:
                await drive.begin()
                if cluster.dashboard:
                    board.tell("note", "", f"Dask's dashboard: {cluster.dashboard}")
                self.where = f"on Dask, {drive.threads} threads"
                for name in self._stopped:
                    drive.cancel(name)
                async with keeping_warm(board, drive.to_come):
                    await drive.all()
            finally:
                await drive.stop()

    def cancel(self, name: str | None) -> None:
        """Stop a task, or everything; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel, name)

    def _cancel(self, name: str | None) -> None:
        if self._drive is None or not self._drive.begun:
            self._stopped.append(name)
        else:
            self._drive.cancel(name)
