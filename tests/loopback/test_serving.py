"""The server itself: ports, log, faults, latency. Plain HTTP, no SDK."""

import hashlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from agentcache.errors import EndpointError, MissingExtraError, OptionError
from agentcache.loopback import Answer, Fault, Latency, scripted, serve


def post(provider, body, path="/v1/chat/completions", headers=None, timeout=5):
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=timeout)
    try:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, raw, headers or {"authorization": "Bearer k"})
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def get(provider, path):
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def ask(text="hello", **more):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture(scope="module")
def shared():
    with serve() as provider:
        yield provider


@pytest.fixture
def provider(shared):
    shared.reset()
    return shared


def test_it_starts_and_stops_quickly_and_leaves_no_thread_and_no_port():
    start = time.monotonic()
    with serve() as provider:
        assert time.monotonic() - start < 0.5
        assert post(provider, ask())[0] == 200
        port = provider.port
    assert "agentcache-loopback" not in [thread.name for thread in threading.enumerate()]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_refused_with_the_cure(provider):
    with (
        pytest.raises(EndpointError, match=f"Port {provider.port} .* port=0"),
        serve(port=provider.port),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com"])
def test_other_hosts_are_refused(host):
    with pytest.raises(OptionError, match=r"127\.0\.0\.1 only"), serve(host=host):
        pass


def test_importing_it_loads_no_server():
    code = "import sys, agentcache.loopback; print({'starlette', 'uvicorn'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "agentcache.loopback.app", raising=False)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(MissingExtraError, match=r"\.\[loopback\]"), serve():
        pass


def test_health_and_models_answer(provider):
    assert get(provider, "/health")[1]["status"] == "ok"
    assert get(provider, "/v1/models")[1]["data"]


def test_an_unknown_path_is_a_404_in_the_providers_shape(provider):
    status, body, _ = post(provider, {}, "/v1/embeddings")
    assert (status, json.loads(body)["error"]["type"]) == (404, "invalid_request_error")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]"])
def test_a_body_that_is_no_json_object_is_a_400(provider, raw):
    status, body, _ = post(provider, raw)
    assert (status, "JSON" in json.loads(body)["error"]["message"]) == (400, True)


def test_the_log_keeps_requests_exactly_as_received(provider):
    raw = b'{ "model":"gpt-4o-mini",  "messages":[{"content":"caf\\u00e9","role":"user"}] }'
    post(provider, raw, headers={"Authorization": "Bearer secret", "X-Trace": "1"})
    (logged,) = provider.log
    assert logged.raw == raw
    assert logged.body["messages"][0]["content"] == "café"
    assert (logged.path, logged.api, logged.family) == (
        "/v1/chat/completions",
        "openai.chat",
        "openai-prefix",
    )
    assert logged.headers["x-trace"] == "1"
    assert "secret" not in repr(logged)
    digest = hashlib.sha256(b"Bearer secret").hexdigest()[:16]
    assert logged.headers["authorization"] == f"sha256:{digest}"
    assert logged.started_s <= logged.first_event_s <= logged.ended_s
    assert logged.answer.text == "Echo: café"


def test_the_log_is_in_order_of_arrival(provider):
    for number in range(5):
        post(provider, ask(f"n{number}"))
    assert [logged.body["messages"][0]["content"] for logged in provider.log] == [
        f"n{number}" for number in range(5)
    ]


def test_clear_keeps_the_caches_and_reset_does_not(provider, words):
    post(provider, ask(words(1500)))
    provider.clear()
    assert provider.log == ()
    post(provider, ask(words(1500)))
    assert provider.log[0].cached_tokens == 1408
    provider.reset()
    post(provider, ask(words(1500)))
    assert [logged.cached_tokens for logged in provider.log] == [0]


@pytest.mark.parametrize("kind", ["429", "500", "529"])
def test_a_fault_answers_its_status_once(provider, kind):
    provider.fail(kind, retry_after_s=2)
    status, _, headers = post(provider, ask())
    assert (status, headers["retry-after"]) == (int(kind), "2")
    assert post(provider, ask())[0] == 200


def test_a_failed_request_caches_nothing(provider, words):
    provider.fail("500")
    post(provider, ask(words(1500)))
    post(provider, ask(words(1500)))
    assert [logged.cached_tokens for logged in provider.log] == [None, 0]


def test_faults_strike_the_nth_request_as_often_as_asked():
    with serve(faults=[Fault("429", at=2, times=2)]) as provider:
        assert [post(provider, ask())[0] for _ in range(4)] == [200, 429, 429, 200]


