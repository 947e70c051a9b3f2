"""The contract suite: one set of tests, run unchanged against every adapter that is installed.

An adapter joins by a file `kit_<framework>.py` beside this one. A kit builds a program of the
framework from a neutral description, so that no test names a framework.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from agentcache import loopback
from agentcache.demo.scenario import Endpoint

HERE = Path(__file__).parent
MODELS = ("gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5")


def _kits() -> dict[str, Path]:
    found = {p.stem.removeprefix("kit_"): p for p in HERE.glob("kit_*.py")}
    return {name: path for name, path in found.items() if importlib.util.find_spec(name)}


@dataclass
class Bench:
    """A framework's kit, a provider that emulates one family, and the endpoint for the kit."""

    kit: ModuleType
    provider: loopback.Loopback
    endpoint: Endpoint

    def calls(self) -> list[loopback.Logged]:
        """Requests to a model, as received."""
        return [r for r in self.provider.log if r.api != "other"]


@pytest.fixture(scope="session", params=sorted(_kits()))
def kit(request: pytest.FixtureRequest) -> ModuleType:
    path = _kits()[request.param]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=MODELS)
def bench(kit: ModuleType, request: pytest.FixtureRequest) -> Iterator[Bench]:
    model = request.param
    with loopback.serve(script=loopback.agent) as provider:
        anthropic = model.startswith("claude")
        url = provider.url if anthropic else provider.openai_url
        yield Bench(kit, provider, Endpoint(url, model, "dummy", anthropic=anthropic))
