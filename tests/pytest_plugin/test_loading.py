"""The plugin is loaded in every run of pytest: it must weigh nothing and change nothing."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

HEAVY = "pydantic rich starlette uvicorn openai anthropic numpy agentcache.breaks agentcache.ledger"


SLOW = ("asyncio", "hypothesispytest", "inline_snapshot", "xdist", "xdist.looponfail")
"""Plugins of others that take long to load, where they are installed."""


def outside(
    folder: Path, *options: str, autoload: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own; with the plugins that are installed, or with ours."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    switches = [word for name in SLOW for word in ("-p", f"no:{name}")]
    if not autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        switches = ["-p", "agentcache.pytest_plugin"]
    command = [sys.executable, "-Im", "pytest", "-p", "no:cacheprovider", *switches, *options]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_it_is_found_by_its_entry_point():
    found = {e.name: e.value for e in entry_points(group="pytest11")}

    assert found["agentcache"] == "agentcache.pytest_plugin.hooks"


def test_a_suite_that_does_not_use_it_loads_nothing_heavy(tmp_path):
    (tmp_path / "test_mine.py").write_text(f"""
import sys

def test_it():
    assert "agentcache.pytest_plugin.hooks" in sys.modules
    assert not [name for name in {HEAVY!r}.split() if name in sys.modules]
""")

    ran = outside(tmp_path, "-q", "-W", "error", "--strict-markers", "--strict-config")

    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "agentcache" not in ran.stdout


def test_one_that_uses_it_would_be_noticed(tmp_path):
    """Positive control."""
    (tmp_path / "test_mine.py").write_text(f"""
import sys

def test_it(prefix_cache):
    prefix_cache.request({{"model": "gpt-4.1-mini", "messages": []}})
    assert not [name for name in {HEAVY!r}.split() if name in sys.modules]
""")

    assert "1 failed" in outside(tmp_path, "-q").stdout


def test_it_is_there_where_plugins_load_by_themselves(tmp_path):
    (tmp_path / "test_mine.py").write_text("""
def test_it(prefix_cache, pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("agentcache")
    prefix_cache.request({"model": "gpt-4.1-mini", "messages": []})
""")

    found = outside(tmp_path, "-q", autoload=True)
    named = outside(tmp_path, "-q", "-p", "agentcache.pytest_plugin", autoload=True)
    short = outside(tmp_path, "-q", "-p", "agentcache", autoload=True)
    blocked = outside(tmp_path, "-q", "-p", "no:agentcache", autoload=True)

    for ran in (found, named, short):
        assert "agentcache: 1 test watched, none broke its prefix" in ran.stdout, ran.stdout
        assert "1 passed" in ran.stdout
    assert "fixture 'prefix_cache' not found" in blocked.stdout
    assert "no:agentcache" not in blocked.stderr


def test_a_conftest_may_name_it(inner, pytester):
    pytester.makeconftest('pytest_plugins = ["agentcache.pytest_plugin"]')

    inner("def test_it(prefix_cache): steady(prefix_cache)").assert_outcomes(passed=1)


def test_warnings_may_be_errors_and_settings_strict(inner, pytester):
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")

    ran = inner("""
@pytest.mark.prefix_cache(min_shared_tokens=10)
def test_fine(prefix_cache): steady(prefix_cache)

@pytest.mark.moves_cache_prefix(reason="it tells the time")
def test_moves(prefix_cache): moved(prefix_cache)
""")

    ran.assert_outcomes(passed=2)


def test_marks_and_options_are_described(inner):
    ran = inner("", "--markers")
    ran.stdout.fnmatch_lines(
        [
            "@pytest.mark.prefix_cache(min_shared_tokens=0, ignore=(), apart=(), provider=None): *",
            "@pytest.mark.moves_cache_prefix(reason): *",
        ]
    )
    ran = inner("", "--help")
    ran.stdout.fnmatch_lines(
        ["*--no-prefix-cache*", "*--update-prefix-lock*", "*prefix_cache_lock (string):*"]
    )


def test_asynchronous_tests_are_judged_when_they_have_run(inner):
    ran = inner(
        """
import asyncio

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_moves(prefix_cache):
    await asyncio.sleep(0)
    moved(prefix_cache)

@pytest.mark.anyio
async def test_fine(prefix_cache):
    await asyncio.sleep(0)
    steady(prefix_cache)
""",
        *("-p", "anyio"),
    )

    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["prefix broke: agent 'clerk', timestamp *"])


def test_test_cases_of_unittest_are_judged(inner):
    ran = inner("""
import unittest

class TestIt(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def watched(self, prefix_cache):
        self.prefix_cache = prefix_cache

    def test_moves(self): moved(self.prefix_cache)

    def test_fine(self): steady(self.prefix_cache)
""")

    ran.assert_outcomes(passed=1, failed=1)


def test_verdicts_and_locks_come_home_from_other_processes(inner, pytester):
    suite = """
def test_moves(prefix_cache): moved(prefix_cache)
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_fine(prefix_cache, name):
    steady(prefix_cache)
    prefix_cache.lock(name)
"""
    ran = inner(suite, "-p", "xdist", "-n", "2", "--update-prefix-lock")

    ran.assert_outcomes(passed=3, failed=1)
    ran.stdout.fnmatch_lines(["agentcache: 4 tests watched, 1 broke its prefix"])
    assert ran.stdout.str().count("agentcache: ") == 1
    lock = (pytester.path / "agentcache.lock").read_text()
    assert [line for line in lock.splitlines() if line.startswith("program")] == [
        'program = "a"',
        'program = "b"',
        'program = "c"',
    ]


def test_annotations_can_name_the_class():
    from agentcache import pytest_plugin
    from agentcache.pytest_plugin import PrefixCache, watching

    assert PrefixCache is watching.PrefixCache
    with pytest.raises(AttributeError, match="no attribute 'Prefix'"):
        _ = pytest_plugin.Prefix
