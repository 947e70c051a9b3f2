"""Secrets are never kept: not those of headers, addresses and bodies, whoever recorded them."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from agentcache import cli, recordings
from agentcache.recordings.secrets import host_of, kept_headers, kept_request

DATA = Path(__file__).with_name("data")
FILES = sorted(path.name for path in DATA.iterdir())
SECRET_HEADERS = (
    "Authorization",
    "Proxy-Authorization",
    "X-Api-Key",
    "Api-Key",
    "Cookie",
    "Set-Cookie",
    "X-Goog-Api-Key",
    "X-Amz-Security-Token",
    "X-Acme-Token-Beta",
    "X-Affinity-Secret",
    "X-Signature",
    "X-Auth",
    "OpenAI-Organization",
)


def read(name: str) -> recordings.Recording:
    if name.endswith(".yaml"):
        pytest.importorskip("yaml")
    return recordings.read(DATA / name)


def test_the_files_here_hold_secrets() -> None:
    assert any("SECRET" in (DATA / name).read_text() for name in FILES)
    assert "Bearer sk-SECRET" in (DATA / "cassette.json").read_text()


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_a_recording_holds_a_secret(name, tmp_path, capsys) -> None:
    recording = read(name)

    assert "SECRET" not in json.dumps([asdict(call) for call in recording], default=str)
    assert "SECRET" not in str([call.line(content=True) for call in recording.ledger().calls])
    for words in (["breaks", "--fail-on", "none"], ["report", "--html", str(tmp_path / "p.html")]):
        assert cli.main([words[0], str(DATA / name), *words[1:]]) == 0
    assert "SECRET" not in capsys.readouterr().out
    assert "SECRET" not in (tmp_path / "p.html").read_text()


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_only_headers_that_bear_on_a_cache_are_kept(name) -> None:
    assert kept_headers([(name, "SECRET"), (name.lower(), "SECRET")]) == {}


@pytest.mark.parametrize(
    "name", ["prompt_cache_key", "x-session-affinity", "x-grok-conv-id", "anthropic-beta"]
)
def test_what_bears_on_a_cache_is_kept(name) -> None:
    assert kept_headers([(name.title(), "a")]) == {name: "a"}


def test_keys_in_a_request_are_left_out() -> None:
    given = {
        "model": "m",
        "messages": [],
        "max_tokens": 5,
        "api_key": "SECRET",
        "openai_api_key": "SECRET",
        "extra_headers": {"Authorization": "SECRET", "anthropic-beta": "b"},
        "extra_query": {"key": "SECRET"},
        "extra_body": {"prompt_cache_key": "k", "auth_token": "SECRET"},
    }

    body, headers = kept_request(given)

    kept = {"model": "m", "messages": [], "max_tokens": 5, "prompt_cache_key": "k"}
    assert (body, headers) == (kept, {"anthropic-beta": "b"})


def test_keys_that_tools_carry_are_hidden_and_their_schemas_are_not() -> None:
    schema = {"type": "object", "properties": {"api_key": {"type": "string"}}}
    tools = [
        {"type": "mcp", "server_url": "u", "authorization": "SECRET", "headers": {"X": "SECRET"}},
        {"type": "function", "name": "f", "parameters": schema},
    ]
    servers = [{"type": "url", "url": "u", "authorization_token": "SECRET"}]

    body, _ = kept_request({"tools": tools, "mcp_servers": servers, "input": "x"})

    assert "SECRET" not in str(body)
    assert body["tools"][1]["parameters"] == schema
    assert "SECRET" in str(tools)


def test_an_address_is_its_host() -> None:
    assert host_of("https://me:SECRET@api.example.com:8443/v1/x?key=SECRET#SECRET") == (
        "https://api.example.com:8443"
    )
    assert host_of("http://[::1]:80/v1") == "http://[::1]:80"
    assert host_of("http://[half") == host_of("no address") == ""


def test_a_request_does_not_show_in_a_calls_repr() -> None:
    assert "never guess" not in repr(read("cassette.json").calls[0])
