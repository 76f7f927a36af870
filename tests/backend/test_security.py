"""What every answer carries and what no request gets past, seen from the outside."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import anyio
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from backend.accounts.gate import is_open
from backend.accounts.tokens import ensure_owner_token
from backend.app import create_app
from backend.security import CONTENT_SECURITY_POLICY, host_rule
from backend.settings import Settings
from tests.conftest import OWNER_TOKEN, settings_in
from tests.fixtures.routes import addresses

OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /sign-in",
    "GET /static/anything",
}
"""``POST /sign-in`` is open too, and says 401 to who has no key."""


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """One kind of database is enough: nothing here depends on it."""
    return settings_in(tmp_path, sqlite_url)


@pytest.fixture
def traps(app: FastAPI) -> Iterator[TestClient]:
    """Ana's program, and routes that behave badly."""

    async def bug(request: Request) -> Response:
        raise RuntimeError("the secret path is /srv/data, SELECT * FROM tokens")

    async def stream(request: Request) -> Response:
        return StreamingResponse(iter((b"data: 1\n\n",)), media_type="text/event-stream")

    async def picture(request: Request) -> Response:
        return Response(b"", headers={"Content-Security-Policy": "default-src 'none'; sandbox"})

    async def echo(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    app.add_route("/api/v1/bug", bug)
    app.add_route("/bug", bug)
    app.add_route("/api/v1/stream", stream)
    app.add_route("/api/v1/picture", picture)
    app.add_route("/api/v1/echo", echo, methods=["POST"])
    app.add_route("/api/v1/traps/images", echo, methods=["POST"])
    app.add_route("/api/v1/traps/labels/preview", echo, methods=["POST"])
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    with TestClient(app, base_url="http://127.0.0.1:8000", headers=headers, raise_server_exceptions=False) as client:
        yield client


class TestDenyByDefault:
    def test_nobody_gets_anything_but_the_open_addresses_without_a_key(
        self, app: FastAPI, anonymous: TestClient
    ) -> None:
        let_in = set()
        for address in addresses(app):
            answer = anonymous.request(address.method, address.path)
            if answer.status_code not in (303, 401):
                let_in.add(str(address))
            elif answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in")

        assert let_in == OPEN

    def test_the_walk_sees_the_routes(self, app: FastAPI) -> None:
        seen = {str(address) for address in addresses(app)}

        assert {
            "DELETE /api/v1/tokens/{token_id}",
            "GET /api/v1/openapi.json",
            "GET /metrics",
            "POST /sign-out",
        } <= seen
        assert len(seen) >= len(app.openapi()["paths"])

    def test_an_address_that_does_not_exist_is_kept_shut_as_well(self, anonymous: TestClient) -> None:
        assert anonymous.get("/api/v1/nothing").status_code == 401
        assert anonymous.get("/nothing").status_code == 303

    def test_a_mounted_application_is_kept_shut_as_well(self, app: FastAPI, anonymous: TestClient) -> None:
        other = FastAPI()
        other.get("/secret")(lambda: "secret")
        app.mount("/other", other)

        assert anonymous.get("/other/secret").status_code == 303

    @pytest.mark.parametrize(
        "path",
        [
            "/healthz/",
            "/healthz/../api/v1/tokens",
            "/static",
            "/staticx",
            "/sign-in/../api/v1/tokens",
            "//healthz",
            "/api/v1/tokens;/static/",
            "/readyz%2f..%2fapi%2fv1%2ftokens",
            "/SIGN-IN",
        ],
    )
    def test_what_only_looks_open_is_shut(self, anonymous: TestClient, path: str) -> None:
        answer = anonymous.get(f"http://127.0.0.1:8000{path}")

        assert answer.status_code in (303, 401, 404)
        assert "items" not in answer.text

    def test_static_files_cannot_be_left(self, anonymous: TestClient) -> None:
        for path in (
            "/static/../pyproject.toml",
            "/static/..%2f..%2fpyproject.toml",
            "/static/%2e%2e/%2e%2e/etc/passwd",
        ):
            answer = anonymous.get(f"http://127.0.0.1:8000{path}")
            assert answer.status_code in (303, 404), path

    def test_a_web_socket_is_refused(self, anonymous: TestClient) -> None:
        with pytest.raises(WebSocketDisconnect), anonymous.websocket_connect("ws://127.0.0.1:8000/healthz"):
            pass

    def test_the_open_list_is_short(self) -> None:
        assert not is_open("/")
        assert not is_open("/api/docs")
        assert not is_open("/metrics")


class TestHeaders:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/healthz", 200),
            ("/sign-in", 200),
            ("/api/v1/tokens", 200),
            ("/api/v1/nothing", 404),
            ("/nothing", 404),
            ("/static/nothing.css", 404),
            ("/api/v1/bug", 500),
            ("/bug", 500),
            ("/api/v1/stream", 200),
            ("/api/docs", 200),
            ("/sign-in?token=wrong", 401),
        ],
    )
    def test_every_kind_of_answer_carries_them(self, traps: TestClient, path: str, status: int) -> None:
        answer = traps.get(path)

        assert answer.status_code == status
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["permissions-policy"]
        assert "strict-transport-security" not in answer.headers

    def test_refusals_carry_them_too(self, anonymous: TestClient) -> None:
        for answer in (
            anonymous.get("/api/v1/tokens"),
            anonymous.get("/"),
            anonymous.get("/healthz", headers={"Host": "evil.example"}),
            anonymous.post("/sign-in", headers={"Origin": "https://evil.example"}),
            anonymous.post("/sign-in", content=b"x" * (2 * 1024 * 1024 + 1)),
        ):
            assert answer.status_code in (303, 400, 401, 403, 413)
            assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY

    def test_the_policy_allows_nothing_inline(self) -> None:
        assert "unsafe" not in CONTENT_SECURITY_POLICY
        assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY

    def test_a_stricter_policy_of_an_answer_stays(self, traps: TestClient) -> None:
        assert traps.get("/api/v1/picture").headers["content-security-policy"] == "default-src 'none'; sandbox"

    def test_an_https_server_sends_strict_transport_security(self, settings: Settings) -> None:
        app = create_app(settings.model_copy(update={"base_url": "https://box.example"}))
        with TestClient(app, base_url="https://box.example") as client:
            assert client.get("/healthz").headers["strict-transport-security"] == "max-age=31536000"
        app.state.services.database.dispose()

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
    def test_no_other_site_may_read_answers(self, client: TestClient, origin: str) -> None:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for answer in (client.options("/api/v1/tokens", headers=asked), client.get("/api/v1/tokens", headers=asked)):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


