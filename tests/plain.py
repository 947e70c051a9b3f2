"""A provider on loopback, and clients of both SDKs that speak to it: for suites that need them.

A suite's conftest imports the fixtures: `from tests.plain import api, closed_clients, serve`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import anthropic
import openai

from agentcache import loopback

Make = Callable[..., Any]
MODELS = {
    "chat": "gpt-6-luna",
    "responses": "gpt-6-luna",
    "messages": "claude-haiku-5-5",
}
_OPENED: list[Any] = []
BRIEF = "The brief says that fleets of bikes are repaired where they stand. " * 300


@pytest.fixture(params=list(MODELS))
def api(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def serve() -> Iterator[Callable[..., loopback.Loopback]]:
    opened: list[Any] = []

    def start(script: Any = loopback.agent, **options: Any) -> loopback.Loopback:
        running = loopback.serve(script=script, **options)
        opened.append(running)
        return running.__enter__()

    yield start
    for running in opened:
        running.__exit__(None, None, None)


def client_at(
    provider: loopback.Loopback, api: str, *, is_async: bool = False, **options: Any
) -> Any:
    held = {"api_key": "dummy", **options}
    if api == "messages":
        kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
        client: Any = kind(base_url=provider.url, **held)
    else:
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
        client = kind(base_url=provider.openai_url, **held)
    if not is_async:
        _OPENED.append(client)
    return client


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()
