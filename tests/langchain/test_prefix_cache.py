"""The pytest fixture `prefix_cache` and `agentcache lock` on real graphs."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("langgraph")
pytest.importorskip("langchain_openai")

import langchain_anthropic  # noqa: F401 - what the suite loads inside is then loaded once only
import langgraph.prebuilt  # noqa: F401

import agentcache.pytest_plugin.watching  # noqa: F401
from agentcache.cli import main

pytest_plugins = ["pytester"]

KIT = Path(__file__).parents[1] / "contract" / "kit_langchain_core.py"
SUITE = """
import pytest

import kit
from agentcache import loopback
from agentcache.demo.scenario import Endpoint

BRIEF = "The committee met in the old mill and wrote down what it had decided there. " * 120

@pytest.fixture(scope="module")
def running():
    with loopback.serve(script=loopback.agent) as running:
        yield running

@pytest.fixture
def graph(running):
    running.reset()
    return kit.program(Endpoint(running.openai_url, "gpt-6-luna", "dummy"), BRIEF)

@pytest.mark.prefix_cache(min_shared_tokens=1000)
def test_wrapped(prefix_cache, graph):
    kit.run(prefix_cache.wrap(graph, context=[BRIEF]))

@pytest.mark.prefix_cache(min_shared_tokens=1000)
def test_left_alone(prefix_cache, running, graph):
    prefix_cache.provider(running)
    kit.run(graph)

def test_tells_the_time(prefix_cache, running, graph, monkeypatch):
    prefix_cache.provider(running)
    endpoint = Endpoint(running.openai_url, "gpt-6-luna", "dummy")
    for time in ("12:00:01", "12:00:02"):
        prompt = f"You are the researcher. It is {time}."
        monkeypatch.setitem(kit.PROMPTS, "researcher", prompt)
        kit.run(kit.program(endpoint, BRIEF))
"""
OFFICE = """
import agentcache
import kit
from agentcache.demo.scenario import Endpoint

RULES = "Mind the rules of the house. " * 300

def team():
    endpoint = Endpoint("http://127.0.0.1:9/v1", "gpt-6-luna", "dummy")
    return agentcache.wrap(kit.program(endpoint, RULES), context=[RULES])
"""


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(kit=KIT.read_text())
    pytester.syspathinsert()
    return pytester


def test_a_graph_is_judged_wrapped_or_not(folder):
    folder.makepyfile(SUITE)

    ran = folder.runpytest_inprocess("-p", "agentcache.pytest_plugin", "-p", "no:cacheprovider")

    ran.assert_outcomes(passed=1, failed=2)
    ran.stdout.fnmatch_lines(
        [
            "shared too little: agent 'You are the *' shares no tokens with *",
            "prefix broke: agent 'You are the researcher. It is...', timestamp in *",
            "agentcache: 3 tests watched, 1 broke its prefix, 1 shared too little",
        ]
    )


def test_a_graph_is_locked_without_a_call(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    office = folder.path / "office.py"
    office.write_text(OFFICE)

    assert main(["lock", "office:team"]) == 0
    assert main(["lock", "--check"]) == 0
    lock = (folder.path / "agentcache.lock").read_text()
    assert "tools[search_notes]" in lock
    office.write_text(OFFICE.replace("Mind the rules", "Mind no rules"))
    sys.modules.pop("office")

    assert main(["lock", "--check"]) == 1
    assert "  changed  messages[1].content[0], " in capsys.readouterr().out
    assert "house" not in lock
