"""Signing in and out, by browser."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.testclient import TestClient

from backend.accounts import tokens
from backend.accounts.pages import place_on_this_site
from backend.app import create_app
from backend.caller import secret_sha256
from backend.db.base import utc_now
from backend.dependencies import Services
from backend.domain.ids import TokenId
from backend.settings import Settings
from backend.tables.accounts import SessionRow, SignInFailureRow, TokenRow
from tests.backend.accounts.conftest import ORIGIN
from tests.conftest import OWNER_TOKEN


def post_key(browser: TestClient, key: str, **fields: str) -> int:
    return browser.post("/sign-in", data={"key": key, **fields}, headers={"Origin": ORIGIN}).status_code


def is_in(browser: TestClient) -> bool:
    return browser.get("/api/v1/tokens").status_code == 200


def csrf_of(browser: TestClient) -> str:
    page = browser.get("/api/docs").text
    return page.partition('name="csrf-token" content="')[2].partition('"')[0]


def test_it_asks_for_the_key(browser: TestClient) -> None:
    page = browser.get("/sign-in")

    assert page.status_code == 200
    assert "Enter your access key." in page.text


def test_the_key_signs_in(browser: TestClient) -> None:
    answer = browser.post("/sign-in", data={"key": OWNER_TOKEN}, headers={"Origin": ORIGIN})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert is_in(browser)


def test_the_key_may_have_spaces_around_it(browser: TestClient) -> None:
    assert post_key(browser, f"  {OWNER_TOKEN}\n") == 303


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(browser: TestClient) -> None:
    answer = browser.post("/sign-in", data={"key": OWNER_TOKEN})

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("sid=")
    assert "HttpOnly; Max-Age=604800; Path=/; SameSite=lax" in cookie
    assert "Secure" not in cookie


def test_the_cookie_of_an_https_server_is_bound_to_its_host(app: FastAPI, settings: Settings) -> None:
    secure = create_app(settings.model_copy(update={"base_url": "https://box.example"}))
    with TestClient(secure, base_url="https://box.example", follow_redirects=False) as browser:
        cookie = browser.post("/sign-in", data={"key": OWNER_TOKEN}).headers["set-cookie"]

        assert cookie.startswith("__Host-sid=")
        assert "Secure" in cookie
        assert is_in(browser)
    secure.state.services.database.dispose()


def test_the_link_signs_in_and_leaves_no_token_in_the_address(browser: TestClient) -> None:
    answer = browser.get("/sign-in", params={"token": OWNER_TOKEN})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert is_in(browser)


def test_a_wrong_key_is_asked_so(browser: TestClient) -> None:
    answer = browser.post("/sign-in", data={"key": "not-the-key"}, headers={"Origin": ORIGIN})

    assert answer.status_code == 401
    assert "This key isn&#39;t right. Check that you copied all of it." in answer.text
    assert "not-the-key" not in answer.text
    assert not is_in(browser)


def test_the_database_knows_no_secret(signed_in: TestClient, services: Services) -> None:
    cookie = signed_in.cookies["sid"]

    with services.database.read() as session:
        stored = session.query(SessionRow).one()
        token = session.query(TokenRow).one()
    assert stored.sha256 == secret_sha256(cookie)
    assert OWNER_TOKEN not in (token.name, token.sha256)


def test_after_twenty_wrong_keys_even_the_right_one_waits(browser: TestClient) -> None:
    answers = [post_key(browser, f"wrong-{number}") for number in range(21)]

    assert answers == [401] * 20 + [429]
    answer = browser.post("/sign-in", data={"key": OWNER_TOKEN}, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert "Too many wrong keys from this address." in answer.text


def test_a_forwarded_address_does_not_get_around_the_limit(browser: TestClient) -> None:
    for number in range(20):
        browser.headers["X-Forwarded-For"] = f"10.0.0.{number}"
        post_key(browser, "wrong")

    browser.headers["X-Forwarded-For"] = "10.0.0.99"
    assert post_key(browser, OWNER_TOKEN) == 429


def test_after_a_minute_the_right_key_works_again(browser: TestClient, services: Services) -> None:
    for _ in range(20):
        post_key(browser, "wrong")
    with services.database.write() as session:
        session.execute(update(SignInFailureRow).values(created_at=utc_now() - timedelta(seconds=61)))

    assert post_key(browser, OWNER_TOKEN) == 303


def test_a_planted_session_is_not_taken_over(browser: TestClient) -> None:
    browser.cookies.set("sid", "planted-by-somebody-else", domain="127.0.0.1")

    browser.post("/sign-in", data={"key": OWNER_TOKEN}, headers={"Origin": ORIGIN})

    stranger = TestClient(browser.app, base_url=ORIGIN, cookies={"sid": "planted-by-somebody-else"})
    assert not is_in(stranger)


def test_each_sign_in_gets_a_session_of_its_own(signed_in: TestClient) -> None:
    first = signed_in.cookies["sid"]

    post_key(signed_in, OWNER_TOKEN)

    assert signed_in.cookies["sid"] != first


def test_signing_out_kills_copies_of_the_cookie(signed_in: TestClient) -> None:
    copy = TestClient(signed_in.app, base_url=ORIGIN, cookies={"sid": signed_in.cookies["sid"]})
    assert is_in(copy)

    answer = signed_in.post("/sign-out", data={"csrf_token": csrf_of(signed_in)}, headers={"Origin": ORIGIN})

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert not is_in(copy)
    assert "sid" not in signed_in.cookies


def test_a_session_ends_when_its_token_is_taken_away(browser: TestClient, services: Services) -> None:
    with services.database.write() as session:
        row, secret = tokens.create_token(session, "tablet")
    post_key(browser, secret)
    assert is_in(browser)

    with services.database.write() as session:
        tokens.revoke_token(session, TokenId(row.id))

    assert not is_in(browser)


@pytest.mark.parametrize(
    "ended",
    [
        {"last_seen_at": timedelta(hours=-12, seconds=-1)},
        {"expires_at": timedelta(seconds=-1)},
    ],
    ids=["idle for twelve hours", "seven days old"],
)
def test_a_session_ends_by_itself(signed_in: TestClient, services: Services, ended: dict[str, timedelta]) -> None:
    with services.database.write() as session:
        session.execute(update(SessionRow).values({name: utc_now() + delta for name, delta in ended.items()}))

    assert not is_in(signed_in)


def test_a_session_in_use_stays_awake(signed_in: TestClient, services: Services) -> None:
    with services.database.write() as session:
        session.execute(update(SessionRow).values(last_seen_at=utc_now() - timedelta(hours=11)))

    assert is_in(signed_in)

    with services.database.read() as reading:
        row = reading.query(SessionRow).one()
    assert row.last_seen_at > utc_now() - timedelta(minutes=1)


def test_it_continues_to_where_the_person_wanted_to_go(browser: TestClient) -> None:
    asked = browser.get("/runs?page=2")
    assert asked.headers["location"] == "/sign-in?next=/runs%3Fpage%3D2"

    answer = browser.post("/sign-in", data={"key": OWNER_TOKEN, "next": "/runs?page=2"})

    assert answer.headers["location"] == "/runs?page=2"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/\t/evil.example",
        "\n//evil.example",
        "/%0d%0aSet-Cookie:x\r\n",
        "\\/evil.example",
        "///evil.example",
        "/ok\x00",
    ],
)
def test_it_never_leads_to_another_site(wanted: str) -> None:
    assert place_on_this_site(wanted, "") == "/"


def test_a_sub_path_is_not_left() -> None:
    assert place_on_this_site("/tellapart/runs", "/tellapart") == "/tellapart/runs"
    assert place_on_this_site("/other/app", "/tellapart") == "/tellapart/"
    assert place_on_this_site("/tellapart//evil", "/tellapart") == "/tellapart//evil"
