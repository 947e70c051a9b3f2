"""What pytest calls: options, marks, fixtures, and the verdict at the end of a test.

Loaded in every run of pytest: nothing of agentcache is imported before a test asks for a fixture.
It asserts nothing by itself (PYTEST_DONT_REWRITE).
"""

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from agentcache.engine import Engine
    from agentcache.loopback import Loopback
    from agentcache.pytest_plugin.watching import PrefixCache

__all__ = ["agentcache_engine", "agentcache_loopback", "prefix_cache"]

_OPTIONS: Final = "prefix_cache"
_MOVES: Final = "moves_cache_prefix"
_ON_REPORT: Final = "agentcache"
"""Name under which a test's verdict travels with its report, also between xdist's processes."""

_Fields = dict[str, Any]
_watched: Final = pytest.StashKey["PrefixCache"]()
_verdict: Final = pytest.StashKey[_Fields]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("agentcache", "agentcache: the prefix that agents share")
    group.addoption(
        "--no-prefix-cache",
        action="store_true",
        help="let no test fail for what its fixture prefix_cache saw",
    )
    group.addoption(
        "--update-prefix-lock",
        action="store_true",
        help="write what prefix_cache.lock(name) sees to the lock file, instead of comparing",
    )
    parser.addini(
        "prefix_cache_lock", "lock file of shared prefixes, from rootdir", default="agentcache.lock"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, and count what was watched."""
    config.addinivalue_line(
        "markers",
        f"{_OPTIONS}(min_shared_tokens=0, ignore=(), apart=(), provider=None): options of the "
        "fixture prefix_cache.",
    )
    config.addinivalue_line(
        "markers",
        f"{_MOVES}(reason): the agents' prefix is expected to break or to be shared too little; "
        "the test fails if it is not.",
    )
    config.pluginmanager.register(_Tally(config), "agentcache-tally")


@pytest.fixture
def prefix_cache(request: pytest.FixtureRequest) -> Generator["PrefixCache"]:
    """Fail the test if the prefix of the agents it watches broke, or is shared too little."""
    from agentcache.pytest_plugin.watching import (  # noqa: PLC0415 - only if asked for
        PrefixCache,
        configured,
    )

    node = request.node
    if _verdict in node.stash:  # of an earlier try, where a test is run again
        del node.stash[_verdict]
    _reason_of(node)
    made = PrefixCache(node.nodeid, _lock_path(request.config))
    wrong = ""
    try:
        for mark in reversed(list(node.iter_markers(_OPTIONS))):
            configured(made, mark)
    except (TypeError, ValueError) as error:
        wrong = str(error)
    if wrong:
        pytest.fail(f"@pytest.mark.{_OPTIONS}: {wrong}", pytrace=False)
    node.stash[_watched] = made
    yield made
    made.close()


@pytest.fixture
def agentcache_loopback() -> Generator["Loopback"]:
    """A provider on this machine that emulates the caching rules, cold for every test."""
    from agentcache import loopback  # noqa: PLC0415 - only if asked for

    with loopback.serve(script=loopback.agent) as provider:
        yield provider


@pytest.fixture(scope="session")
def agentcache_engine() -> Generator["Engine"]:
    """The embedded engine with the constructed agent model, started once."""
    from agentcache import engine  # noqa: PLC0415 - only if asked for

    with engine.serve() as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge what was watched when the test has run; a test that failed by itself is only told."""
    try:
        result = yield
    except (Exception, pytest.fail.Exception):
        watch = item.stash.get(_watched, None)
        said = "" if watch is None else watch.verdict().told()
        if said:
            item.add_report_section("call", "prefix cache", said)
        raise
    watch = item.stash.get(_watched, None)
    if item.config.getoption("no_prefix_cache", default=False):
        item.stash[_verdict] = {"state": "off" if watch else ""}
    elif watch is not None or item.get_closest_marker(_MOVES) is not None:
        _judge(item, watch)
    return result


def _judge(item: pytest.Item, watch: "PrefixCache | None") -> None:
    reason = _reason_of(item)
    if watch is None:
        pytest.fail(
            f"@pytest.mark.{_MOVES} needs the fixture prefix_cache: nothing watches this test.",
            pytrace=False,
        )
    update = bool(item.config.getoption("update_prefix_lock", default=False))
    verdict = watch.verdict(update=update)
    item.stash[_verdict] = {"state": verdict.state(reason), "locks": verdict.locks}
    failure = verdict.failure(reason)
    if failure:
        pytest.fail(failure, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send the verdict along with the report of the test."""
    report = yield
    if call.when == "call" and _verdict in item.stash:
        report.__dict__[_ON_REPORT] = item.stash[_verdict]
    return report


def _reason_of(node: pytest.Item) -> str:
    """Why the prefix may move here; empty where it may not."""
    mark = node.get_closest_marker(_MOVES)
    if mark is None:
        return ""
    reason: Any = mark.kwargs.get("reason", mark.args[0] if mark.args else "")
    if not isinstance(reason, str) or not reason.strip():
        pytest.fail(
            f'@pytest.mark.{_MOVES} needs a reason: @pytest.mark.{_MOVES}(reason="...").',
            pytrace=False,
        )
    return reason


def _lock_path(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getini("prefix_cache_lock"))


class _Tally:
    """Counts the verdicts of a run and writes the lock file; in the main process under xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._verdicts: dict[str, _Fields] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, _ON_REPORT, None)
        if found is not None:
            self._verdicts[report.nodeid] = found

    def pytest_sessionfinish(self) -> None:
        if hasattr(self._config, "workerinput"):
            return
        found = [text for verdict in self._verdicts.values() for text in verdict.get("locks", ())]
        if found:
            from agentcache.locks import LockFile  # noqa: PLC0415 - only if asked for

            LockFile.update(_lock_path(self._config), found)

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        states = [v["state"] for v in self._verdicts.values() if v["state"]]
        if states:
            terminalreporter.write_line(f"agentcache: {_counted(states)}")


def _counted(states: list[str]) -> str:
    """A run in one line."""
    off = states.count("off")
    if off:
        return f"{off} {'test' if off == 1 else 'tests'} not judged (--no-prefix-cache)"
    said = [f"{len(states)} {'test' if len(states) == 1 else 'tests'} watched"]
    broke = states.count("broke")
    said.append(f"{broke or 'none'} broke {'their' if broke > 1 else 'its'} prefix")
    for state, words in (
        ("little", "shared too little"),
        ("moved", "moved it as expected"),
        ("unused", "did not move it, though marked"),
        ("unwatched", "watched no call"),
        ("unlocked", "not as locked"),
    ):
        if states.count(state):
            said.append(f"{states.count(state)} {words}")
    return ", ".join(said)
