"""A provider that answers what langchain-tests asks, and the outcomes of each suite side by side.

A test runs as four standings: `plain` is the control; `forked` is the class that agentcache makes
of it; `beside` is the same after someone else with two tools has spoken in the session; `union`
is that with the tools of all in front of every request.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.amber import AmberSnapshotExtension
from syrupy.location import PyTestLocation

import agentcache
from agentcache import loopback

STANDINGS = ("plain", "forked", "beside", "union")
BRIEF = "The brief that every worker shares. " + " ".join(
    f"Clause {number}: all of it is agreed." for number in range(300)
)


@dataclass
class Outcome:
    """How one test ended, what it sent, and why some of that was not forked."""

    ended: str = ""
    sent: tuple[loopback.Logged, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def calls(self) -> list[int]:
        """How many tools each answer calls, sorted: a batch has no order."""
        return sorted(
            len(logged.answer.tool_calls) if logged.answer else -1 for logged in self.sent
        )

    @property
    def unforked(self) -> int:
        """How many requests do not carry the shared brief."""
        return sum(not is_forked(logged) for logged in self.sent)


def is_forked(logged: loopback.Logged) -> bool:
    """Return whether a request carries the shared brief."""
    return BRIEF.encode() in logged.raw


OUTCOMES = pytest.StashKey[defaultdict[tuple[str, str], dict[str, Outcome]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = defaultdict(dict)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    if _standing(item) and (report.when == "call" or report.outcome != "passed"):
        why = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        _outcome(item).ended = f"{report.outcome} {why}".strip()
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash[OUTCOMES]
    if not found:
        return
    terminalreporter.section("standard suites: passed / skipped / failed, forked of sent requests")
    for suite in dict.fromkeys(suite for suite, _ in found):
        cells = [f"{standing} {_counts(found[suite, standing])}" for standing in STANDINGS]
        terminalreporter.write_line(f"{suite:24}" + "".join(f"{cell:32}" for cell in cells))


def _counts(outcomes: Mapping[str, Outcome]) -> str:
    ended = [outcome.ended.partition(" ")[0] for outcome in outcomes.values()]
    counts = " / ".join(str(ended.count(kind)) for kind in ("passed", "skipped", "failed"))
    sent = sum(len(outcome.sent) for outcome in outcomes.values())
    return f"{counts}, {sent - sum(o.unforked for o in outcomes.values())} of {sent}"


def _standing(item: Any) -> str:
    """Return the standing of a test; nothing for a test of another kind."""
    return item.callspec.params.get("placed", "") if hasattr(item, "callspec") else ""


def _outcome(item: Any) -> Outcome:
    """Return the entry of a test under its suite and standing, by its name without the latter."""
    standing = _standing(item)
    name = "-".join([item.originalname, *(p for p in item.callspec.id.split("-") if p != standing)])
    return item.config.stash[OUTCOMES][item.parent.name, standing].setdefault(name, Outcome())


@tool
def foreign_search(query: str) -> str:
    """Search the shelves of another agent."""
    return query


@tool
def foreign_archive(document: str, keep: bool) -> str:
    """Put a document into another agent's archive."""
    return document if keep else ""


def answer(turn: loopback.Turn) -> loopback.Answer:
    """Answer from schemas, with the values that the standard tests look for."""
    asked = "\n".join(said.text for said in turn.texts if said.role == "user")
    if turn.response_schema == {"type": "object"}:  # JSON mode: the prompt names the keys
        keys = re.findall(r"'(\w+)'", asked)
        return loopback.Answer("{" + ", ".join(f'"{key}": "{key}"' for key in keys) + "}")
    given = loopback.agent(turn)
    calls = [
        replace(call, arguments={k: _value(k, v, asked) for k, v in call.arguments.items()})
        for call in given.tool_calls
    ]
    return replace(given, tool_calls=tuple(calls))


def _value(name: str, value: Any, asked: str) -> Any:
    patterns = {"input": r"magic_function\((\d+)\)", "customer_name": r"named '([^']+)'"}
    found = re.findall(patterns.get(name, r"(?!)"), asked)
    return type(value)(found[-1]) if found else value


@pytest.fixture(scope="session")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=answer) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for the run: LangChain keeps its connections beyond a test."""
    yield  # noqa: PT022 - what returns lets go of its loop


@pytest.fixture(params=STANDINGS)
def placed(
    request: pytest.FixtureRequest, provider: loopback.Loopback
) -> Iterator[Callable[[BaseChatModel], type[BaseChatModel]]]:
    """Turn a model into the class to test; keep what the test sends."""
    ledger = agentcache.Ledger()

    def class_of(model: BaseChatModel) -> type[BaseChatModel]:
        if request.param == "plain":
            return type(model)
        tools: Any = "union" if request.param == "union" else "auto"
        forked = agentcache.wrap(model, context=[BRIEF], layout="fork", tools=tools, ledger=ledger)
        if request.param != "forked":
            forked.bind_tools([foreign_search, foreign_archive]).invoke("Anything for me?")
            provider.clear()
        return type(forked)

    provider.reset()
    yield class_of
    outcome = _outcome(request.node)
    outcome.sent = provider.log
    outcome.left = tuple(call.reason for call in ledger.calls if not call.forked)


class OnePerClass(AmberSnapshotExtension):
    """Name a snapshot by its test class, so that all standings share the plain one's."""

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: Any = 0) -> str:
        return f"{test_location.classname}.test_serdes[{index}]"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion, request: pytest.FixtureRequest) -> SnapshotAssertion:
    """Compare with the plain class's snapshot; only that one may write it."""
    if snapshot.update_snapshots and _standing(request.node) != "plain":
        pytest.fail("A snapshot is made from the plain class: -k 'test_serdes and plain'.")
    return snapshot.use_extension(OnePerClass)


@pytest.fixture
def outcomes(request: pytest.FixtureRequest, suite: str) -> Callable[[str], Mapping[str, Outcome]]:
    """Return what became of the tests of a suite; skip where a selection left some out."""
    found = request.config.stash[OUTCOMES]
    if not all(found[suite, standing] for standing in STANDINGS):
        pytest.skip("Only part of the suites ran.")
    return lambda standing: found[suite, standing]


@pytest.fixture(name="is_forked")
def is_forked_fixture() -> Callable[[loopback.Logged], bool]:
    return is_forked
