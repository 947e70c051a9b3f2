"""Every way in which an SDK's client sends a request: recorded once, with nothing changed."""

import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import anthropic
import openai
from pydantic import BaseModel

import agentcache
from agentcache import Ledger, loopback
from agentcache.errors import UnknownObjectError

from .conftest import opened

LONG = "You are the clerk. " + "Mind the rules of the house. " * 400
USAGE = {"include_usage": True}
SAID = [{"role": "user", "content": "Hello."}]
CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "system", "content": LONG}, *SAID]}
RESPONSE = {"model": "gpt-6-luna", "instructions": LONG, "input": SAID}
CLAUDE = {"model": "claude-haiku-5-5", "max_tokens": 99, "system": LONG, "messages": SAID}
BETAS = ["context-1m-2025-08-07", "compact-2026-09-04"]
VARYING = ("host", "idempotency-key")


def claude(**more: Any) -> dict[str, Any]:
    """A request that holds an object of the SDK's own, as programs send on what was answered."""
    turn = anthropic.types.TextBlock(type="text", text="Yes?", citations=None)
    asked = [{"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral"}}]
    said = [{"role": "assistant", "content": [turn]}, {"role": "user", "content": asked}]
    return {**CLAUDE, "messages": [*SAID, *said], **more}


def once() -> dict[str, Any]:
    """A request whose messages can be read but once."""
    return {**claude(), "messages": iter(claude()["messages"])}


def read(stream: Any) -> None:
    with stream as pieces:
        assert list(pieces)


async def aread(stream: Any) -> None:
    async with stream as pieces:
        assert [piece async for piece in pieces]


def raw_stream(made: Any) -> None:
    with made as raw:
        assert list(raw.parse())


def text_of(made: Any) -> None:
    with made as stream:
        assert "".join(stream.text_stream)


def final(made: Any) -> None:
    with made as stream:
        assert stream.get_final_message().usage.output_tokens


async def atext(made: Any) -> None:
    async with made as stream:
        assert "".join([text async for text in stream.text_stream])


async def afinal(made: Any) -> None:
    async with made as stream:
        assert (await stream.get_final_message()).usage.output_tokens


async def araw(made: Any) -> None:
    async with made as raw:
        assert await raw.json()


def closed_unread(made: Any) -> None:
    with made as raw:
        assert raw.status_code == 200


def raw_json(made: Any) -> None:
    with made as raw:
        assert raw.json()


def hooked(c: Any) -> Any:
    return c.with_options(timeout=9, default_headers={"x-mine": "1"})


