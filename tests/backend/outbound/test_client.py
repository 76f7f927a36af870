import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import chain, repeat
from pathlib import Path

import pytest

from backend.outbound.client import Client, Limits
from backend.outbound.dialling import Pace
from backend.outbound.errors import Stopped, Unfetched
from tests.backend.outbound.conftest import LIMITS, LOOPBACK
from tests.fixtures.certificates import certificate_for
from tests.fixtures.web_server import WebServer, body, listening, redirect


def fetched(client: Client, url: str, limits: Limits = LIMITS) -> bytes:
    with client.get(url, limits) as answer:
        return b"".join(answer.chunks)


def refusal(client: Client, url: str, limits: Limits = LIMITS) -> Unfetched:
    with pytest.raises(Unfetched) as refused:
        fetched(client, url, limits)
    return refused.value


def test_it_brings_what_is_at_an_address(server: WebServer, trusting: Client) -> None:
    server.answers["/a.png"] = body(b"picture")

    assert fetched(trusting, f"{server.url}/a.png?size=2") == b"picture"
    assert server.asked[0][0] == "/a.png?size=2"
    assert server.asked[0][1]["Host"] == f"127.0.0.1:{server.server_port}"
    assert server.asked[0][1]["Accept-Encoding"] == "identity"


# S01


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "localhost", "127.1", "2130706433", "017700000001"],
)
def test_s01_nothing_is_sent_to_this_machine_itself(host: str) -> None:
    with listening() as (port, connections), Client() as client:
        refused = refusal(client, f"http://{host}:{port}/")

        assert refused.code in ("link-not-public", "link-odd")
        assert connections() == 0


@pytest.mark.parametrize("found", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], []])
def test_s01_nothing_is_sent_where_a_name_stands_for_a_private_address(found: list[str]) -> None:
    with listening() as (port, connections), Client(resolve=lambda _host, _port: found) as client:
        refused = refusal(client, f"http://127.0.0.1.nip.io:{port}/")

        assert str(refused) == "no server called “127.0.0.1.nip.io” can be reached on the public internet"
        assert connections() == 0


# S02


def test_s02_a_redirect_to_a_private_address_is_not_followed(server: WebServer) -> None:
    addresses = {"public.example": ["127.0.0.1"], "metadata.example": ["169.254.169.254"]}
    server.answers["/"] = redirect(f"http://metadata.example:{server.server_port}/latest")

    with Client(LOOPBACK, resolve=lambda host, _port: addresses[host]) as client:
        refused = refusal(client, f"http://public.example:{server.server_port}/")

    assert refused.code == "link-not-public"
    assert server.paths == ["/"]


def test_s02_five_redirects_are_followed_and_a_sixth_is_not(server: WebServer, trusting: Client) -> None:
    for number in range(6):
        server.answers[f"/{number}"] = redirect(f"/{number + 1}")
    server.answers["/6"] = body(b"end")

    assert fetched(trusting, f"{server.url}/1") == b"end"
    assert refusal(trusting, f"{server.url}/0").code == "link-too-many-redirects"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/"])
def test_s02_a_redirect_leads_to_http_only(server: WebServer, trusting: Client, location: str) -> None:
    server.answers["/"] = redirect(location)

    assert refusal(trusting, f"{server.url}/").code == "link-odd"


# S03


def test_s03_the_address_that_was_checked_is_the_one_that_is_dialled(server: WebServer) -> None:
    server.answers["/"] = body(b"checked")
    answers: Iterator[list[str]] = chain([["127.0.0.1"]], repeat(["127.0.0.2"]))
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with listening("127.0.0.2") as (_, connections), Client(LOOPBACK, resolve=rebinding) as client:
        content = fetched(client, f"http://rebind.example:{server.server_port}/")

        assert (content, asked, connections()) == (b"checked", ["rebind.example"], 0)
    assert server.asked[0][1]["Host"] == f"rebind.example:{server.server_port}"


def test_s03_a_dialled_number_still_has_to_prove_the_name(server: WebServer, tmp_path: Path) -> None:
    tls, believing = certificate_for("pictures.example", tmp_path)
    asked_for: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.answers["/"] = body(b"safe")
    port = server.server_port

    with Client(LOOPBACK, resolve=lambda _host, _port: ["127.0.0.1"], context=believing) as client:
        assert fetched(client, f"https://pictures.example:{port}/") == b"safe"
        assert refusal(client, f"https://other.example:{port}/").code == "link-certificate"

    assert asked_for == ["pictures.example", "other.example"]


# S05


def _endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Connection", "close")
    request.end_headers()
    while True:
        request.wfile.write(b"x" * 65_536)


def test_s05_an_endless_body_ends_at_the_limit(server: WebServer, trusting: Client) -> None:
    server.answers["/"] = _endless

    assert refusal(trusting, f"{server.url}/").code == "link-too-large"


def test_s05_what_says_that_it_is_too_large_is_not_read(server: WebServer, trusting: Client) -> None:
    server.answers["/"] = body(b"x" * 200_000)

    assert refusal(trusting, f"{server.url}/").code == "link-too-large"


