"""docs/clients.md: its example runs as it stands, and its tables name what the adapter says."""

import re
from pathlib import Path

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

from agentcache import loopback
from agentcache_openai import asides, forking

TEXT = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_example_runs(monkeypatch, capsys) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    with loopback.serve() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url)
        known: dict[str, object] = {}
        exec(compile(code, "docs/clients.md", "exec"), known)
        cached = [r.cached_tokens or 0 for r in provider.log]
    assert "agentcache (emulated)" in capsys.readouterr().out
    assert min(cached[1:3]) > 1_000
    assert known["page"]


def test_every_reason_of_the_adapters_is_named() -> None:
    source = "".join(Path(module.__file__ or "").read_text() for module in (asides, forking))
    reasons = set(re.findall(r'"(\w+): ', source)) - {"not_json"}
    assert reasons >= {"structured_output", "own_tools", "chained", "alone", "other_domain"}
    assert all(f"`{reason}`" in TEXT for reason in reasons)
