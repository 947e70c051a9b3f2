"""What `wrap` was asked for, and several clients, models and sessions."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")


import agentcache
from agentcache import Ledger, loopback
from agentcache.blocks import dumps
from agentcache.dialects import dialect_of
from agentcache.errors import AgentcacheWarning, FrozenError, OptionError

from .agents import (
    BRIEF,
    WAYS,
    agentcache_calls,
    asked,
    bodies,
    call,
    client_of,
    of,
    result,
    texts_in,
    tool,
)


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=loopback.agent) as made:
        yield made


def test_a_tool_that_comes_late_is_announced(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    call(client, "chat", "researcher", ["search"])
    with pytest.warns(AgentcacheWarning, match="brought 'delete'"):
        call(client, "chat", "analyst", ["delete"])
    call(client, "chat", "researcher", ["search"])
    assert [c.forked for c in agentcache_calls(client)] == [True] * 3
    assert [t["function"]["name"] for t in bodies(provider)[-1]["tools"]] == ["delete", "search"]
    allowed = bodies(provider)[-1]["tool_choice"]["allowed_tools"]["tools"]
    assert [one["function"]["name"] for one in allowed] == ["search"]


def test_calls_of_several_models_have_a_parent_each(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    for model in ("gpt-6-luna", "gpt-4.1-mini"):
        call(client, "chat", "clerk", model=model)
    assert agentcache.session(client, model="gpt-4.1-mini").domain.model == "gpt-4.1-mini"
    with pytest.raises(OptionError, match="2 sessions"):
        agentcache.session(client)
    (note,) = agentcache.report(client).notes
    assert note.startswith("One more session, for")


def test_clients_that_are_wrapped_together_share_a_parent(provider) -> None:
    provider.reset()
    clients = [client_of(provider, "chat") for _ in range(2)]
    agentcache.wrap(clients, context=[BRIEF])
    for client in clients:
        call(client, "chat", "clerk")
    assert provider.log[-1].cached_tokens > 2_000
    assert agentcache.session(clients).parent.context == (BRIEF,)
    agentcache.unwrap(clients)
    assert not any("request" in vars(client) for client in clients)


def test_a_session_is_joined_where_it_can_be(provider) -> None:
    provider.reset()
    first, second = (client_of(provider, "chat") for _ in range(2))
    agentcache.wrap(first, context=[BRIEF])
    call(first, "chat", "clerk")
    agentcache.wrap(second, session=agentcache.session(first))
    call(second, "chat", "writer")
    assert provider.log[-1].cached_tokens > 2_000
    call(second, "chat", "writer", model="gpt-4.1-mini")
    assert bodies(provider)[-1] == asked("chat", "writer", model="gpt-4.1-mini")
    assert agentcache_calls(second)[-1].reason.startswith("other_domain: the session belongs to")
    with pytest.raises(OptionError, match="they share no cache"):
        agentcache.wrap(
            client_of(provider, "chat").with_options(api_key="another"),
            session=agentcache.session(first),
        )
    agentcache.unwrap(second)
    agentcache.wrap(second, session=agentcache.session(first), strict=True)
    with pytest.raises(OptionError, match="other_domain"):
        call(second, "chat", "writer", model="gpt-4.1-mini")


def test_strict_refuses_what_the_parent_froze_otherwise(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF], strict=True)
    call(client, "chat", "clerk", reasoning_effort="low")
    with pytest.raises(FrozenError, match="reasoning_effort"):
        call(client, "chat", "writer", reasoning_effort="high")
    assert len(provider.log) == 1


def test_another_parameter_passes_through_and_is_said(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    for effort in ("low", "high"):
        call(client, "chat", "clerk", reasoning_effort=effort)
    assert bodies(provider)[-1] == asked("chat", "clerk", reasoning_effort="high")
    assert agentcache_calls(client)[-1].reason.startswith("frozen_param")


def test_diagnostics_are_asked_for(provider) -> None:
    provider.reset()
    client = client_of(provider, "messages")
    agentcache.wrap(client, context=[BRIEF], diagnostics=True, provider="anthropic")
    for role in ("clerk", "writer"):
        call(client, "messages", role)
    first, second = (body["diagnostics"]["previous_message_id"] for body in bodies(provider))
    assert first is None
    assert second.startswith("msg_")


def test_another_lifetime_stands_in_every_mark(provider) -> None:
    provider.reset()
    client = client_of(provider, "messages")
    agentcache.wrap(client, context=[BRIEF], ttl="1h")
    call(client, "messages", "writer")
    assert bodies(provider)[0]["system"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_a_break_is_told(provider) -> None:
    provider.reset()
    found: list[Any] = []
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF], on_break=found.append)
    said = [{"role": "user", "content": f"Read this. {'word ' * 2_000}"}]
    for n in range(3):
        said = [*said, {"role": "assistant", "content": f"It is {n}."}]
        said = [*said, {"role": "user", "content": f"What about {n + 1}?"}]
        lead = {"role": "system", "content": f"You are the clerk. It is 10:00:0{n}."}
        client.chat.completions.create(
            model="gpt-6-luna", messages=[lead, *said], tools=[tool("chat", "search")]
        )
    assert {b.kind for b in found} == {"timestamp"}


@pytest.mark.parametrize("way", WAYS)
def test_large_results_are_replaced_where_the_program_can_recall_them(provider, way) -> None:
    for offers in (False, True):
        provider.reset()
        client = client_of(provider, way)
        agentcache.wrap(client, context=[BRIEF], compact=True)
        names = ["search", "recall_result"] if offers else ["search"]
        request = asked(way, "clerk", names)
        key = "input" if way == "responses" else "messages"
        for n in range(14):
            request[key] = [*request[key], *result(way, n)]
            of(client, way).create(**request)
        last = bodies(provider)[-1]
        held = [dialect_of(last).tool_name(one) for one in last["tools"]]
        assert sorted(held) == sorted(names)
        assert ("[compacted tool result" in texts_in(last[key])) is offers
        assert (len(dumps(last)) < len(dumps(request))) is offers


def test_the_ledger_of_a_client_is_kept_by_its_copies(provider) -> None:
    provider.reset()
    client, ledger = client_of(provider, "chat"), Ledger(content=True)
    agentcache.wrap(client, context=[BRIEF], ledger=ledger)
    call(client, "chat", "clerk")
    call(client.with_options(timeout=7).copy(), "chat", "writer")
    assert [c.forked for c in ledger.calls] == [True, True]
    assert [c.request for c in ledger.calls] == bodies(provider)
    assert provider.log[-1].cached_tokens > 2_000
