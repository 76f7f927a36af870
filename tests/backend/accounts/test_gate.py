"""Who is let through: tokens, sessions, and changes that must come from our own pages."""

from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from backend.accounts import tokens
from backend.app import create_app
from backend.db.base import utc_now
from backend.dependencies import Services
from backend.domain.ids import TokenId
from backend.settings import Settings
from backend.tables.accounts import TokenRow
from tests.backend.accounts.conftest import ORIGIN
from tests.backend.accounts.test_sign_in_pages import csrf_of
from tests.conftest import OWNER_TOKEN, settings_in


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """One kind of database is enough here."""
    return settings_in(tmp_path, sqlite_url)


def status_with(anonymous: TestClient, authorization: str) -> int:
    return anonymous.get("/api/v1/tokens", headers={"Authorization": authorization}).status_code


class TestTokens:
    def test_the_owners_token_is_let_through(self, anonymous: TestClient) -> None:
        assert status_with(anonymous, f"Bearer {OWNER_TOKEN}") == 200
        assert status_with(anonymous, f"bearer  {OWNER_TOKEN} ") == 200

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {OWNER_TOKEN[:-1]}",
            f"Bearer {OWNER_TOKEN}x",
            f"Bearer {OWNER_TOKEN.upper()}",
            f"Basic {OWNER_TOKEN}",
            OWNER_TOKEN,
            "Bearer \xff\xfe",
        ],
    )
    def test_anything_else_is_not(self, anonymous: TestClient, authorization: str) -> None:
        headers = {"Authorization": authorization.encode("latin-1")}
        answer = anonymous.get("/api/v1/tokens", headers=headers)  # type: ignore[arg-type]  # raw bytes

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "not-signed-in"

    def test_a_token_in_the_address_is_not(self, anonymous: TestClient) -> None:
        for name in ("token", "access_token", "api_key", "key"):
            assert anonymous.get("/api/v1/tokens", params={name: OWNER_TOKEN}).status_code == 401

    def test_a_token_as_a_cookie_is_not(self, anonymous: TestClient) -> None:
        anonymous.cookies.set("sid", OWNER_TOKEN)

        assert anonymous.get("/api/v1/tokens").status_code == 401

    def test_one_that_was_taken_away_is_dead_at_once(self, anonymous: TestClient, services: Services) -> None:
        with services.database.write() as session:
            row, secret = tokens.create_token(session, "script")
        assert status_with(anonymous, f"Bearer {secret}") == 200

        with services.database.write() as session:
            tokens.revoke_token(session, TokenId(row.id))

        assert status_with(anonymous, f"Bearer {secret}") == 401

    def test_one_that_has_expired_is_dead(self, anonymous: TestClient, services: Services) -> None:
        with services.database.write() as session:
            row, secret = tokens.create_token(session, "script", timedelta(days=1))
        assert status_with(anonymous, f"Bearer {secret}") == 200

        with services.database.write() as session:
            session.execute(update(TokenRow).where(TokenRow.id == row.id).values(expires_at=utc_now()))

        assert status_with(anonymous, f"Bearer {secret}") == 401

    def test_of_forty_wrong_ones_the_last_are_sent_away(self, anonymous: TestClient) -> None:
        answers = [status_with(anonymous, f"Bearer wrong-{number}") for number in range(40)]
        right = anonymous.get("/api/v1/datasets", headers={"Authorization": f"Bearer {OWNER_TOKEN}"})

        assert answers == [401] * 20 + [429] * 20
        assert (right.status_code, right.headers["retry-after"]) == (429, "60")
        assert right.json()["error"]["message"] == "Too many wrong tokens came from this address."

    def test_a_wrong_token_is_not_helped_by_a_cookie(self, signed_in: TestClient) -> None:
        assert status_with(signed_in, "Bearer wrong") == 401

    def test_a_proxys_own_password_does_not_get_in_the_way_of_a_session(self, signed_in: TestClient) -> None:
        assert status_with(signed_in, "Basic dXNlcjpwYXNz") == 200

    def test_its_last_use_is_noted(self, anonymous: TestClient, services: Services) -> None:
        status_with(anonymous, f"Bearer {OWNER_TOKEN}")

        with services.database.read() as session:
            row = session.query(TokenRow).one()
        assert row.last_used_at is not None

    def test_it_never_shows_in_the_log(self, browser: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
        status_with(browser, f"Bearer {OWNER_TOKEN}")
        browser.get("/sign-in", params={"token": OWNER_TOKEN})
        browser.post("/sign-in", data={"key": OWNER_TOKEN})

        captured = capsys.readouterr()
        assert "/sign-in" in captured.out + captured.err
        assert OWNER_TOKEN not in captured.out + captured.err


class TestPagesWithoutAKey:
    def test_a_page_leads_to_the_sign_in(self, browser: TestClient) -> None:
        answer = browser.get("/runs")

        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/runs")

    def test_a_form_whose_session_has_ended_leads_to_the_sign_in(self, browser: TestClient) -> None:
        answer = browser.post("/sign-out")

        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")

    def test_after_the_sign_in_the_page_with_the_form_comes_back(self, browser: TestClient) -> None:
        headers = {"Origin": ORIGIN, "Referer": f"{ORIGIN}/versions/7/train?starts_from=8"}

        answer = browser.post("/versions/7/runs", headers=headers, follow_redirects=False)

        assert answer.headers["location"] == "/sign-in?next=/versions/7/train%3Fstarts_from%3D8"

    def test_another_sites_form_leads_to_no_page_of_its_choice(self, browser: TestClient) -> None:
        headers = {"Origin": "https://evil.example", "Referer": "https://evil.example/datasets/new"}

        answer = browser.post("/versions/7/runs", headers=headers, follow_redirects=False)

        assert answer.headers["location"] == "/sign-in"

    def test_a_part_of_a_page_takes_the_whole_page_there(self, browser: TestClient) -> None:
        headers = {"HX-Request": "true", "HX-Current-URL": "http://127.0.0.1:8000/runs/7?x=1"}
        answer = browser.get("/runs/7/table", headers=headers)

        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in?next=/runs/7")


UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://sibling.127.0.0.1:8000"},
    {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9000"},
    {"Origin": "https://127.0.0.1:8000"},
    {"Origin": "http://127.0.0.1:8000.evil.example"},
    {"Referer": f"{ORIGIN}/"},
    {},
]


class TestChangesFromOtherSites:
    @pytest.mark.parametrize("method", UNSAFE)
    @pytest.mark.parametrize("headers", FOREIGN, ids=str)
    def test_they_are_refused_even_with_cookie_and_token(
        self, signed_in: TestClient, method: str, headers: dict[str, str]
    ) -> None:
        sent = {"X-CSRF-Token": csrf_of(signed_in), "Accept": "application/json", **headers}
        answer = signed_in.request(method, "/api/v1/tokens", headers=sent)

        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "request-from-elsewhere"

    @pytest.mark.parametrize("method", UNSAFE)
    @pytest.mark.parametrize(
        "kind", ["", "text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    )
    def test_without_the_token_they_are_refused_from_our_own_origin_too(
        self, signed_in: TestClient, method: str, kind: str
    ) -> None:
        headers = {"Origin": ORIGIN, "Content-Type": kind} if kind else {"Origin": ORIGIN}
        answer = signed_in.request(method, "/api/v1/tokens", content=b'{"name": "x"}', headers=headers)

        assert answer.status_code == 403

    def test_nothing_was_changed(self, signed_in: TestClient, services: Services) -> None:
        for headers in FOREIGN:
            signed_in.post("/api/v1/tokens", json={"name": "evil"}, headers=headers)
            signed_in.post("/sign-out", headers=headers)

        with services.database.read() as session:
            assert session.query(TokenRow).count() == 1
        assert signed_in.get("/api/v1/tokens").status_code == 200

    @pytest.mark.parametrize("token", ["", "0" * 64, "ä"])
    def test_a_wrong_token_is_refused(self, signed_in: TestClient, token: str) -> None:
        headers = {"Origin": ORIGIN, "X-CSRF-Token": token.encode("latin-1")}
        answer = signed_in.post("/api/v1/tokens", json={"name": "x"}, headers=headers)  # type: ignore[arg-type]  # raw bytes

        assert answer.status_code == 403

    def test_the_token_of_another_session_is_refused(self, signed_in: TestClient) -> None:
        other = csrf_of(signed_in)
        signed_in.post("/sign-in", data={"key": OWNER_TOKEN}, headers={"Origin": ORIGIN})

        headers = {"Origin": ORIGIN, "X-CSRF-Token": other}
        assert signed_in.post("/api/v1/tokens", json={"name": "x"}, headers=headers).status_code == 403

    def test_signing_somebody_in_from_another_site_is_refused(self, browser: TestClient) -> None:
        for headers in FOREIGN[:-2]:
            assert browser.post("/sign-in", data={"key": OWNER_TOKEN}, headers=headers).status_code == 403


class TestChangesFromOurPages:
    @pytest.mark.parametrize(
        "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": ORIGIN}], ids=str
    )
    def test_with_the_token_in_the_header(self, signed_in: TestClient, headers: dict[str, str]) -> None:
        sent = {"X-CSRF-Token": csrf_of(signed_in), **headers}

        assert signed_in.post("/api/v1/tokens", json={"name": "x"}, headers=sent).status_code == 201

    def test_with_the_token_in_a_form(self, signed_in: TestClient) -> None:
        data = {"csrf_token": csrf_of(signed_in)}

        assert signed_in.post("/sign-out", data=data, headers={"Origin": ORIGIN}).status_code == 303

    def test_with_the_token_before_the_files_of_a_form(self, app: FastAPI, signed_in: TestClient) -> None:
        received = {}

        async def take(request: Request) -> Response:
            form = await request.form()
            file = form["file"]
            assert isinstance(file, UploadFile)
            received["bytes"] = len(await file.read())
            await form.close()
            return Response()

        app.add_route("/datasets/1/pictures", take, methods=["POST"])
        answer = signed_in.post(
            "/datasets/1/pictures",
            data={"csrf_token": csrf_of(signed_in)},
            files={"file": ("a.png", b"x" * 3_000_000)},
            headers={"Origin": ORIGIN},
        )

        assert (answer.status_code, received) == (200, {"bytes": 3_000_000})

    def test_behind_a_proxy_that_terminates_https(self, settings: Settings) -> None:
        app = create_app(settings.model_copy(update={"base_url": "https://box.example"}))
        tokens.ensure_owner_token(app.state.services.database, settings)
        with TestClient(app, base_url="https://box.example", follow_redirects=False) as browser:
            browser.post("/sign-in", data={"key": OWNER_TOKEN})
            headers = {"Origin": "https://box.example", "X-CSRF-Token": csrf_of(browser)}

            assert browser.post("/api/v1/tokens", json={"name": "x"}, headers=headers).status_code == 201
        app.state.services.database.dispose()

    def test_programs_need_no_such_token(self, client: TestClient) -> None:
        answer = client.post("/api/v1/tokens", json={"name": "x"}, headers={"Origin": "https://evil.example"})

        assert answer.status_code == 201
