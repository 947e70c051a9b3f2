"""Fixtures for testing your own agents: `pytest -p agentcache.pytest_plugin`.

Or, in your top `conftest.py`: `pytest_plugins = ["agentcache.pytest_plugin"]`.
"""

from collections.abc import Generator

import pytest

from agentcache import engine, loopback

__all__ = ["agentcache_engine", "agentcache_loopback"]


@pytest.fixture
def agentcache_loopback() -> Generator[loopback.Loopback]:
    """A provider on this machine that emulates the caching rules, cold for every test."""
    with loopback.serve(script=loopback.agent) as provider:
        yield provider


@pytest.fixture(scope="session")
def agentcache_engine() -> Generator[engine.Engine]:
    """The embedded engine with the constructed agent model, started once."""
    with engine.serve() as running:
        yield running
