"""Clients of SDKs, closed when their test is over."""

from collections.abc import Iterator
from typing import Any

import pytest

_OPENED: list[Any] = []


def opened(client: Any) -> Any:
    """Close a client after this test; an asynchronous one is closed by whoever runs its loop."""
    _OPENED.append(client)
    return client


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while _OPENED:
        client = _OPENED.pop()
        if not type(client).__name__.startswith("Async"):
            client.close()