def test_s05_a_length_that_lies_is_noticed(server: WebServer, trusting: Client) -> None:
    def lying(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"short")
        request.close_connection = True

    server.answers["/"] = lying

    assert refusal(trusting, f"{server.url}/").code == "link-broke-off"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: "], ids=["body", "headers"])
def test_s05_a_server_that_drips_is_left(server: WebServer, head: bytes) -> None:
    ended = threading.Event()

    def dripping(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(head or b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        while not ended.wait(0.01):
            request.wfile.write(b"x")
            request.wfile.flush()

    server.answers["/"] = dripping
    with Client(LOOPBACK, pace=Pace(window_s=0.1, least=100_000)) as client:
        assert refusal(client, f"{server.url}/").code == "link-too-slow"
    ended.set()


def test_s05_one_answer_may_take_only_so_long(server: WebServer, trusting: Client) -> None:
    server.answers["/"] = _endless

    assert refusal(trusting, f"{server.url}/", Limits(bytes=1 << 40, total_s=0.05)).code == "link-too-slow"


def test_s05_a_server_that_falls_silent_is_left(server: WebServer, trusting: Client) -> None:
    ended = threading.Event()

    def silent(_request: BaseHTTPRequestHandler) -> None:
        ended.wait(10)

    server.answers["/"] = silent

    assert refusal(trusting, f"{server.url}/", Limits(bytes=10, idle_s=0.1)).code == "link-broke-off"
    ended.set()


def test_s05_a_gzip_bomb_is_never_unpacked(server: WebServer, trusting: Client) -> None:
    packed = gzip.compress(bytes(10_000_000))
    server.answers["/"] = body(packed, Content_Encoding="gzip")

    assert fetched(trusting, f"{server.url}/") == packed


# S06


def test_s06_one_host_is_asked_by_four_connections_at_most(server: WebServer, trusting: Client) -> None:
    four, release = threading.Semaphore(0), threading.Event()

    def waiting(request: BaseHTTPRequestHandler) -> None:
        four.release()
        release.wait(10)
        body(b"x")(request)

    server.answers["/"] = waiting
    threads = [threading.Thread(target=fetched, args=(trusting, f"{server.url}/")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert four.acquire(timeout=10)
    release.set()
    for thread in threads:
        thread.join(10)

    assert (len(server.asked), server.most_at_once) == (12, 4)


# S07


def test_s07_proxies_of_the_environment_are_not_used(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/"] = body(b"direct")
    with listening() as (port, connections):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with Client(LOOPBACK) as client:
            assert fetched(client, f"{server.url}/") == b"direct"
        assert connections() == 0


# S09


def test_s09_nobody_can_tell_open_closed_and_unknown_private_servers_apart() -> None:
    addresses = {"open.example": ["127.0.0.1"], "closed.example": ["10.255.255.1"]}

    def resolve(host: str, _port: int) -> list[str]:
        if host not in addresses:
            raise OSError("no such name")
        return addresses[host]

    with listening() as (port, connections), Client(resolve=resolve) as client:
        said = {
            str(refusal(client, f"http://{host}:{port}/")).replace(host, "NAME")
            for host in ("open.example", "closed.example", "unknown.example")
        }
        assert connections() == 0
    assert said == {"no server called “NAME” can be reached on the public internet"}


# Answers


@pytest.mark.parametrize(
    ("status", "code", "is_passing"),
    [
        (404, "link-nothing-there", False),
        (403, "link-refused", False),
        (429, "link-too-often", True),
        (503, "link-server-error", True),
        (418, "link-refused", False),
    ],
)
def test_a_status_becomes_words(server: WebServer, trusting: Client, status: int, code: str, is_passing: bool) -> None:
    server.answers["/"] = body(b"", status=status)

    refused = refusal(trusting, f"{server.url}/")

    assert (refused.code, refused.is_passing) == (code, is_passing)


def test_it_stops_between_chunks_when_it_is_asked_to(server: WebServer) -> None:
    server.answers["/"] = _endless
    asks = iter([False, False, True])

    with Client(LOOPBACK, should_stop=lambda: next(asks)) as client, pytest.raises(Stopped):
        fetched(client, f"{server.url}/", Limits(bytes=1 << 40))


def test_closing_it_ends_what_another_thread_waits_for(server: WebServer) -> None:
    arrived, ended, outcome = threading.Event(), threading.Event(), []

    def silent(_request: BaseHTTPRequestHandler) -> None:
        arrived.set()
        ended.wait(10)

    def fetch(client: Client) -> None:
        try:
            fetched(client, f"{server.url}/", Limits(bytes=10, idle_s=60))
        except Stopped:
            outcome.append("stopped")

    server.answers["/"] = silent
    client = Client(LOOPBACK)
    thread = threading.Thread(target=fetch, args=(client,))
    thread.start()
    assert arrived.wait(10)
    client.close()
    thread.join(10)
    ended.set()

    assert outcome == ["stopped"]