OPENAI: dict[str, Callable[[Any], Any]] = {
    "create": lambda c: c.chat.completions.create(**CHAT),
    "create, streamed": lambda c: read(
        c.chat.completions.create(**CHAT, stream=True, stream_options=USAGE)
    ),
    "stream": lambda c: read(c.chat.completions.stream(**CHAT, stream_options=USAGE)),
    "parse": lambda c: c.chat.completions.parse(**CHAT),
    "extra_body": lambda c: c.chat.completions.create(**CHAT, extra_body={"top_k": 3}),
    "raw": lambda c: c.chat.completions.with_raw_response.create(**CHAT).parse(),
    "raw, never parsed": lambda c: c.chat.completions.with_raw_response.create(**CHAT),
    "raw, streamed": lambda c: list(
        c.chat.completions.with_raw_response.create(
            **CHAT, stream=True, stream_options=USAGE
        ).parse()
    ),
    "raw of the client": lambda c: c.with_raw_response.chat.completions.create(**CHAT),
    "streaming response": lambda c: raw_json(
        c.chat.completions.with_streaming_response.create(**CHAT)
    ),
    "streaming response, streamed": lambda c: raw_stream(
        c.chat.completions.with_streaming_response.create(**CHAT, stream=True, stream_options=USAGE)
    ),
    "post": lambda c: c.post("/chat/completions", body=CHAT, cast_to=object),
    "with_options": lambda c: c.with_options(timeout=9).chat.completions.create(**CHAT),
    "copy of a copy": lambda c: hooked(c.copy()).responses.create(**RESPONSE),
    "responses": lambda c: c.responses.create(**RESPONSE),
    "responses, streamed": lambda c: read(c.responses.create(**RESPONSE, stream=True)),
    "responses.stream": lambda c: read(c.responses.stream(**RESPONSE)),
    "responses.parse": lambda c: c.responses.parse(**RESPONSE),
}
ANTHROPIC: dict[str, Callable[[Any], Any]] = {
    "messages": lambda c: c.messages.create(**claude()),
    "messages from an iterator": lambda c: c.messages.create(**once()),
    "messages, streamed": lambda c: read(c.messages.create(**claude(), stream=True)),
    "messages.stream": lambda c: read(c.messages.stream(**claude())),
    "text_stream": lambda c: text_of(c.messages.stream(**claude())),
    "get_final_message": lambda c: final(c.messages.stream(**claude())),
    "beta": lambda c: c.beta.messages.create(**claude(betas=BETAS)),
    "beta, streamed": lambda c: read(c.beta.messages.create(**claude(), stream=True)),
    "beta.stream": lambda c: final(c.beta.messages.stream(**claude(betas=BETAS))),
    "messages raw": lambda c: c.messages.with_raw_response.create(**claude()).parse(),
    "messages, streaming response": lambda c: raw_json(
        c.messages.with_streaming_response.create(**claude())
    ),
    "messages of a copy": lambda c: hooked(c).messages.create(**claude()),
    "stream of a copy": lambda c: read(c.with_options(max_retries=0).messages.stream(**claude())),
}
AOPENAI: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "async stream": lambda c: aread(c.chat.completions.stream(**CHAT, stream_options=USAGE)),
    "async parse": lambda c: c.chat.completions.parse(**CHAT),
    "async raw": lambda c: c.chat.completions.with_raw_response.create(**CHAT),
    "async streaming response": lambda c: araw(
        c.chat.completions.with_streaming_response.create(**CHAT)
    ),
    "async copy": lambda c: hooked(c).chat.completions.create(**CHAT),
    "async responses.stream": lambda c: aread(c.responses.stream(**RESPONSE)),
}
AANTHROPIC: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "async messages.stream": lambda c: aread(c.messages.stream(**claude())),
    "async text_stream": lambda c: atext(c.messages.stream(**claude())),
    "async get_final_message": lambda c: afinal(c.messages.stream(**claude())),
    "async beta": lambda c: c.beta.messages.create(**claude(betas=BETAS)),
    "async beta.stream": lambda c: afinal(c.beta.messages.stream(**claude(betas=BETAS))),
    "async messages raw": lambda c: c.messages.with_raw_response.create(**claude()),
    "async messages, streaming response": lambda c: araw(
        c.messages.with_streaming_response.create(**claude())
    ),
    "async copy of messages": lambda c: hooked(c).messages.create(**claude()),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as made:
        yield made


def client_of(provider: loopback.Loopback, way: str) -> Any:
    provider.reset()
    if way in ANTHROPIC or way in AANTHROPIC:
        made = anthropic.AsyncAnthropic if way in AANTHROPIC else anthropic.Anthropic
        return opened(made(base_url=provider.url, api_key="x", max_retries=0))
    asynchronous = openai.AsyncOpenAI if way in AOPENAI else openai.OpenAI
    return opened(asynchronous(base_url=provider.openai_url, api_key="x", max_retries=0))


def sent(provider: loopback.Loopback) -> list[tuple[bytes, dict[str, str]]]:
    return [
        (r.raw, {k: v for k, v in r.headers.items() if k.lower() not in VARYING})
        for r in provider.log
    ]


