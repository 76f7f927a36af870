"""Errors in their one shape."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from psycopg.errors import DiskFull
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.errors import AppError, Conflict, InvalidInput, LimitExceeded, NoRoom, NotFound, Unavailable
from backend.settings import Settings
from tests.conftest import OWNER_TOKEN, settings_in
from tests.fixtures.full_disk import fill_up


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return settings_in(tmp_path, sqlite_url)


@pytest.fixture
def failing(app: FastAPI) -> Iterator[TestClient]:
    """Ana's program, and a route for each family of errors."""
    errors: dict[str, Exception] = {
        "not-found": NotFound("It isn't there."),
        "conflict": Conflict("Not now."),
        "limit": LimitExceeded("Too much."),
        "invalid": InvalidInput("Not like this.", advice="Like that.", details={"line": 3}),
        "unavailable": Unavailable("Away."),
        "no-room": NoRoom(12_000_000),
        "unknown": AppError("Odd."),
        "database": OperationalError("SELECT secret", {}, Exception("password=secret")),
        "database-full": OperationalError("INSERT", {}, DiskFull("could not extend file")),
        "disk-full": OSError(errno.ENOSPC, "No space left on device"),
        "quota-used-up": OSError(errno.EDQUOT, "Disk quota exceeded"),
        "file-lost": OSError(errno.EIO, "Input/output error"),
        "half-a-character": UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    }

    def fail(kind: str) -> None:
        raise errors[kind]

    app.get("/api/v1/fail/{kind}")(fail)
    app.get("/fail/{kind}")(fail)
    app.get("/api/v1/number")(lambda number: number)
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    with TestClient(app, base_url="http://127.0.0.1:8000", headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("not-found", 404),
        ("conflict", 409),
        ("limit", 413),
        ("invalid", 422),
        ("unavailable", 503),
        ("no-room", 507),
        ("unknown", 500),
        ("database", 503),
        ("database-full", 507),
        ("disk-full", 507),
        ("quota-used-up", 507),
        ("file-lost", 500),
        ("half-a-character", 422),
    ],
)
def test_each_family_has_its_status(failing: TestClient, kind: str, status: int) -> None:
    assert failing.get(f"/api/v1/fail/{kind}").status_code == status


def test_an_error_has_code_message_advice_and_details(failing: TestClient) -> None:
    assert failing.get("/api/v1/fail/invalid").json() == {
        "error": {
            "code": "invalid-input",
            "message": "Not like this.",
            "advice": "Like that.",
            "details": {"line": 3},
        }
    }


def test_who_should_come_back_is_asked_when(failing: TestClient) -> None:
    assert failing.get("/api/v1/fail/unavailable").headers["retry-after"] == "5"
    assert failing.get("/api/v1/fail/database").headers["retry-after"] == "5"


def test_nothing_of_the_database_is_shown(failing: TestClient) -> None:
    assert "secret" not in failing.get("/api/v1/fail/database").text


def test_g14_a_full_disk_is_said_so_and_what_is_there_can_be_read_and_it_is_over_once_there_is_room(
    client: TestClient, services: Services, tmp_path: Path
) -> None:
    flag = tmp_path / "full"
    fill_up(services.database, flag)
    flag.touch()

    refused = client.post("/api/v1/datasets", json={"name": "Shapes"})
    read = client.get("/api/v1/datasets")
    flag.unlink()
    taken = client.post("/api/v1/datasets", json={"name": "Shapes"})

    assert (refused.status_code, read.status_code, taken.status_code) == (507, 200, 201)
    assert refused.json()["error"] == {
        "code": "disk-full",
        "message": "The server's disk is full, so nothing was stored. What was there before is unchanged.",
        "advice": "Free some space, then try again.",
        "details": {},
    }


def test_a_postgresql_without_room_shows_the_same(failing: TestClient) -> None:
    assert failing.get("/api/v1/fail/database-full").json()["error"]["code"] == "disk-full"


