"""The fixtures work in a test suite that is not ours."""

import subprocess
import sys
from pathlib import Path

SUITE = """
import json, urllib.request

def ask(url, model, text):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    headers = {"content-type": "application/json", "authorization": "Bearer x"}
    asked = urllib.request.Request(url + "/chat/completions", json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(asked))["usage"]["prompt_tokens_details"]

def test_loopback(agentcache_loopback):
    ask(agentcache_loopback.openai_url, "some-engine", "word " * 200)
    ask(agentcache_loopback.openai_url, "some-engine", "word " * 200)
    assert agentcache_loopback.log[1].cached_tokens > 150

def test_engine(agentcache_engine):
    ask(agentcache_engine.openai_url, agentcache_engine.model, "word " * 200)
    again = ask(agentcache_engine.openai_url, agentcache_engine.model, "word " * 200)
    assert again["cached_tokens"] > 150
"""


def test_a_strangers_suite_gets_provider_and_engine(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "agentcache.pytest_plugin"]

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