def test_faults_strike_the_turns_that_match(provider):
    provider.fail("500", at=lambda turn: "bad" in turn.user)
    assert [post(provider, ask(text))[0] for text in ("good", "bad", "bad")] == [200, 500, 200]


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_answer_breaks_off(provider, stream):
    provider.fail("cut_stream")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        post(provider, ask("a long enough text to be cut", stream=stream))
    assert post(provider, ask())[0] == 200


def test_a_stream_that_the_client_leaves_is_logged_as_ended():
    with serve(latency=Latency(decode_tokens_per_s=2)) as provider:
        connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
        connection.request("POST", "/v1/chat/completions", json.dumps(ask(stream=True)))
        connection.getresponse().readline()
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        end = time.monotonic() + 2
        while provider.log[0].ended_s is None and time.monotonic() < end:
            time.sleep(0.01)
        assert provider.log[0].ended_s is not None


def test_a_hanging_request_ends_when_the_client_gives_up(provider):
    provider.fail("hang")
    with pytest.raises(TimeoutError):
        post(provider, ask(), timeout=0.2)
    assert provider.log[0].status == 0
    assert post(provider, ask())[0] == 200


def test_a_hanging_request_does_not_hold_up_the_stop():
    with serve() as provider:
        provider.fail("hang")
        thread = threading.Thread(target=post, args=(provider, ask()))
        thread.start()
        while not provider.log:
            time.sleep(0.005)
        start = time.monotonic()
    thread.join()
    assert time.monotonic() - start < 1.5


def test_a_slow_request_waits(provider):
    provider.fail("slow", delay_s=0.15)
    start = time.monotonic()
    post(provider, ask())
    assert time.monotonic() - start >= 0.15


def test_withheld_usage_is_absent_but_still_logged(provider):
    provider.fail("no_usage", times=2)
    assert "usage" not in json.loads(post(provider, ask())[1])
    streamed = post(provider, ask(stream=True, stream_options={"include_usage": True}))[1]
    assert b'"prompt_tokens"' not in streamed
    assert provider.log[0].input_tokens > 0


def test_an_exhausted_script_says_so():
    with serve(script=scripted(["only one"])) as provider:
        assert post(provider, ask())[0] == 200
        status, body, _ = post(provider, ask())
    assert (status, "no answer left" in json.loads(body)["error"]["message"]) == (400, True)


def test_a_script_may_block_without_holding_up_others(provider):
    gate = threading.Barrier(2, timeout=5)

    def together(turn):
        gate.wait()
        return Answer("met")

    with serve(script=together) as blocked:
        threads = [threading.Thread(target=post, args=(blocked, ask())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [logged.status for logged in blocked.log] == [200, 200]


def test_latency_follows_the_tokens():
    latency = Latency(prefill_tokens_per_s=1000, decode_tokens_per_s=10, base_s=1, scale=0.5)
    assert latency.first_event_s(2000, 500) == pytest.approx(1.5)
    assert latency.decode_s(10) == pytest.approx(0.5)
    assert Latency().first_event_s(10**6, 10**6) == 0


def test_a_cached_prefix_answers_sooner(words):
    with serve(latency=Latency(prefill_tokens_per_s=10_000)) as provider:
        for _ in range(2):
            post(provider, ask(words(2000), stream=True))
        cold, warm = (logged.first_event_s - logged.started_s for logged in provider.log)
    assert cold >= 0.2
    assert warm < 0.1


def test_requests_in_flight_together_do_not_read_each_other(words):
    with serve(latency=Latency(base_s=0.2)) as provider:
        body = {**ask(words(1500)), "model": "gpt-5.6-luna"}
        threads = [threading.Thread(target=post, args=(provider, body)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        post(provider, body)
        assert [logged.cached_tokens for logged in provider.log] == [0, 0, 0, 1502]


def test_the_usage_on_the_wire_is_the_usage_in_the_log(provider, words):
    post(provider, ask(words(1500)))
    usage = json.loads(post(provider, ask(words(1500)))[1])["usage"]
    logged = provider.log[1]
    assert usage["prompt_tokens"] == logged.input_tokens
    assert usage["prompt_tokens_details"]["cached_tokens"] == logged.cached_tokens == 1408
    assert usage["completion_tokens"] == logged.output_tokens
    assert "cache_write_tokens" not in usage["prompt_tokens_details"]
    assert logged.cache_write_tokens is None
