"""A provider without a network, and a clock that the test moves."""

import json
from typing import Any

import pytest

from agentcache.loopback.provider import Provider
from agentcache.loopback.reading import Reading
from agentcache.loopback.scripts import echo
from agentcache.loopback.tokens import pieces

_PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class Player:
    """Plays requests against the emulated caches; `now` is the clock, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.provider = Provider(
            script=echo, latency=None, faults=(), tokenizer=pieces, clock=lambda: self.now
        )

    def start(self, api: str, key: str = "k", beta: str = "", **body: Any) -> Reading:
        """Read without making the request's own writes readable."""
        raw = json.dumps(body).encode()
        headers = {"authorization": key, "anthropic-beta": beta}
        call = self.provider.receive(_PATHS[api], headers, raw)
        return self.provider.read(self.provider.resolve(call))

    def send(self, api: str, key: str = "k", beta: str = "", **body: Any) -> Reading:
        """Read, then make the writes readable."""
        reading = self.start(api, key, beta, **body)
        self.provider.publish(reading)
        return reading


def words(number: int, word: str = "alpha") -> str:
    """Return a text of so many tokens."""
    return " ".join([word] * number)


@pytest.fixture
def play() -> Player:
    return Player()


@pytest.fixture(scope="session")
def new_player() -> type[Player]:
    """For property tests: hypothesis wants a fresh one per example."""
    return Player


@pytest.fixture(scope="session", name="words")
def words_fixture():
    return words
