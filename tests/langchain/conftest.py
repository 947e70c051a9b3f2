"""What every test of the LangChain adapter gets."""

from collections.abc import AsyncIterator

import pytest


@pytest.fixture(scope="session", autouse=True)
async def one_event_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for the run: LangChain shares a client between models and loops."""
    yield  # noqa: PT022 - a fixture that yields keeps its loop open
