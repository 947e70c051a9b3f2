"""Every crew shape, plain and wrapped: the same outputs and events, and the prefix shared."""

import pytest

from agentcache import loopback

from .shapes_kit import Bench, measure, reasons, row_of
from .shapes_rows import SHAPES


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_a_shape_answers_as_before_and_shares_its_prefix(shape, tmp_path, monkeypatch):
    runs = []
    for wrapped in (False, True):
        folder = tmp_path / str(wrapped)
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(folder / "crewai"))
        with loopback.serve(script=shape.script) as provider:
            runs.append(measure(shape, Bench(provider, folder), wrapped=wrapped))
    plain, forked = runs
    print(row_of(shape, plain, forked), reasons(forked), [round(s,3) for s in forked.of_forks()])
    print([r for r in forked.reports[0].remarks()])
    assert forked.outputs == plain.outputs
    assert forked.events == plain.events
    assert forked.heard == plain.heard
    assert forked.kept == plain.kept
    assert all(s >= 0.95 for s in forked.of_forks())
    assert len(forked.requests) == sum(r.total.calls for r in {id(r):r for r in forked.reports}.values()) + shape.outside
    assert forked.forks.count(False) == sum(reasons(forked).values()) + shape.outside
    if forked.metered: assert forked.metered == forked.billed
    assert forked.event_usage == forked.billed[1]
