"""Tokens by REST."""

import pytest
from starlette.testclient import TestClient


def test_a_new_token_is_shown_once(client: TestClient) -> None:
    made = client.post("/api/v1/tokens", json={"name": " scanner ", "expires_in_days": 30})

    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["is_owner"], len(body["token"])) == ("scanner", False, 43)
    assert body["expires_at"] > body["created_at"]
    listed = client.get("/api/v1/tokens").json()["items"]
    assert [item["name"] for item in listed] == ["owner", "scanner"]
    assert all("token" not in item for item in listed)


def test_it_lets_a_program_in(client: TestClient, anonymous: TestClient) -> None:
    secret = client.post("/api/v1/tokens", json={"name": "scanner"}).json()["token"]

    assert anonymous.get("/api/v1/tokens", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_it_can_be_taken_away(client: TestClient, anonymous: TestClient) -> None:
    made = client.post("/api/v1/tokens", json={"name": "scanner"}).json()

    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204

    answer = anonymous.get("/api/v1/tokens", headers={"Authorization": f"Bearer {made['token']}"})
    assert answer.status_code == 401
    assert client.delete(f"/api/v1/tokens/{made['id']}").json()["error"]["code"] == "token-not-found"


def test_the_owners_stays(client: TestClient) -> None:
    owner = client.get("/api/v1/tokens").json()["items"][0]

    answer = client.delete(f"/api/v1/tokens/{owner['id']}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "owner-token-stays")


def test_the_list_comes_in_pages(client: TestClient) -> None:
    for name in ("a", "b", "c"):
        client.post("/api/v1/tokens", json={"name": name})

    first = client.get("/api/v1/tokens?limit=3").json()
    rest = client.get("/api/v1/tokens", params={"limit": 3, "after": first["next"]}).json()

    assert [item["name"] for item in first["items"]] == ["owner", "a", "b"]
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["c"], None)


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 201},
        {"name": "x", "expires_in_days": 0},
        {"name": 7},
        {"name": "a\x00b"},
    ],
)
def test_an_unusable_order_is_asked_so(client: TestClient, order: dict[str, object]) -> None:
    answer = client.post("/api/v1/tokens", json=order)

    assert answer.status_code == 422
    assert client.get("/api/v1/tokens").json()["next"] is None
