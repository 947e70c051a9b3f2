"""A prefix is used again before it is forgotten, where that pays, and not where it does not."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.plain import BRIEF, client_at

from agentcache import Session, TaskGraph, loopback
from agentcache.graphs import warmth

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
_TTL_S = 1.0
_PAUSE_S = 2.1
"""A lifetime, and a task that takes longer than one, in seconds that a test has time for."""


@pytest.fixture
def hurried(mocker: Any) -> None:
    """Let a session's prefix live for a second, as the provider's does here."""
    terms = Session.terms.fget
    mocker.patch.object(Session, "terms", property(lambda self: replace(terms(self), ttl_s=_TTL_S)))


def graph_at(serve: Any, model: str, *, is_async: bool = False) -> tuple[Any, TaskGraph]:
    api = "messages" if model.startswith("claude") else "chat"
    faster = 0.0

    def clock() -> float:
        return time.monotonic() * faster

    provider = serve(loopback.echo, clock=clock)
    client = client_at(provider, api, is_async=is_async)
    session = Session.open(client, model=model, system="You are a team.", context=[BRIEF])
    faster = session.parent.parent.ttl.seconds / _TTL_S
    graph = TaskGraph(session)
    graph.add("first", "Begin.")
    graph.add("pause", lambda first: time.sleep(_PAUSE_S), needs=["first"])
    graph.add("last", "End.", after=["pause"])
    return provider, graph


@pytest.mark.parametrize(("model", "is_async"), [(MODELS[0], True), (MODELS[1], False)])
def test_a_prefix_that_is_to_be_read_is_kept_alive(serve, hurried, model, is_async) -> None:
    provider, graph = graph_at(serve, model, is_async=is_async)

    async def run() -> Any:
        # An asynchronous client is closed on the loop that it was used on.
        result = await graph.arun()
        await graph.session.line.client.close()
        return result

    result = (asyncio.run(run()) if is_async else graph.run()).check()
    first, *kept, last = provider.log
    assert 2 <= len(kept) <= 4
    assert first.cached_tokens == 0
    assert all(call.cached_tokens > 0 for call in (*kept, last))
    assert len([note for note in result.notes if "keep-alive" in note]) == len(kept)
    # They are in the ledger as what they are, and in no task's outcome.
    assert [c.agent for c in result.ledger.calls].count("keep-alive") == len(kept)
    assert sum(o.calls for o in result.outcomes.values()) == 2


@pytest.mark.parametrize("model", MODELS)
def test_without_them_the_prefix_is_written_anew(serve, hurried, model, mocker) -> None:
    mocker.patch.object(warmth, "pays", return_value=False)
    provider, graph = graph_at(serve, model)
    graph.run().check()
    assert [call.cached_tokens for call in provider.log] == [0, 0]


def test_nothing_is_sent_for_a_session_that_nobody_will_ask(serve, hurried) -> None:
    provider, _ = graph_at(serve, MODELS[0])
    session = Session.open(
        client_at(provider, "chat"), model=MODELS[0], system="You are a team.", context=[BRIEF]
    )
    graph = TaskGraph(session)
    graph.add("first", "Begin.")
    graph.add("pause", lambda first: time.sleep(_PAUSE_S), needs=["first"])
    graph.run().check()
    assert len(provider.log) == 1


def test_it_is_given_up_once_it_costs_more_than_writing_anew(serve) -> None:
    session = Session.open(
        client_at(serve(), "chat"), model=MODELS[0], system="You are a team.", context=[BRIEF]
    )
    rule, ttl = session.parent.parent.rule, session.parent.parent.ttl
    sent = 0
    while warmth.pays(session, sent):
        sent += 1
    read, write = rule.read_multiplier, max(1.0, ttl.write_multiplier)
    assert sent > 1
    assert sent * read < write - read <= (sent + 1) * read