def check(provider: loopback.Loopback, ledger: Ledger, plain: object) -> None:
    """Twice what was sent unobserved was sent, and what it used stands in the ledger."""
    assert sent(provider) == [*plain, *plain]  # type: ignore[misc]
    told = [(c.usage.input_tokens, c.usage.cached_tokens, c.error) for c in ledger.calls]
    assert told == [(r.input_tokens, r.cached_tokens, "") for r in provider.log]
    assert len(told) == 2
    bodies = [{k: v for k, v in (c.request or {}).items() if k != "betas"} for c in ledger.calls]
    assert [json.dumps(b) for b in bodies] == [json.dumps(json.loads(r.raw)) for r in provider.log]
    assert ledger.breaks == ()


@pytest.mark.parametrize("way", [*OPENAI, *ANTHROPIC])
def test_each_call_is_recorded_as_it_is_sent(provider, way) -> None:
    call = {**OPENAI, **ANTHROPIC}[way]
    call(client_of(provider, way))
    plain = sent(provider)
    client = client_of(provider, way)
    ledger = Ledger(content=True)
    agentcache.observe(client, ledger=ledger)
    call(client)
    call(client)
    check(provider, ledger, plain)


@pytest.mark.anyio
@pytest.mark.parametrize("way", [*AOPENAI, *AANTHROPIC])
async def test_each_asynchronous_call_too(provider, way) -> None:
    call = {**AOPENAI, **AANTHROPIC}[way]
    async with client_of(provider, way) as client:
        await call(client)
    plain = sent(provider)
    async with client_of(provider, way) as client:
        ledger = Ledger(content=True)
        agentcache.observe(client, ledger=ledger)
        await call(client)
        await call(client)
    check(provider, ledger, plain)


def test_other_betas_are_a_break(provider) -> None:
    client = client_of(provider, "beta")
    found: list[Any] = []
    ledger = Ledger(content=True)
    agentcache.observe(client, ledger=ledger, on_break=found.append)
    client.beta.messages.create(**claude(betas=BETAS[:1]))
    client.beta.messages.create(**claude(betas=BETAS))
    assert found == []  # this provider read all the same, and says so
    before, after = (call.request for call in ledger.calls)
    assert before is not None
    assert after is not None
    offline = agentcache.find_break(before, after)
    assert offline is not None
    assert (offline.kind, offline.path) == ("beta_headers", "betas")


def test_the_ledgers_of_a_client_and_its_copies_are_one(provider) -> None:
    client = client_of(provider, "create")
    found: list[Any] = []
    agentcache.observe(client, on_break=found.append)
    for n in range(3):
        text = f"It is 10:00:0{n} now. {LONG}"
        messages = [{"role": "system", "content": text}, *SAID]
        client.with_options(timeout=5 + n).chat.completions.create(
            model="gpt-4.1-mini", messages=messages
        )
    assert [b.kind for b in found] == ["timestamp"] * 2
    assert agentcache.report(client.copy()).total.calls == 3


def test_what_is_no_conversation_is_not_recorded(provider) -> None:
    client = client_of(provider, "messages")
    agentcache.observe(client)
    client.messages.count_tokens(model="claude-haiku-5-5", messages=SAID)
    assert len(provider.log) == 1
    assert agentcache.report(client).total.calls == 0


def test_what_was_never_sent_is_not_recorded(provider) -> None:
    client = client_of(provider, "create")
    ledger = Ledger()
    agentcache.observe(client, ledger=ledger)
    with pytest.raises(TypeError):
        client.chat.completions.create(model="gpt-4.1-mini", messages=[{"role": object()}])
    assert (ledger.calls, list(provider.log)) == ((), [])


@pytest.mark.parametrize("way", ["create", "messages", "async stream", "async beta"])
def test_unwrap_restores_a_client_and_its_copies(provider, way) -> None:
    client = client_of(provider, way)
    before = dict(vars(client))
    agentcache.observe(client)
    copies = [client.copy(), client.with_options(timeout=3)]
    copies.append(copies[0].copy())
    assert all("request" in vars(one) for one in (client, *copies))
    agentcache.unwrap(client)
    assert {k: vars(client)[k] for k in before} == before
    standing = {"request", "_build_request", "copy", "with_options"}
    assert not any(standing & set(vars(one)) for one in (client, *copies, client.copy()))