class TestHosts:
    @pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:8000"])
    def test_our_own_names_are_let_in(self, anonymous: TestClient, host: str) -> None:
        assert anonymous.get("/healthz", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "a/?x=",
            "127.0.0.1:8000/static/",
            "127.0.0.1@evil.example",
            "127.0.0.1:8000, evil.example",
            "127.0.0.1:port",
            "[::1",
            "",
            "10.0.0.7",
        ],
    )
    def test_other_names_are_refused(self, client: TestClient, host: str) -> None:
        answer = client.get("/api/v1/tokens", headers={"Host": host})

        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "host-unknown"

    def test_two_names_at_once_are_refused(self, client: TestClient) -> None:
        answer = client.get("/healthz", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")])

        assert answer.status_code == 400

    def test_the_log_shows_which_name_was_refused(
        self, anonymous: TestClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        anonymous.get("/healthz", headers={"Host": "evil.example"})

        captured = capsys.readouterr()
        assert "evil.example" in captured.out + captured.err

    def test_a_server_for_the_network_takes_any_number_but_no_foreign_name(self, settings: Settings) -> None:
        is_ours = host_rule(settings.model_copy(update={"host": "0.0.0.0", "base_url": "https://pets.example/t"}))

        assert is_ours("192.168.1.7:8000")
        assert is_ours("[fe80::1]:8000")
        assert is_ours("pets.example")
        assert not is_ours("evil.example")

    def test_the_name_of_the_host_never_changes_what_is_guarded(self, anonymous: TestClient) -> None:
        answer = anonymous.get("/api/v1/tokens", headers={"Host": "127.0.0.1/static/?x="})

        assert answer.status_code == 400


class TestSubPath:
    @pytest.fixture
    def behind_proxy(self, settings: Settings) -> Iterator[TestClient]:
        app = create_app(settings.model_copy(update={"base_url": "http://127.0.0.1:8000/tellapart"}))
        ensure_owner_token(app.state.services.database, settings)
        with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
            yield client
        app.state.services.database.dispose()

    @pytest.mark.parametrize("prefix", ["", "/tellapart"], ids=["taken away by the proxy", "left on"])
    def test_it_works_however_the_proxy_passes_the_path(self, behind_proxy: TestClient, prefix: str) -> None:
        assert behind_proxy.get(f"{prefix}/healthz").status_code == 200
        assert behind_proxy.get(f"{prefix}/api/v1/tokens").status_code == 401
        asked = behind_proxy.get(f"{prefix}/runs")
        assert asked.headers["location"] == "/tellapart/sign-in?next=/tellapart/runs"

        answer = behind_proxy.post(f"{prefix}/sign-in", data={"key": OWNER_TOKEN, "next": "/tellapart/runs"})

        assert answer.headers["location"] == "/tellapart/runs"
        assert "Path=/tellapart;" in answer.headers["set-cookie"]

    @pytest.mark.parametrize("path", ["/static/api/v1/tokens", "/tellapart/static/../api/v1/tokens", "/tellapart"])
    def test_the_prefix_opens_nothing(self, behind_proxy: TestClient, path: str) -> None:
        assert behind_proxy.get(path).status_code in (303, 401, 404)


PAYLOADS = [
    "..",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "..%252f..%252fetc%252fpasswd",
    "..%25252f..%25252fetc%25252fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..\\..\\windows\\win.ini",
    "..%5c..%5cwindows%5cwin.ini",
    "....//....//etc/passwd",
    "..;/..;/etc/passwd",
    "%00",
    "a%00.png",
    "a\x7f",
    "C:../secret",
    "C:%5csecret",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "%2fetc%2fpasswd",
    "a;b=c",
    "a%3fb=c",
    "a%23b",
    "a%0d%0aSet-Cookie:x=1",
    "%c0%ae%c0%ae%c0%af",
    "%ff%fe",
    "%ed%a0%80",
    "\u2025/\u2025",
    "\uff0e\uff0e\uff0fetc",
    "A" * 5000,
    "0" * 33,
    "-1",
    "0",
    "1e309",
    "9" * 400,
    "null",
    "undefined",
    "' OR 1=1 --",
    "%27%3b%20DROP%20TABLE%20tokens%3b--",
    "{{7*7}}",
    "${7*7}",
    "<img src=x onerror=alert(1)>",
    "%F0%9F%90%B6",
    "con",
    "..%u2215",
]


class TestPaths:
    def test_no_id_is_ever_a_path(self, app: FastAPI) -> None:
        for address in addresses(app):
            if "{" not in address.template:
                continue
            for payload in PAYLOADS:
                path = re.sub(r"\{[^}]+\}", lambda _, payload=payload: payload, address.template)  # type: ignore[misc]
                status, body = answer_to(app, address.method, unquote(path, errors="surrogateescape"))

                # 412: a request of a resumable upload that doesn't say which version of the protocol it speaks.
                assert status in (303, 307, 400, 404, 405, 409, 412, 413, 415, 422), (str(address), payload, body)
                assert b"root:" not in body

    def test_control_characters_are_nothing_of_ours(self, app: FastAPI) -> None:
        for path in ("/api/v1/tokens/a\x00", "/static/\x00", "/\n", "/sign-in\r\n", "/\udcff"):
            assert answer_to(app, "GET", path)[0] == 404


def answer_to(app: FastAPI, method: str, path: str) -> tuple[int, bytes]:
    """Status and body, without a client that would tidy the path up."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {OWNER_TOKEN}".encode())],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    with suppress(Exception):  # a bug is raised again after its 500
        anyio.run(app, scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


class TestBugs:
    def test_a_program_gets_an_id_and_nothing_else(self, traps: TestClient) -> None:
        answer = traps.get("/api/v1/bug")

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["details"]) == (500, "bug", {})
        assert error["message"].startswith("This is our mistake (")
        assert "secret" not in answer.text
        assert "RuntimeError" not in answer.text

    def test_a_person_gets_a_page_with_an_id(self, traps: TestClient) -> None:
        answer = traps.get("/bug", headers={"Accept": "text/html"})

        assert answer.status_code == 500
        assert "This is our mistake" in answer.text
        assert "secret" not in answer.text
