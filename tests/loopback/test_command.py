"""`agentcache loopback` in a terminal."""

import argparse
import json
import socket
import threading
import urllib.request

import pytest

from agentcache.errors import EndpointError
from agentcache.loopback.command import add_arguments, run


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port, text):
    body = {"model": "gpt-5.6-luna", "messages": [{"role": "user", "content": text}]}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=5) as answer:
        return answer.read()


def wait_for(port):
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.01)


def test_it_prints_one_labelled_line_per_request_and_writes_the_log(capsys, tmp_path, words):
    port, stop = free_port(), threading.Event()
    log = tmp_path / "log.jsonl"
    arguments = parse("--port", str(port), "--log", str(log), "--latency", "base=0.01,decode=1000")
    thread = threading.Thread(target=run, args=(arguments,), kwargs={"stop": stop})
    thread.start()
    try:
        wait_for(port)
        post(port, words(1100))
        post(port, words(1100))
    finally:
        stop.set()
        thread.join(10)
    out = capsys.readouterr().out
    assert f"http://127.0.0.1:{port}/v1" in out
    assert "curl http://127.0.0.1" in out
    assert "everything it reports is emulated" in out
    assert "1102 in, 0 cached, 1102 written" in out
    assert "1102 in, 1102 cached, 0 written" in out
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["cached_tokens"] for record in records] == [0, 1102]
    assert all(record["emulated"] for record in records)


def test_a_latency_it_does_not_know_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse("--latency", "warp=9")
    assert "'warp=9' is not one of base, cached" in capsys.readouterr().err


def test_a_port_in_use_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EndpointError, match="cannot be used"):
            run(parse("--port", str(taken.getsockname()[1])))
