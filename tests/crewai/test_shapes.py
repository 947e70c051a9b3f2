"""Every crew shape, plain and wrapped: the same outputs and events, and the prefix shared.

`AGENTCACHE_SHAPES_FILE=shapes.md pytest tests/crewai/test_shapes.py -s` shows and writes the table.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import agentcache
from agentcache import loopback

from .shapes_kit import Bench, Ran, Row, Shape, markdown, measure, row_of
from .shapes_rows import SHAPES

Both = Callable[[Shape], tuple[Ran, Ran]]


def rows() -> Iterator[object]:
    for shape in SHAPES:
        yield pytest.param(shape, id=shape.name)


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    found: list[Row] = []
    yield found
    text = markdown(found)
    print("\n" + text)
    if os.environ.get("AGENTCACHE_SHAPES_FILE"):
        Path(os.environ["AGENTCACHE_SHAPES_FILE"]).write_text(text, encoding="utf-8")


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """Run a shape plain and wrapped, each on a provider and in a folder of its own."""

    def run(shape: Shape) -> tuple[Ran, Ran]:
        runs: list[Ran] = []
        for name in ("plain", "wrapped"):
            folder = tmp_path / name
            folder.mkdir()
            monkeypatch.chdir(folder)
            monkeypatch.setenv("CREWAI_STORAGE_DIR", str(folder / "crewai"))
            with loopback.serve(script=shape.script) as provider:
                runs.append(measure(shape, Bench(provider, folder), wrapped=name == "wrapped"))
        return runs[0], runs[1]

    return run


@pytest.mark.parametrize("shape", list(rows()))
def test_a_shape_works_as_before_and_shares_its_prefix(shape, both, table):
    if shape.lacks:
        table.append(Row(f"{shape.name} (skipped: {shape.lacks})"))
        pytest.skip(shape.lacks)
    with warnings.catch_warnings():
        if shape.notes:
            warnings.simplefilter("ignore", agentcache.AgentcacheWarning)
        plain, forked = both(shape)
    table.append(row_of(shape, plain, forked))

    assert forked.outputs == plain.outputs
    assert forked.events == plain.events
    assert forked.heard == plain.heard
    assert forked.kept == plain.kept
    assert len(forked.requests) == len(plain.requests)

    assert [s >= shape.least for s in forked.of_forks()].count(False) == shape.anew
    assert len(forked.requests) - sum(forked.forks) == shape.passed + shape.outside
    assert forked.reported == (len(forked.requests) - shape.outside, shape.passed)
    assert shape.notes in "\n".join(forked.reports[0].notes)
    if forked.metered is not None and not shape.unmetered:
        assert forked.metered == forked.billed
        if plain.event_tokens == plain.billed[1]:  # 1.14 has no event for an answer it asks again
            assert forked.event_tokens == forked.billed[1]


@pytest.mark.parametrize("name", ["kickoff", "max_iter reached"])
def test_after_a_call_hooks_and_listeners_are_shown_the_programs_own_messages(name, both):
    plain, forked = both(next(shape for shape in SHAPES if shape.name == name))
    assert forked.shown == plain.shown