def test_a_person_gets_a_page(failing: TestClient) -> None:
    answer = failing.get("/fail/invalid", headers={"Accept": "text/html"})

    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "Not like this." in answer.text


def test_what_fastapi_refuses_has_the_same_shape(failing: TestClient) -> None:
    missing = failing.get("/api/v1/number")
    wrong_method = failing.delete("/api/v1/number")

    assert (missing.status_code, missing.json()["error"]["code"]) == (422, "invalid-input")
    assert missing.json()["error"]["details"]["problems"][0]["field"] == "number"
    assert (wrong_method.status_code, wrong_method.json()["error"]["code"]) == (405, "method-not-allowed")


def test_a_field_that_may_be_several_things_is_named_once_with_all_of_them(client: TestClient) -> None:
    body = {"version_id": "v", "config": {"stages": [{"max_lr": "seek"}]}}

    error = client.post("/api/v1/runs", json=body).json()["error"]

    sentence = (
        "“config.stages.0.max_lr” must be a number above 0 and up to 10, "
        "or a list of 2 values, each a number above 0 and up to 10, or “find”."
    )
    assert error["message"] == sentence
    assert error["details"]["problems"] == [{"field": "config.stages.0.max_lr", "problem": sentence}]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "“version_id” is missing: it must be text of at most 64 characters."),
        ({"version_id": "v", "config": {"batch_size": 0}},
         "“config.batch_size” must be a whole number from 2 to 1,024."),
        ({"version_id": "v", "config": {"stages": [{"epochs": 0}]}},
         "“config.stages.0.epochs” must be a whole number from 1 to 1,000."),
        ({"version_id": "v", "config": {"epochs": 4}}, "“config.epochs” isn't a setting that is known here."),
        ({"version_id": "v", "config": {"recipe": "magic"}},
         "“config.recipe” must be one of “lesson-1”, “fine-tune”, “recommended”, “custom”."),
        ({"version_id": "v", "config": {"augmentation": {"min_zoom": 3}}},
         "The smallest zoom must not be larger than the largest."),
        ({"version_id": 5, "name": ""},
         "“version_id” must be text of at most 64 characters. “name” must be text of 1 to 200 characters."),
    ],
)  # fmt: skip
def test_each_field_has_its_own_sentence_with_what_it_accepts(
    client: TestClient, body: dict[str, object], sentence: str
) -> None:
    assert client.post("/api/v1/runs", json=body).json()["error"]["message"] == sentence


def test_a_parameter_of_an_address_shows_what_it_accepts(client: TestClient) -> None:
    answer = client.get("/api/v1/runs?limit=0")

    assert answer.json()["error"]["message"] == "“limit” must be a whole number from 1 to 1,000."


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b"", b"\xff\xfe", b'{"name": "\\u0000"}'])
def test_broken_json_is_asked_so(client: TestClient, services: Services, body: bytes) -> None:
    answer = client.post("/api/v1/tokens", content=body, headers={"Content-Type": "application/json"})

    if answer.status_code != 201:  # SQLite keeps a NUL, PostgreSQL doesn't
        assert answer.status_code in (400, 422)
        assert set(answer.json()["error"]) == {"code", "message", "advice", "details"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/datasets", "GET, POST"),
        ("/api/v1/datasets/0", "DELETE, GET, PATCH"),
        ("/api/v1/tokens/0", "DELETE"),
        ("/api/v1/runs", "GET, POST"),
        ("/sign-in", "GET, POST"),
    ],
)
def test_a_wrong_method_is_answered_with_all_that_are_right(client: TestClient, path: str, allowed: str) -> None:
    answer = client.put(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["error"]["code"] == "method-not-allowed"


def test_a_choice_in_an_address_is_named_as_in_the_address_with_all_that_there_is(client: TestClient) -> None:
    answer = client.get("/api/v1/checkpoints/any/export?format=pdf")

    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == (
        "“format” must be one of “onnx”, “safetensors”, “torchscript”, “notebook”, “report”, “model-card”, “hub”."
    )
