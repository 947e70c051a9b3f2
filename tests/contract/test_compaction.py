"""Every framework's long tool loop: smaller, nothing lost, and the prefix where it was."""

import warnings

import pytest

from agentcache.demo.compaction import Row, loops, rows
from agentcache.errors import MissingExtraError, OptionError

from .conftest import MODELS

TURNS = 14
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what a framework deprecates as it is imported
    FOUND, _ = loops()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_long_loop_is_compacted_without_moving_its_prefix(name: str, model: str) -> None:
    try:
        told: dict[str, Row] = {
            row.way: row for row in rows(name, FOUND[name], model, TURNS, lambda _: None)
        }
    except (MissingExtraError, OptionError) as error:
        pytest.skip(str(error))
    plain, forked, compacted = told["as it is"], told["forked"], told["compacted"]
    assert plain.calls == forked.calls == compacted.calls - 1 == TURNS + 1
    assert compacted.recalled is True
    assert compacted.moves == forked.moves <= 1  # a chat's own text may find its place once
    assert compacted.announced == 0
    assert compacted.bill < 0.7 * forked.bill
    assert compacted.longest < 0.7 * plain.longest
