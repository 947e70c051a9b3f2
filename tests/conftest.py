"""What every test gets: no network but loopback, no telemetry, no state from the test before."""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# Set on import: frameworks read these when they are imported, which is during collection.
os.environ.update(
    ANTHROPIC_API_KEY="dummy",
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TESTING="true",
    CREWAI_TRACING_ENABLED="false",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    OPENAI_API_KEY="dummy",
    OTEL_SDK_DISABLED="true",
    # One certificate of nobody's: nothing here speaks TLS, and each client reads the whole bundle.
    SSL_CERT_FILE=str(Path(__file__).with_name("nobody.pem")),
)


class NetworkInTestError(RuntimeError):
    """A test tried to leave this machine; no OSError, so that no client retries or hides it."""


def _is_local(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host or ""
    if name in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse_unless_local(host: Any, what: str) -> None:
    if not _is_local(host):
        raise NetworkInTestError(
            f"{what} {host!r}: tests have no network but loopback. "
            "Point the client's base_url at the loopback provider."
        )


def _guard_socket(name: str) -> Callable[..., Any]:
    """Return socket.socket's method of this name; the address is always its last argument."""
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _refuse_unless_local(args[-1][0], name)
        return original(self, *args)

    return guarded


def _guard_lookup(name: str) -> Callable[..., Any]:
    original = getattr(socket, name)

    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_unless_local(host, name)
        return original(host, *args, **kwargs)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every connection and name lookup that leaves this machine.

    One guard for the whole run: a framework's threads outlive the test that started them.
    asyncio connects and looks up through the same functions. Not covered: child processes.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guard_socket(name))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, _guard_lookup(name))
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test its own CrewAI storage, and no endpoint from the developer's shell."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo's emulated models answer a hundred times as fast; the answers are the same."""
    from agentcache.demo import targets

    monkeypatch.setattr(targets, "_LATENCY", replace(targets._LATENCY, scale=0.01))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio only."""
    return "asyncio"
