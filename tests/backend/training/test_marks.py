"""A star and a note on a run, by REST and on the list."""

import pytest
from fastapi.testclient import TestClient

from backend.db.session import Database
from tests.backend.training.scene import Scene

PAGE = {"Accept": "text/html"}


@pytest.fixture
def run_id(database: Database) -> str:
    """A queued run."""
    return Scene(database).run()


def test_a_new_run_has_neither_star_nor_note(client: TestClient, run_id: str) -> None:
    run = client.get(f"/api/v1/runs/{run_id}").json()

    assert (run["starred"], run["note"]) == (False, "")


def test_what_is_left_out_stays_as_it_is(client: TestClient, run_id: str) -> None:
    client.patch(f"/api/v1/runs/{run_id}", json={"starred": True})

    run = client.patch(f"/api/v1/runs/{run_id}", json={"note": "  the one in the shop "}).json()

    assert (run["starred"], run["note"]) == (True, "the one in the shop")
    assert client.patch(f"/api/v1/runs/{run_id}", json={}).json()["note"] == "the one in the shop"
    assert client.patch(f"/api/v1/runs/{run_id}", json={"note": ""}).json()["note"] == ""


@pytest.mark.parametrize("body", [{"note": "x" * 1001}, {"starred": "perhaps"}, {"status": "succeeded"}])
def test_what_is_no_mark_is_refused(client: TestClient, run_id: str, body: dict[str, str]) -> None:
    assert client.patch(f"/api/v1/runs/{run_id}", json=body).status_code == 422


def test_an_unknown_run_cannot_be_marked(client: TestClient) -> None:
    answer = client.patch("/api/v1/runs/nothing", json={"starred": True})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run-not-found")


def test_the_list_stars_a_run_and_keeps_its_filter(client: TestClient, run_id: str) -> None:
    answer = client.post(
        f"/runs/{run_id}/star?order=time", data={"starred": "true"}, headers=PAGE, follow_redirects=False
    )

    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs?order=time#run-{run_id}")
    assert client.get(f"/api/v1/runs/{run_id}").json()["starred"] is True
    assert 'aria-pressed="true"' in client.get("/runs", headers=PAGE).text


def test_the_list_writes_a_note_and_clears_it(client: TestClient, run_id: str) -> None:
    written = client.post(f"/runs/{run_id}/note", data={"note": "ten <b>epochs</b>"}, headers=PAGE).text
    cleared = client.post(f"/runs/{run_id}/note", data={"note": ""}, headers=PAGE)

    assert 'value="ten &lt;b&gt;epochs&lt;/b&gt;"' in written
    assert cleared.status_code == 200
    assert client.get(f"/api/v1/runs/{run_id}").json()["note"] == ""
