"""Dask: a task graph runs on the machines of a cluster.

`graph.run(on=client)` finds this module by its entry point. Works with distributed >= 2024.4.1; the
scheduler and the workers need agentcache too, with this extra.

PYTEST_DONT_REWRITE: it holds no test's asserts, and our plugin is loaded before pytest's.
"""

try:
    import distributed as _distributed
except ImportError as error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("dask", "distributed") from error

from agentcache_dask.engine import engine_on

del _distributed

__all__ = ["engine_on"]
