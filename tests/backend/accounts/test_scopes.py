"""What a token may do: its scope, and that it never gives away more than it has."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from backend.accounts.scopes import scope_needed
from backend.accounts.tokens import create_token
from backend.db.base import utc_now
from backend.dependencies import Services
from backend.domain.scopes import TokenScope
from backend.tables.accounts import TokenRow
from tests.backend.accounts.conftest import ORIGIN

CALLS = {
    TokenScope.READ: ("GET", "/api/v1/datasets", None),
    TokenScope.PREDICT: ("POST", "/api/v1/checkpoints/0/predictions", None),
    TokenScope.WRITE: ("POST", "/api/v1/datasets", {"name": "Pets"}),
    TokenScope.OWNER: ("POST", "/api/v1/tokens", {"name": "another"}),
}


def minted(client: TestClient, scope: str, **order: object) -> dict[str, str]:
    answer = client.post("/api/v1/tokens", json={"name": scope, "scope": scope, **order})
    assert answer.status_code == 201
    return {"Authorization": f"Bearer {answer.json()['token']}"}


@pytest.mark.parametrize("scope", TokenScope)
def test_a_token_does_what_its_scope_includes_and_no_more(
    client: TestClient, anonymous: TestClient, scope: TokenScope
) -> None:
    headers = minted(client, scope)

    allowed = {
        needed.value: anonymous.request(method, path, json=body, headers=headers).status_code != 403
        for needed, (method, path, body) in CALLS.items()
    }

    assert allowed == {
        "read": True,
        "predict": scope != "read",
        "write": scope in ("write", "owner"),
        "owner": scope == "owner",
    }


def test_the_refusal_shows_what_is_needed(client: TestClient, anonymous: TestClient) -> None:
    answer = anonymous.delete("/api/v1/datasets/0", headers=minted(client, "read"))

    assert answer.status_code == 403
    assert answer.json()["error"] == {
        "code": "scope-too-small",
        "message": "Your key may only look at things; this needs a key with the scope “write”.",
        "advice": "Ask the owner of this server for such a key.",
        "details": {"scope": "read", "needed": "write"},
    }


def test_without_a_scope_a_new_token_may_do_everything_but_manage_keys(client: TestClient) -> None:
    answer = client.post("/api/v1/tokens", json={"name": "script"})

    assert answer.json()["scope"] == "write"


def test_a_browser_has_the_scope_of_the_key_it_signed_in_with(browser: TestClient, services: Services) -> None:
    with services.database.write() as session:
        _, secret = create_token(session, "guest", scope=TokenScope.READ)
    browser.post("/sign-in", data={"key": secret}, headers={"Origin": ORIGIN})

    page = browser.get("/runs")
    csrf = page.text.partition('name="csrf-token" content="')[2].partition('"')[0]
    refused = browser.post("/datasets", data={"csrf_token": csrf, "name": "x"}, headers={"Origin": ORIGIN})
    out = browser.post("/sign-out", data={"csrf_token": csrf}, headers={"Origin": ORIGIN})

    assert (page.status_code, refused.status_code, out.status_code) == (200, 403, 303)
    assert "Your key may only look at things" in refused.text


def test_a_token_that_ends_makes_none_that_lasts_longer(client: TestClient, anonymous: TestClient) -> None:
    headers = minted(client, "owner", expires_in_days=1)

    longer = anonymous.post("/api/v1/tokens", json={"name": "x", "expires_in_days": 2}, headers=headers)
    endless = anonymous.post("/api/v1/tokens", json={"name": "x"}, headers=headers)

    assert (longer.status_code, longer.json()["error"]["code"]) == (403, "token-would-outlive")
    makers = next(
        item for item in client.get("/api/v1/tokens").json()["items"] if item["name"] == "owner" and item["expires_at"]
    )
    assert endless.json()["expires_at"] == makers["expires_at"]


def test_what_a_token_made_ends_with_it(client: TestClient, anonymous: TestClient) -> None:
    maker = client.post("/api/v1/tokens", json={"name": "maker", "scope": "owner"}).json()
    child = minted(anonymous_with(anonymous, maker["token"]), "owner")
    grandchild = minted(anonymous_with(anonymous, child["Authorization"].removeprefix("Bearer ")), "read")

    client.delete(f"/api/v1/tokens/{maker['id']}")

    assert [anonymous.get("/api/v1/datasets", headers=headers).status_code for headers in (child, grandchild)] == [
        401,
        401,
    ]


def anonymous_with(client: TestClient, secret: str) -> TestClient:
    return TestClient(client.app, base_url=ORIGIN, headers={"Authorization": f"Bearer {secret}"})


def test_an_expired_maker_makes_nothing(client: TestClient, anonymous: TestClient, services: Services) -> None:
    headers = minted(client, "owner", expires_in_days=1)
    with services.database.write() as session:
        session.execute(
            update(TokenRow).where(TokenRow.expires_at.is_not(None)).values(expires_at=utc_now() - timedelta(1))
        )

    assert anonymous.post("/api/v1/tokens", json={"name": "x"}, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/api/v1/tokens", "read"),
        ("POST", "/api/v1/tokens", "owner"),
        ("DELETE", "/api/v1/tokens/1", "owner"),
        ("POST", "/api/v1/tokens-of-somebody", "write"),
        ("POST", "/checkpoints/1/try", "predict"),
        ("POST", "/api/v1/runs/1/images/2/covered", "predict"),
        ("POST", "/api/v1/datasets/1/labels/preview", "read"),
        ("PATCH", "/api/v1/datasets/1/labels", "write"),
        ("POST", "/versions/1/train/forecast", "read"),
        ("POST", "/versions/1/train", "write"),
        ("PROPFIND", "/api/v1/datasets", "write"),
    ],
)
def test_whatever_is_not_known_to_be_harmless_is_a_change(method: str, path: str, needed: str) -> None:
    assert scope_needed(method, path) == needed
