"""The pytest plugin: `prefix_cache` fails a test whose agents' prefix broke. Active once installed.

    def test_the_crew_shares_its_prefix(prefix_cache):
        crew = prefix_cache.wrap(make_crew())
        crew.kickoff()

`-p no:agentcache` takes it away. Where plugins are not loaded by themselves, `-p agentcache` loads
it, and so does naming this module: `-p agentcache.pytest_plugin`, or `pytest_plugins` in your top
`conftest.py`. It asserts nothing by itself (PYTEST_DONT_REWRITE).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agentcache.pytest_plugin.watching import PrefixCache

__all__ = ["PrefixCache"]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin under its own name, unless it is there already or blocked."""
    if not pluginmanager.has_plugin("agentcache"):
        pluginmanager.register(import_module("agentcache.pytest_plugin.hooks"), "agentcache")


def __getattr__(name: str) -> Any:
    """Load the class of the fixture at first use, for annotations."""
    if name == "PrefixCache":
        return import_module("agentcache.pytest_plugin.watching").PrefixCache
    raise AttributeError(f"module 'agentcache.pytest_plugin' has no attribute {name!r}")
