"""A test suite that is not ours, run by pytest inside of pytest."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import agentcache.pytest_plugin.watching
import agentcache.wrapping
from agentcache import loopback

TALK = '''
import pytest

LONG = "Mind the rules of the house, all of them, at all times. " * 150

def body(system, *said, model="gpt-4.1-mini", tools=()):
    messages = [{"role": "system", "content": system}]
    roles = ["user", "assistant"] * len(said)
    messages += [{"role": r, "content": t} for r, t in zip(roles, said)]
    tools = [{"type": "function", "function": {"name": n, "parameters": {}}} for n in tools]
    return {"model": model, "messages": messages, **({"tools": tools} if tools else {})}

def talk(prefix_cache, *systems, agent="clerk"):
    """One conversation, whose system text is another one at every turn."""
    said = ["Begin."]
    for system in systems:
        prefix_cache.request(body(system, *said), agent=agent)
        said += ["Done.", "Go on."]

def steady(prefix_cache):
    talk(prefix_cache, LONG, LONG)

def moved(prefix_cache, agent="clerk"):
    times = (f"Current time: 12:00:0{n}. You are the clerk. " for n in (1, 2))
    talk(prefix_cache, *(time + LONG for time in times), agent=agent)
'''
Inner = Callable[..., pytest.RunResult]


@pytest.fixture
def inner(pytester: pytest.Pytester, mocker, monkeypatch: pytest.MonkeyPatch) -> Inner:
    """Run a suite: its source, behind helpers for talks, then pytest's options.

    With no plugin but ours: others load what takes seconds.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(fleet=Path(__file__).with_name("fleet.py").read_text())
    pytester.syspathinsert()
    known = agentcache.wrapping.entry_points
    fleet = EntryPoint("fleet", "fleet", "agentcache.adapters")
    mocker.patch("agentcache.wrapping.entry_points", lambda group: [*known(group=group), fleet])

    def run(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_suite=TALK + source)
        options = ("-p", "agentcache.pytest_plugin", "-p", "no:cacheprovider", *options)
        return pytester.runpytest_inprocess(*options)

    return run


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as running:
        yield running
