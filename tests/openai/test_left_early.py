"""Streams that are left before their end are recorded, and what answers hold hurts no program."""

import gc
import json
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import anthropic
import openai

import agentcache
from agentcache import Ledger, loopback
from agentcache.errors import CacheBreakWarning
from agentcache.ledger import Call
from agentcache.sdk.answers import Tally

from .conftest import opened

SAID = [{"role": "user", "content": "Hello."}]
CHAT = {"model": "gpt-4.1-mini", "messages": SAID}
CLAUDE = {"model": "claude-haiku-5-5", "max_tokens": 99, "messages": SAID}
RESPONSE = {"model": "gpt-6-luna", "input": SAID}
STREAMS: dict[str, Any] = {
    "chat": lambda c: c.chat.completions.create(**CHAT, stream=True),
    "chat helper": lambda c: c.chat.completions.stream(**CHAT),
    "responses": lambda c: c.responses.create(**RESPONSE, stream=True),
    "responses helper": lambda c: c.responses.stream(**RESPONSE),
    "messages": lambda c: c.messages.create(**CLAUDE, stream=True),
    "messages helper": lambda c: c.messages.stream(**CLAUDE),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as made:
        yield made


def observed(provider: loopback.Loopback, way: str, ledger: Ledger, *, is_async: bool = False):
    provider.reset()
    if way.startswith("messages"):
        made: Any = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
        client = made(base_url=provider.url, api_key="x", max_retries=0)
    else:
        made = openai.AsyncOpenAI if is_async else openai.OpenAI
        client = made(base_url=provider.openai_url, api_key="x", max_retries=0)
    agentcache.observe(client, ledger=ledger)
    return opened(client)


def odd_client(said: Any) -> Any:
    """A client of a compatible host that answers what it likes; a stream of nothing much."""
    module: Any = __import__(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
    piece = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    stream = f"data: {json.dumps({**chunk, 'choices': [piece]})}\n\n" * 3 + "data: [DONE]\n\n"

    def answered(request: Any) -> Any:
        streams = json.loads(request.content).get("stream")
        kind = "text/event-stream" if streams else "application/json"
        text = stream if streams else json.dumps(said)
        return module.Response(200, content=text, headers={"content-type": kind})

    http = module.Client(transport=module.MockTransport(answered))
    url = "http://odd.example/v1"
    return opened(openai.OpenAI(api_key="x", base_url=url, max_retries=0, http_client=http))


def answer(usage: Any) -> dict[str, Any]:
    said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    return {**head, "choices": [said], "usage": usage}


def errors(ledger: Ledger) -> list[str]:
    return [call.error for call in ledger.calls]


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("reads", [0, 1])
def test_closing_a_stream_records_it(provider, way, reads) -> None:
    ledger = Ledger()
    client = observed(provider, way, ledger)
    with STREAMS[way](client) as stream:
        for _ in range(reads):
            next(iter(stream))
        assert errors(ledger) == []
    assert errors(ledger) == ["closed"]
    stream.close()
    assert errors(ledger) == ["closed"]
    own = vars(getattr(stream, "response", None) or stream._response)
    assert not {"close", "aclose"} & set(own)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.anyio
@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("reads", [0, 1])
async def test_closing_an_asynchronous_stream_too(provider, way, reads) -> None:
    ledger = Ledger()
    async with observed(provider, way, ledger, is_async=True) as client:
        made = STREAMS[way](client)
        async with made if "helper" in way else await made as stream:
            for _ in range(reads):
                await stream.__anext__()
            assert errors(ledger) == []
        assert errors(ledger) == ["closed"]
        await stream.close()
        assert errors(ledger) == ["closed"]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", ["chat", "responses", "messages"])
def test_a_stream_may_be_closed_as_it_is_made(provider, way) -> None:
    ledger = Ledger()
    client = observed(provider, way, ledger)
    STREAMS[way](client).close()
    assert errors(ledger) == ["closed"]
    STREAMS[way](client).response.close()
    assert errors(ledger) == ["closed", "closed"]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("reads", [0, 1])
@pytest.mark.skipif(anthropic.__version__ < "2", reason="its streams hold themselves")
def test_a_stream_of_anthropics_that_is_dropped_needs_no_collector(provider, reads) -> None:
    ledger = Ledger()
    stream = STREAMS["messages"](observed(provider, "messages", ledger))
    for _ in range(reads):
        next(stream)
    del stream
    assert errors(ledger) == ["closed"]


@pytest.mark.parametrize("way", ["chat", "messages"])
def test_a_stream_that_is_dropped_is_recorded(provider, way) -> None:
    ledger = Ledger()
    stream = STREAMS[way](observed(provider, way, ledger))
    next(stream)
    del stream
    gc.collect()
    assert errors(ledger) == ["closed"]


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_read_to_its_end_is_not_called_closed(provider, way) -> None:
    ledger = Ledger()
    with STREAMS[way](observed(provider, way, ledger)) as stream:
        assert list(stream)
    assert errors(ledger) == [""]


def test_what_others_put_on_a_response_stays(provider) -> None:
    ledger = Ledger()
    client = observed(provider, "chat", ledger)
    closed: list[str] = []
    seen: list[Any] = []

    def mine(response: Any) -> None:
        real = response.close
        response.close = lambda: (closed.append("mine"), real())[1]
        seen.append(response.close)

    client._client.event_hooks["response"].append(mine)
    stream = STREAMS["chat"](client)
    stream.close()
    assert (errors(ledger), closed) == (["closed"], ["mine"])
    assert stream.response.close is seen[0]


@pytest.mark.timeout(60)
def test_the_collector_may_end_a_stream_while_a_call_is_recorded(
    provider, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "run.jsonl"
    ledger = Ledger(path)
    client = observed(provider, "chat", ledger)
    real = Call.line

    def line(self: Call, **how: bool) -> dict[str, Any]:
        gc.collect()
        return real(self, **how)

    monkeypatch.setattr(Call, "line", line)
    for _ in range(5):
        for _ in STREAMS["chat"](client):
            break
        client.chat.completions.create(**CHAT)
    gc.collect()
    # The collector may run in the provider's thread, which may not have written its line yet.
    until_s = time.monotonic() + 10
    while len(path.read_text().splitlines()) < 10 and time.monotonic() < until_s:
        time.sleep(0.01)
    assert sorted(errors(ledger)) == [""] * 5 + ["closed"] * 5
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["index"] for one in lines] == [call.index for call in ledger.calls]


@pytest.fixture
def keen_collector() -> Iterator[None]:
    usual = gc.get_threshold()
    gc.set_threshold(97, 2, 2)
    yield
    gc.set_threshold(*usual)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("keen_collector")
@pytest.mark.parametrize("closes", [True, False])
def test_stopping_a_stream_again_and_again_never_hangs(tmp_path, closes) -> None:
    path = tmp_path / "run.jsonl"
    client, ledger = odd_client(answer({"prompt_tokens": 2_300})), Ledger(path)
    agentcache.observe(client, ledger=ledger)
    house = {"role": "system", "content": "You are the clerk. " * 50}
    for number in range(200):
        said: list[Any] = [house, *SAID * (number % 40), {"role": "user", "content": f"{number}"}]
        stream = client.chat.completions.create(model="gpt-4o", messages=said, stream=True)
        next(stream)
        if closes:
            stream.close()
        client.chat.completions.create(model="gpt-4o", messages=said)
    del stream
    gc.collect()
    assert sorted(errors(ledger)) == [""] * 200 + ["closed"] * 200
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["index"] for one in lines] == [call.index for call in ledger.calls]


def test_a_stream_closed_by_another_thread_ends_once(provider) -> None:
    ledger = Ledger()
    stream = STREAMS["chat"](observed(provider, "chat", ledger))
    next(stream)
    thread = threading.Thread(target=stream.close)
    thread.start()
    thread.join()
    with suppress(Exception):  # each version of the SDK has another word for it
        list(stream)
    assert errors(ledger) == ["closed"]


ODD: list[Any] = [
    "n/a",
    [],
    7,
    True,
    {"prompt_tokens": "12", "completion_tokens": None},
    {"prompt_tokens": 10, "prompt_tokens_details": [1]},
    {"prompt_tokens": -3, "prompt_tokens_details": {"cached_tokens": 1.5}},
    {"prompt_tokens": 5, "iterations": 7},
    {"prompt_tokens": 1e400},
]


@pytest.mark.parametrize("usage", ODD, ids=repr)
def test_odd_usage_of_a_compatible_host_neither_raises_nor_warns(usage, caplog) -> None:
    client, ledger = odd_client(answer(usage)), Ledger()
    agentcache.observe(client, ledger=ledger)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.chat.completions.create(**CHAT)
        client.chat.completions.with_raw_response.create(**CHAT)
        with client.chat.completions.with_streaming_response.create(**CHAT) as raw:
            raw.read()
    assert errors(ledger) == ["", "", ""]
    assert caplog.text == ""


@pytest.mark.parametrize("said", [None, 3, "text", [], [1], {}, {"usage": {}}], ids=repr)
def test_odd_answers_neither(said, caplog) -> None:
    client, ledger = odd_client(said), Ledger()
    agentcache.observe(client, ledger=ledger)
    client.chat.completions.create(**CHAT)
    client.chat.completions.with_raw_response.create(**CHAT)
    assert errors(ledger) == ["", ""]
    assert caplog.text == ""


@pytest.mark.parametrize(
    "broken", ["agentcache.sdk.answers._plain", "agentcache.usage._read", "agentcache.flights.Seen"]
)
def test_an_error_of_ours_is_logged_and_loses_no_call(mocker, caplog, broken) -> None:
    client, ledger = odd_client(answer({"prompt_tokens": 5, "completion_tokens": 1})), Ledger()
    agentcache.observe(client, ledger=ledger)
    mocker.patch(broken, side_effect=ArithmeticError("ours"))
    with caplog.at_level(logging.ERROR, "agentcache"):
        client.chat.completions.create(**CHAT)
    assert errors(ledger) == [""]
    assert "ours" in caplog.text


def test_an_error_of_ours_while_a_stream_is_read_is_logged(provider, mocker, caplog) -> None:
    ledger = Ledger()
    client = observed(provider, "chat", ledger)
    mocker.patch.object(Tally, "_notice", side_effect=ArithmeticError("ours"))
    with STREAMS["chat"](client) as stream:
        assert list(stream)
    assert errors(ledger) == [""]
    assert "ours" in caplog.text


def test_a_warning_that_is_to_be_an_error_is_one(provider) -> None:
    client = observed(provider, "chat", Ledger())
    agentcache.unwrap(client)
    agentcache.observe(client, on_break="warn")
    long = "Mind the rules of the house. " * 400
    with warnings.catch_warnings():
        warnings.simplefilter("error", CacheBreakWarning)
        asked = [[{"role": "system", "content": f"It is 10:00:0{n}. {long}"}] for n in range(2)]
        client.chat.completions.create(model="gpt-4.1-mini", messages=[*asked[0], *SAID])
        with pytest.raises(CacheBreakWarning):
            client.chat.completions.create(model="gpt-4.1-mini", messages=[*asked[1], *SAID])
