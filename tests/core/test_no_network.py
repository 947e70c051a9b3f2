"""The guard in conftest.py bites, and lets loopback through."""

import asyncio
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator

import pytest

FAR = ("192.0.2.1", 443)  # RFC 5737: an address for documentation, nobody's machine
REFUSED = "tests have no network but loopback"


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_connection_to_another_machine_is_refused(method: str) -> None:
    with socket.socket() as sock, pytest.raises(RuntimeError, match=REFUSED):
        getattr(sock, method)(FAR)


def test_a_datagram_to_another_machine_is_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(RuntimeError, match=REFUSED),
    ):
        sock.sendto(b"", FAR)


def test_looking_up_a_name_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"getaddrinfo 'api\.example\.com'"):
        socket.getaddrinfo("api.example.com", 443)


def test_an_http_client_is_refused() -> None:
    with pytest.raises(RuntimeError, match=REFUSED):
        urllib.request.urlopen("http://api.example.com/", timeout=1)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["api.example.com", FAR[0]])
async def test_asyncio_is_refused(host: str) -> None:
    with pytest.raises(RuntimeError, match=REFUSED):
        await asyncio.open_connection(host, 443)


@pytest.mark.anyio
async def test_sock_connect_is_refused() -> None:
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(RuntimeError, match=REFUSED):
            await asyncio.get_running_loop().sock_connect(sock, FAR)


def test_a_thread_is_refused() -> None:
    raised: list[Exception] = []

    def leave() -> None:
        try:
            socket.create_connection(FAR, timeout=1)
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert REFUSED in str(raised)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_let_through(listener: tuple[str, int], host: str) -> None:
    socket.create_connection((host, listener[1]), timeout=5).close()


@pytest.mark.anyio
async def test_loopback_is_let_through_on_asyncio(listener: tuple[str, int]) -> None:
    _, writer = await asyncio.open_connection(*listener)
    writer.close()
    await writer.wait_closed()


def test_a_local_socket_is_let_through(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


@pytest.mark.parametrize("name", ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"])
def test_no_endpoint_comes_from_the_shell(name: str) -> None:
    assert name not in os.environ
