"""Slow and many connections, on a real server with short time limits."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from backend.connections import LimitedProtocol
from tests.fixtures.processes import wait_until

Connect = Callable[[bytes], socket.socket]


class Quick(LimitedProtocol):
    headers_s = 0.5
    body_s = 0.5
    body_bytes = 100
    most_unfinished = 5
    most_connections = 3
    linger_s = 0.05


async def _size(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Starlette(routes=[Route("/", _size, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Quick, ws="none", log_level="error", lifespan="off"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    with ExitStack() as stack:

        def open_with(sent: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall(sent)
            return connection

        yield open_with


def everything(connection: socket.socket) -> bytes:
    """Until the other side closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


def test_a_whole_request_is_answered(connect: Connect) -> None:
    assert everything(connect(WHOLE)).endswith(b"0 bytes")


@pytest.mark.parametrize("sent", [b"", HALF], ids=["nothing", "half of the headers"])
def test_headers_that_do_not_come_end_the_connection(connect: Connect, sent: bytes) -> None:
    answer = everything(connect(sent))

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"request-too-slow"' in answer


def test_headers_that_trickle_in_end_the_connection_all_the_same(connect: Connect) -> None:
    connection = connect(HALF)
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.1):
            try:
                connection.sendall(b"X: y\r\n")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        received = connection.recv(1024)
    except ConnectionResetError:
        received = b"HTTP/1.1 408 "  # it was closed while more was on its way
    finally:
        stop.set()
        thread.join()

    assert received.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_hardly_moves_ends_the_connection(connect: Connect) -> None:
    connection = connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")

    assert everything(connection) == b""


def test_a_slow_body_that_continues_is_taken(connect: Connect) -> None:
    connection = connect(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n")
    for _ in range(10):
        connection.sendall(b"x" * 200)
        threading.Event().wait(0.12)

    assert everything(connection).endswith(b"2000 bytes")


def test_a_second_request_on_a_connection_has_its_own_time(connect: Connect) -> None:
    connection = connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    first = b""
    while not first.endswith(b"0 bytes"):
        first += connection.recv(65536)
    connection.sendall(HALF)

    assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_many_halves_from_one_address_do_not_keep_whole_requests_out(connect: Connect) -> None:
    halves = [connect(HALF) for _ in range(6)]

    assert everything(connect(WHOLE)).endswith(b"0 bytes")
    assert [everything(half)[:13] for half in halves] == [b"HTTP/1.1 408 "] * 6


def test_one_address_keeps_only_so_many_connections(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quick, "_speaks_for_many", lambda _: False)
    connections = [connect(HALF) for _ in range(3)]

    refused = everything(connect(WHOLE))
    for connection in connections:
        everything(connection)

    assert refused.startswith(b"HTTP/1.1 429 ")
    wait_until(lambda: everything(connect(WHOLE)).endswith(b"0 bytes"), "others are gone, so that there is room again")
