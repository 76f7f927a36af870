import pytest
from fastapi.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import Digest, new_id
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import unit_of_work
from backend.tables.datasets import ImageRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import RunRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode


def test_it_makes_a_dataset(client: TestClient) -> None:
    answer = client.post("/api/v1/datasets", json={"name": "  Pets "})

    assert answer.status_code == 201
    made = answer.json()
    assert {key: made[key] for key in ("name", "images", "bytes", "classes", "versions", "rejected")} == {
        "name": "Pets",
        "images": 0,
        "bytes": 0,
        "classes": 0,
        "versions": 0,
        "rejected": 0,
    }
    assert client.get(f"/api/v1/datasets/{made['id']}").json() == made


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "  "}, {"name": "x" * 201}, {"name": "a\x00b"}, {"x": 1}])
def test_it_refuses_a_name_that_is_none(client: TestClient, body: dict[str, object]) -> None:
    assert client.post("/api/v1/datasets", json=body).status_code == 422


def test_it_lists_datasets_page_by_page_the_newest_first(client: TestClient) -> None:
    for name in ("a", "b", "c"):
        client.post("/api/v1/datasets", json={"name": name})

    first = client.get("/api/v1/datasets?limit=2").json()
    second = client.get(f"/api/v1/datasets?limit=2&after={first['next']}").json()

    assert [one["name"] for one in first["items"]] == ["c", "b"]
    assert [one["name"] for one in second["items"]] == ["a"]
    assert second["next"] is None


def test_it_renames(ana: Ana) -> None:
    answer = ana.client.patch(f"/api/v1/datasets/{ana.dataset_id}", json={"name": "Cats"})

    assert answer.json()["name"] == "Cats"


@pytest.mark.parametrize("method", ["get", "delete"])
def test_it_knows_no_dataset_of_another_id(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/v1/datasets/nosuch")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "dataset-not-found"


def test_it_deletes_everything_of_a_dataset(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    with services.database.read() as session:
        digests = [Digest(row.digest) for row in session.query(ImageRow)]

    answer = ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}")

    assert answer.status_code == 204
    assert ana.client.get(f"/api/v1/versions/{version['id']}").status_code == 404
    assert not any(services.storage.has_blob(digest) for digest in digests)
    assert list((services.settings.storage_folder / "thumbnails").rglob("*.webp")) == []


def test_it_keeps_bytes_that_another_dataset_needs(ana: Ana, services: Services) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"a.png": picture})
    other = ana.another()
    other.bring({"b.png": picture})

    ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}")

    image = other.images()[0]
    assert other.client.get(image["url"]).content == picture


def test_it_refuses_to_delete_while_a_training_goes_on(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    with unit_of_work(services.database, services.doorbell) as unit:
        run_id = new_id()
        job_id = unit.enqueue(JobKind.TRAIN, run_id)
        unit.session.add(RunRow(id=run_id, name="stage 1", version_id=version["id"], job_id=job_id, config={}))

    answer = ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}")

    assert answer.status_code == 409
    assert answer.json()["error"]["details"] == {"users": ["stage 1"]}
    assert ana.client.get(f"/api/v1/datasets/{ana.dataset_id}").status_code == 200


def test_it_deletes_finished_trainings_too(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    with unit_of_work(services.database, services.doorbell) as unit:
        run_id = new_id()
        job_id = unit.enqueue(JobKind.TRAIN, run_id)
        unit.session.add(RunRow(id=run_id, name="stage 1", version_id=version["id"], job_id=job_id, config={}))
        unit.session.flush()
        unit.session.get_one(JobRow, job_id).state = "succeeded"

    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 204
    with services.database.read() as session:
        assert session.query(RunRow).count() == 0
        assert session.query(VersionRow).count() == 0


def test_it_lists_the_samples(client: TestClient) -> None:
    [digits] = client.get("/api/v1/samples").json()

    assert (digits["name"], digits["images"], digits["classes"], digits["at_hand_offline"]) == (
        "digits",
        1797,
        10,
        True,
    )


def test_nobody_gets_anything_without_a_key(ana: Ana, anonymous: TestClient) -> None:
    ana.bring({"a.png": encode(draw("circle", 1))})
    image = ana.images()[0]

    for address in (f"/api/v1/datasets/{ana.dataset_id}", image["url"], image["thumbnail_url"], "/api/v1/samples"):
        assert anonymous.get(address).status_code == 401
