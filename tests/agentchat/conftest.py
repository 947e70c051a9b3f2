"""What every test of the AgentChat adapter gets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OWN_WARNINGS = (
    # The client expects OpenAI's dated name for gpt-4.1-mini; the loopback answers the one asked.
    "ignore:Resolved model mismatch:UserWarning",
    # The client dumps what it parsed for its log as if it were not parsed.
    "ignore:Pydantic serializer warnings:UserWarning",
)
"""What AutoGen's client warns of by itself."""


@pytest.fixture(scope="session", autouse=True)
async def one_event_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for the run: a team stays on the loop of its first run."""
    yield  # noqa: PT022 - a fixture that yields keeps its loop open


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(*OWN_WARNINGS))