def test_unwrap_leaves_the_stand_ins_of_others(provider) -> None:
    client = client_of(provider, "create")
    asked: list[Any] = []
    real = client.request

    def request(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        return real(*args, **kwargs)

    client.request = request
    agentcache.observe(client)
    client.chat.completions.create(**CHAT)
    assert agentcache.report(client).total.calls == 1
    agentcache.unwrap(client)
    client.chat.completions.create(**CHAT)
    assert (client.request, len(asked)) == (request, 2)


def test_a_raw_answer_nobody_reads_is_recorded(provider) -> None:
    client = client_of(provider, "create")
    ledger = Ledger()
    agentcache.observe(client, ledger=ledger)
    closed_unread(client.chat.completions.with_streaming_response.create(**CHAT))
    assert [(call.usage.input_tokens, call.error) for call in ledger.calls] == [(None, "")]


def test_an_error_of_a_stream_is_recorded_and_raised(provider) -> None:
    client = client_of(provider, "messages")
    ledger = Ledger()
    agentcache.observe(client, ledger=ledger)
    with (
        pytest.raises(anthropic.BadRequestError),
        client.messages.stream(**{**CLAUDE, "messages": []}),
    ):
        pass
    assert [call.error for call in ledger.calls] == ["BadRequestError"]


def test_sdk_words_for_nothing_are_nothing(provider, tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    client = client_of(provider, "create")
    agentcache.observe(client, ledger=Ledger(path, content=True))
    client.chat.completions.create(**CHAT)
    with client.chat.completions.stream(**CHAT, stream_options=USAGE) as stream:
        list(stream)
    omit = getattr(openai, "omit", openai.NOT_GIVEN)
    client.chat.completions.create(**CHAT, tools=omit, functions=openai.NOT_GIVEN)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [sorted(line["request"]) for line in lines] == [
        ["messages", "model"],
        ["messages", "model", "stream", "stream_options"],
        ["messages", "model"],
    ]
    assert agentcache.report(client).breaks == ()


class Answer(BaseModel):
    """What is asked for."""

    word: str


def test_a_format_given_as_a_class_is_recorded_as_its_schema(provider) -> None:
    client = client_of(provider, "create")
    ledger = Ledger(content=True)
    agentcache.observe(client, ledger=ledger)
    with contextlib.suppress(ValueError):  # the loopback provider's answer is no JSON
        client.chat.completions.parse(**CHAT, response_format=Answer)
    assert [call.request for call in ledger.calls] == [json.loads(r.raw) for r in provider.log]
    assert ledger.calls[0].request is not None
    assert ledger.calls[0].request["response_format"]["json_schema"]["name"] == "Answer"


def test_an_sdk_object_in_a_request_loses_no_line(provider, tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    client = client_of(provider, "create")
    ledger = Ledger(path, content=True)
    agentcache.observe(client, ledger=ledger)
    client.chat.completions.create(**CHAT)
    turn = anthropic.types.TextBlock(type="text", text="Yes?")
    request = {"a": turn, "b": openai.NOT_GIVEN, "c": Answer, "d": object()}
    ledger.record(replace(ledger.calls[0], index=1, request=request))
    _, line = path.read_text().splitlines()
    assert json.loads(line)["request"] == {
        "a": {"type": "text", "text": "Yes?"},
        "b": f"<{type(openai.NOT_GIVEN).__module__}.NotGiven>",
        "c": f"<{__name__}.Answer>",
        "d": "<builtins.object>",
    }


@pytest.mark.parametrize("part", ["chat", "with_raw_response"])
def test_a_part_of_a_client_is_no_client(provider, part) -> None:
    client = client_of(provider, "create")
    with pytest.raises(UnknownObjectError, match="clients of openai and anthropic"):
        agentcache.observe(getattr(client, part))
