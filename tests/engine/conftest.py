"""One real engine for all tests that need no other, and short ways to talk to it."""

from collections.abc import Iterator

import pytest

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")

from agentcache.engine import Engine, ToolCue, serve

TOOLS = (
    ToolCue("search_notes", {"query": "the open points"}),
    ToolCue("read_file", {"path": "notes.txt"}),
    ToolCue("run-tests", {"only": ["fast"], "limit": 3}),
)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One slot, three tools."""
    with serve(tools=TOOLS, context=8192) as running:
        yield running


@pytest.fixture(scope="session")
def four_slots() -> Iterator[Engine]:
    """Four slots, one tool."""
    with serve(slots=4, context=4096) as running:
        yield running
