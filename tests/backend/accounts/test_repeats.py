"""A request that is sent again makes nothing twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from threading import Event
from zipfile import ZipFile

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.testclient import TestClient

from backend.accounts.repeats import InProgress, KeyReused, Proceed, Replay, forget, keep, stand, touch
from backend.db.base import utc_now
from backend.db.session import Database
from backend.dependencies import Services
from backend.tables.accounts import KeptAnswerRow
from tests.conftest import OWNER_TOKEN

KEY = "a" * 64
REQUEST = "b" * 64


def names(client: TestClient) -> list[str]:
    return [item["name"] for item in client.get("/api/v1/datasets").json()["items"]]


def test_the_same_key_gets_the_same_answer(client: TestClient) -> None:
    first = client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "1"})
    second = client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "1"})

    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["idempotency-replayed"] == "true"
    assert names(client) == ["x"]


def test_without_a_key_each_request_counts(client: TestClient) -> None:
    for _ in range(2):
        client.post("/api/v1/datasets", json={"name": "x"})

    assert names(client) == ["x", "x"]


def test_another_key_makes_another_thing(client: TestClient) -> None:
    for key in ("1", "2"):
        client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": key})

    assert names(client) == ["x", "x"]


def test_the_same_key_with_another_body_is_refused(client: TestClient) -> None:
    client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "1"})

    answer = client.post("/api/v1/datasets", json={"name": "y"}, headers={"Idempotency-Key": "1"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency-key-reused")
    assert names(client) == ["x"]


def test_callers_do_not_get_each_others_answers(client: TestClient, anonymous: TestClient) -> None:
    other = client.post("/api/v1/tokens", json={"name": "x"}).json()["token"]
    client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "1"})

    headers = {"Idempotency-Key": "1", "Authorization": f"Bearer {other}"}
    answer = anonymous.post("/api/v1/datasets", json={"name": "x"}, headers=headers)

    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


def test_a_tokens_secret_is_not_kept_and_none_is_made_twice(client: TestClient, services: Services) -> None:
    first = client.post("/api/v1/tokens", json={"name": "x"}, headers={"Idempotency-Key": "1"})
    second = client.post("/api/v1/tokens", json={"name": "x"}, headers={"Idempotency-Key": "1"})

    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["error"]["code"] == "token-made-before"
    assert [item["name"] for item in client.get("/api/v1/tokens").json()["items"]] == ["owner", "x"]
    with services.database.read() as session:
        (kept,) = session.query(KeptAnswerRow)
    assert first.json()["token"].encode() not in (kept.body or b"")


def test_a_refusal_is_not_kept(client: TestClient) -> None:
    assert client.post("/api/v1/datasets", json={"name": ""}, headers={"Idempotency-Key": "1"}).status_code == 422

    assert client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": "1"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_unusable_key_is_asked_so(client: TestClient, key: str) -> None:
    answer = client.post("/api/v1/datasets", json={"name": "x"}, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency-key-unusable")


def test_after_a_bug_the_key_is_free_again(app: FastAPI, client: TestClient) -> None:
    tries = []

    def fails_once() -> dict[str, int]:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError
        return {"tries": len(tries)}

    app.post("/api/v1/fails-once")(fails_once)

    assert client.post("/api/v1/fails-once", headers={"Idempotency-Key": "1"}).status_code == 500
    assert client.post("/api/v1/fails-once", headers={"Idempotency-Key": "1"}).json() == {"tries": 2}


def test_a_twin_at_the_same_time_is_asked_to_wait(app: FastAPI, client: TestClient) -> None:
    is_inside, may_end = Event(), Event()

    def slow() -> dict[str, str]:
        is_inside.set()
        may_end.wait(10)
        return {"answer": "one"}

    app.post("/api/v1/slow")(slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/api/v1/slow", headers={"Idempotency-Key": "1"})
        assert is_inside.wait(10)
        twin = TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {OWNER_TOKEN}"})
        second = twin.post("/api/v1/slow", headers={"Idempotency-Key": "1"})
        may_end.set()

        assert (second.status_code, second.headers["retry-after"]) == (409, "1")
        assert first.result().json() == {"answer": "one"}
    assert client.post("/api/v1/slow", headers={"Idempotency-Key": "1"}).json() == {"answer": "one"}


def test_an_archive_that_is_sent_again_is_imported_once(client: TestClient) -> None:
    dataset = client.post("/api/v1/datasets", json={"name": "Pets"}).json()["id"]
    archive = BytesIO()
    with ZipFile(archive, "w") as opened:
        opened.writestr("cat/1.png", b"not a picture")
    headers = {"Idempotency-Key": "1", "Content-Type": "application/zip"}

    first, second = (
        client.post(f"/api/v1/datasets/{dataset}/archive", content=archive.getvalue(), headers=headers)
        for _ in range(2)
    )

    assert (first.status_code, second.status_code, second.json()["id"]) == (202, 202, first.json()["id"])
    assert second.headers["idempotency-replayed"] == "true"


class TestStanding:
    def test_of_many_at_once_one_may_proceed(self, database: Database) -> None:
        with ThreadPoolExecutor(6) as pool:
            standings = list(pool.map(lambda _: stand(database, KEY, REQUEST), range(6)))

        assert standings.count(Proceed()) == 1
        assert standings.count(InProgress()) == 5

    def test_an_answer_is_kept_for_a_day(self, database: Database) -> None:
        stand(database, KEY, REQUEST)
        keep(database, KEY, Replay(201, "application/json", b"{}"))
        assert stand(database, KEY, REQUEST) == Replay(201, "application/json", b"{}")
        assert stand(database, KEY, "c" * 64) == KeyReused()

        _make_older(database, timedelta(days=1, seconds=1))

        assert stand(database, KEY, REQUEST) == Proceed()

    def test_a_request_that_died_with_its_server_can_be_tried_again(self, database: Database) -> None:
        stand(database, KEY, REQUEST)
        _make_older(database, timedelta(seconds=61))

        assert stand(database, KEY, REQUEST) == Proceed()

    def test_a_long_upload_is_not_taken_for_dead(self, database: Database) -> None:
        stand(database, KEY, REQUEST)
        _make_older(database, timedelta(seconds=61))
        touch(database, KEY)

        assert stand(database, KEY, REQUEST) == InProgress()

    def test_one_that_made_nothing_can_be_tried_again(self, database: Database) -> None:
        stand(database, KEY, REQUEST)
        forget(database, KEY)

        assert stand(database, KEY, REQUEST) == Proceed()

    def test_old_answers_are_thrown_away(self, services: Services) -> None:
        stand(services.database, KEY, REQUEST)
        _make_older(services.database, timedelta(days=2))

        stand(services.database, "d" * 64, REQUEST)

        with services.database.read() as session:
            assert session.query(KeptAnswerRow).count() == 1


def _make_older(database: Database, age: timedelta) -> None:
    with database.write() as session:
        session.execute(update(KeptAnswerRow).values(created_at=utc_now() - age))
