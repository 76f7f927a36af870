"""Sizes of bodies: small where little is needed, and nothing that a few bytes could blow up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from backend.bodies import body_limit
from backend.settings import Settings
from tests.conftest import OWNER_TOKEN, settings_in

MEGABYTE: Final = 1024 * 1024
PREVIEW: Final = "/api/v1/datasets/0/labels/preview"
JSON: Final = {"Content-Type": "application/json"}


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """One kind of database is enough: nothing here depends on it."""
    return settings_in(tmp_path, sqlite_url)


@pytest.fixture
def echoes(app: FastAPI) -> Iterator[TestClient]:
    """Ana's program, and routes that answer with the size of what they got."""

    async def echo(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    for path in ("/api/v1/echo", "/api/v1/echo/images", "/api/v1/echo/labels/preview"):
        app.add_route(path, echo, methods=["POST"])
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    with TestClient(app, base_url="http://127.0.0.1:8000", headers=headers, raise_server_exceptions=False) as client:
        yield client


def _refusal(client: TestClient, body: bytes, path: str = "/api/v1/echo") -> tuple[int, str, str]:
    answer = client.post(path, content=body, headers=JSON)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_an_order_beyond_256_kilobytes_is_refused(echoes: TestClient) -> None:
    assert _refusal(echoes, b"x" * (256 * 1024 + 1)) == (
        413,
        "too-large",
        "This request is larger than the 256 kB that this address accepts.",
    )


def test_exactly_256_kilobytes_are_fine(echoes: TestClient) -> None:
    assert echoes.post("/api/v1/echo", content=b"x" * (256 * 1024)).text == "262144"


@pytest.mark.parametrize("headers", [{}, JSON, {"Idempotency-Key": "1", **JSON}])
def test_a_body_that_does_not_say_its_size_is_cut_off(echoes: TestClient, headers: dict[str, str]) -> None:
    answer = echoes.post("/api/v1/echo", content=iter([b"x" * MEGABYTE] * 3), headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")


def test_labels_of_a_hundred_thousand_pictures_are_taken(echoes: TestClient) -> None:
    names = ",".join(f'"photos/summer [{n % 3}]/image-{n:06}.jpg":"tabby cat"' for n in range(100_000))
    body = f'{{"rule":{{"kind":"list","labels":{{{names}}}}}}}'.encode()

    assert echoes.post("/api/v1/echo/labels/preview", content=body, headers=JSON).text == str(len(body))


def test_a_longer_list_of_labels_belongs_into_a_table(echoes: TestClient) -> None:
    answer = echoes.post("/api/v1/echo/labels/preview", content=b"x" * (8 * MEGABYTE + 1), headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["error"]["advice"] == "Upload the labels as a CSV table with the pictures, and use it."


@pytest.mark.parametrize("part", ["[]", "{}", '{"a":1}', "[[]]"])
def test_millions_of_lists_are_refused_before_anything_is_made_of_them(echoes: TestClient, part: str) -> None:
    body = ('{"rule":{"kind":"list","labels":[' + ",".join([part] * 500_000) + "]}}").encode()

    assert _refusal(echoes, body, PREVIEW) == (
        413,
        "too-many-parts",
        "This JSON has more than 1000 lists and objects in it, which no request here needs.",
    )


def test_millions_of_labels_that_are_no_texts_give_one_problem(client: TestClient) -> None:
    body = ('{"rule":{"kind":"list","labels":[' + ",".join(["1"] * 3_000_000) + "]}}").encode()

    answer = client.post(PREVIEW, content=body, headers=JSON)

    assert answer.status_code == 422
    assert len(answer.json()["error"]["details"]["problems"]) == 1


def test_many_problems_are_not_all_told(client: TestClient) -> None:
    answer = client.post("/api/v1/datasets", json={f"field{number}": 1 for number in range(1000)})

    assert answer.status_code == 422
    assert len(answer.json()["error"]["details"]["problems"]) == 20


def test_uploads_watch_their_own_size(echoes: TestClient) -> None:
    assert echoes.post("/api/v1/echo/images", content=b"x" * (3 * MEGABYTE)).status_code == 200


@pytest.mark.parametrize("announced", ["-1", "abc", "1e9", "٣", "99999999999999999999999"])
def test_a_strange_size_is_refused(echoes: TestClient, announced: str) -> None:
    answer = echoes.post("/api/v1/echo", content=b"", headers={b"Content-Length": announced.encode()})

    assert answer.status_code == 413


def test_the_sign_in_page_takes_no_files() -> None:
    headers = [(b"content-type", b"multipart/form-data; boundary=x")]

    assert body_limit({"type": "http", "path": "/sign-in", "headers": headers}) == 256 * 1024
    assert body_limit({"type": "http", "path": "/datasets/1/pictures", "headers": headers}) is None
