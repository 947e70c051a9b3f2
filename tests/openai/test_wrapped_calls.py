"""Every way to send a request through a wrapped client; what passes through."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import anthropic
import openai
from pydantic import BaseModel

import agentcache
from agentcache import Ledger, loopback
from agentcache.sdk.turns import during
from agentcache_openai import sending

from .agents import (
    BRIEF,
    agentcache_calls,
    asked,
    blocks_of,
    bodies,
    call,
    client_of,
    of,
    parent_of,
)
from .conftest import opened
from .test_every_way import AANTHROPIC, ANTHROPIC, AOPENAI, LONG, OPENAI
from .test_left_early import odd_client


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as made:
        yield made


def way_of(name: str) -> str:
    return "messages" if name in ANTHROPIC or name in AANTHROPIC else "chat"


def check(provider: loopback.Loopback, client: Any, ledger: Ledger) -> None:
    """Both calls were forks, counted as the provider counted them."""
    assert [(c.forked, c.error) for c in ledger.calls] == [(True, ""), (True, "")]
    told = [(c.usage.input_tokens, c.usage.cached_tokens) for c in ledger.calls]
    assert told == [(r.input_tokens, r.cached_tokens) for r in provider.log]
    parent = parent_of(client)
    assert all(blocks_of(body)[: len(parent)] == parent for body in bodies(provider))
    held = [{k: v for k, v in (c.request or {}).items() if k != "betas"} for c in ledger.calls]
    assert held == bodies(provider)


@pytest.mark.parametrize("way", [*OPENAI, *ANTHROPIC])
def test_every_way_to_send_a_request_sends_a_fork(provider, way) -> None:
    provider.reset()
    client, ledger = client_of(provider, way_of(way)), Ledger(content=True)
    agentcache.wrap(client, context=[LONG], ledger=ledger)
    for _ in range(2):
        {**OPENAI, **ANTHROPIC}[way](client)
    check(provider, client, ledger)


@pytest.mark.anyio
@pytest.mark.parametrize("way", [*AOPENAI, *AANTHROPIC])
async def test_every_asynchronous_way_too(provider, way) -> None:
    provider.reset()
    ledger = Ledger(content=True)
    async with client_of(provider, way_of(way), is_async=True) as client:
        agentcache.wrap(client, context=[LONG], ledger=ledger)
        for _ in range(2):
            await {**AOPENAI, **AANTHROPIC}[way](client)
        check(provider, client, ledger)


def test_a_clients_own_headers_stay(provider) -> None:
    provider.reset()
    client = client_of(provider, "messages").with_options(default_headers={"x-mine": "1"})
    agentcache.wrap(client, context=[BRIEF])
    client.beta.messages.create(**asked("messages", "clerk"), betas=["context-1m-2025-08-07"])
    headers = {k.lower(): v for k, v in provider.log[0].headers.items()}
    assert headers["x-mine"] == "1"
    assert headers["anthropic-beta"] == "context-1m-2025-08-07"


def test_headers_of_a_fork_join_the_clients_own(provider) -> None:
    client = client_of(provider, "messages").with_options(default_headers={"anthropic-beta": "one"})
    options = openai._models.FinalRequestOptions.construct(
        method="post", url="/v1/messages", headers={"x-mine": "1"}
    )
    sent = sending.Call(client, options, lambda given: given)
    made = sending._headers(sent, {"anthropic-beta": "two", "x-affinity": "ac"})
    assert made == {"anthropic-beta": "two,one", "x-mine": "1", "x-affinity": "ac"}


class Answer(BaseModel):
    """What is asked for."""

    word: str


SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
FORMAT = {"type": "json_schema", "name": "answer", "schema": SCHEMA}
HOSTED = {"type": "web_search_20250305", "name": "web_search"}
CODE = {"type": "custom", "name": "run", "custom": {"name": "run"}}
PASSING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a schema": (
        "chat",
        "structured_output",
        {"response_format": {"type": "json_schema", "json_schema": {**FORMAT, "strict": True}}},
    ),
    "a schema of Responses": ("responses", "structured_output", {"text": {"format": FORMAT}}),
    "a schema of Claude's": (
        "messages",
        "structured_output",
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
    "functions": ("chat", "own_tools", {"functions": [{"name": "f", "parameters": SCHEMA}]}),
    "a hosted tool": ("messages", "own_tools", {"tools": [HOSTED]}),
    "a search": ("responses", "own_tools", {"tools": [{"type": "web_search"}]}),
    "a tool of another form": ("chat", "own_tools", {"tools": [CODE]}),
    "a response that goes on": ("responses", "chained", {"previous_response_id": "resp_1"}),
    "a conversation": ("responses", "chained", {"conversation": "conv_1"}),
    "a warm-up": ("messages", "prewarm", {"max_tokens": 0}),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_is_no_conversation_of_an_agents_passes_through(provider, case) -> None:
    way, reason, more = PASSING[case]
    sent = []
    for wraps in (False, True):
        provider.reset()
        client = client_of(provider, way)
        if wraps:
            agentcache.wrap(client, context=[BRIEF])
        try:
            of(client, way).create(**{**asked(way, "clerk"), **more})
        except (openai.APIStatusError, anthropic.APIStatusError):
            assert case not in ("a schema", "a schema of Responses", "a schema of Claude's")
        sent.append([r.raw for r in provider.log])
    assert sent[0] == sent[1]
    assert len(sent[0]) == 1
    assert [c.reason.partition(":")[0] for c in agentcache_calls(client)] == [reason]
    call(client, way, "writer")  # and freezes nothing
    assert agentcache_calls(client)[-1].forked
    assert agentcache.session(client).parent.context == (BRIEF,)


def test_a_parsed_answer_is_parsed(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    with loopback.serve(script=lambda _: loopback.Answer('{"word": "yes"}')) as other:
        there = client.with_options(base_url=other.openai_url)
        parsed = there.chat.completions.parse(**asked("chat", "clerk"), response_format=Answer)
    assert parsed.choices[0].message.parsed == Answer(word="yes")
    (called,) = agentcache_calls(client)
    assert called.reason.startswith("structured_output")


def test_system_text_that_is_more_than_text_passes_through(provider) -> None:
    client = odd_client({})
    agentcache.wrap(client, context=[BRIEF])
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    lead = {"role": "developer", "content": [picture]}
    client.responses.with_raw_response.create(
        model="gpt-6-luna", input=[lead, {"role": "user", "content": "Hello."}]
    )
    assert agentcache_calls(client)[0].reason.startswith("system_parts")


@pytest.mark.parametrize("messages", [None, 7, "text", [1], [{"role": 3}], [{}], {"a": 1}])
def test_an_odd_request_goes_out_as_it_is(messages, caplog) -> None:
    client = odd_client({})
    seen: list[Any] = []
    real = client._client.send

    def send(request: Any, **how: Any) -> Any:
        seen.append(json.loads(request.content))
        return real(request, **how)

    client._client.send = send
    body = {"model": "gpt-6-luna", "messages": messages, "tools": "none"}
    agentcache.wrap(client, context=[BRIEF])
    client.post("/chat/completions", body=body, cast_to=object)
    assert seen == [body]


def test_an_error_of_ours_is_logged_and_the_request_goes_out(provider, mocker, caplog) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    mocker.patch("agentcache_openai.forking.aside_of", side_effect=ArithmeticError("ours"))
    with caplog.at_level(logging.ERROR, "agentcache"):
        call(client, "chat", "clerk")
    assert bodies(provider) == [asked("chat", "clerk")]
    assert "ours" in caplog.text
    assert len(agentcache_calls(client)) == 1


def test_within_a_frameworks_own_fork_nothing_is_forked_again(provider, mocker) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    with during(mocker.Mock()):
        call(client, "chat", "clerk")
    assert bodies(provider) == [asked("chat", "clerk")]
    assert agentcache_calls(client) == ()


def test_azures_clients_are_forked_by_azures_rules() -> None:
    plain = odd_client({})
    client = opened(
        openai.AzureOpenAI(
            api_key="x",
            api_version="2026-06-01",
            azure_endpoint="http://gateway.example",
            http_client=plain._client,
        )
    )
    seen: list[Any] = []
    real = plain._client.send

    def send(request: Any, **how: Any) -> Any:
        seen.append(request)
        return real(request, **how)

    plain._client.send = send
    agentcache.wrap(client, context=[BRIEF])
    call(client, "chat", "clerk", model="gpt-6-luna")
    assert str(seen[0].url).partition("?")[0].endswith("/deployments/gpt-6-luna/chat/completions")
    session = agentcache.session(client)
    assert session.parent.rule.provider == "azure"
    assert agentcache_calls(client)[0].forked


def test_a_tool_that_nobody_else_has_needs_no_check(provider) -> None:
    provider.reset()
    client = client_of(provider, "chat")
    agentcache.wrap(client, context=[BRIEF])
    call(client, "chat", "clerk", ["search"])
    assert agentcache_calls(client)[0].forked
