"""Lists of the API are read page by page, all in the same way."""

import pytest
from fastapi.testclient import TestClient

from backend.db.session import Database
from tests.backend.training.scene import Scene

LISTS = [
    "/api/v1/datasets",
    "/api/v1/datasets/{dataset}/images",
    "/api/v1/datasets/{dataset}/rejections",
    "/api/v1/datasets/{dataset}/versions",
    "/api/v1/runs",
    "/api/v1/runs/{run}/epochs",
    "/api/v1/lr-finds",
    "/api/v1/tokens",
]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["nonsense", "0", "", "00000000-0000-0000-0000-000000000000"])
def test_a_cursor_that_no_list_has_given_is_refused(
    client: TestClient, database: Database, path: str, cursor: str
) -> None:
    scene = Scene(database)
    run_id = scene.run()
    dataset_id = scene.view(run_id).dataset_id

    answer = client.get(path.format(dataset=dataset_id, run=run_id), params={"after": cursor})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "cursor-unknown"
    assert answer.json()["error"]["details"] == {"after": cursor}


def test_a_list_of_runs_is_read_page_by_page(client: TestClient, database: Database) -> None:
    scene = Scene(database)
    version_id = scene.version()
    first, second, third = (scene.run(version_id) for _ in range(3))

    page = client.get("/api/v1/runs", params={"limit": 2}).json()
    rest = client.get("/api/v1/runs", params={"limit": 2, "after": page["next"]}).json()

    assert [run["id"] for run in page["items"]] == [third, second]
    assert [run["id"] for run in rest["items"]] == [first]
    assert rest["next"] is None
