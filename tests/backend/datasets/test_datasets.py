from contextlib import AbstractContextManager

import pytest
from fastapi.testclient import TestClient

from backend.datasets.deletion import bin as bin_of_datasets
from backend.datasets.deletion import remove
from backend.datasets.repository import DatasetRepository
from backend.dependencies import Services
from backend.domain.ids import Digest, new_id
from backend.domain.json import Json
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import UnitOfWork, unit_of_work
from backend.tables.datasets import ImageRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import LearningRateFindRow, RunRow
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
    emptied = ana.client.delete("/api/v1/bin")

    assert (answer.status_code, emptied.status_code, emptied.json()) == (204, 202, {"entries": 1})
    assert ana.client.get(f"/api/v1/versions/{version['id']}").status_code == 404
    assert not any(services.storage.has_blob(digest) for digest in digests)
    assert list((services.settings.storage_folder / "thumbnails").rglob("*-3")) == []


def test_it_keeps_bytes_that_another_dataset_needs(ana: Ana, services: Services) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"a.png": picture})
    other = ana.another()
    other.bring({"b.png": picture})

    ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}")
    ana.client.delete("/api/v1/bin")

    image = other.images()[0]
    assert other.client.get(image["url"]).content == picture


def test_it_refuses_to_delete_while_a_training_continues(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    with unit_of_work(services.database, services.notifier) as unit:
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
    with unit_of_work(services.database, services.notifier) as unit:
        run_id = new_id()
        job_id = unit.enqueue(JobKind.TRAIN, run_id)
        unit.session.add(RunRow(id=run_id, name="stage 1", version_id=version["id"], job_id=job_id, config={}))
        unit.session.flush()
        unit.session.get_one(JobRow, job_id).state = "succeeded"

    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 204
    ana.client.delete("/api/v1/bin")
    with services.database.read() as session:
        assert session.query(RunRow).count() == 0
        assert session.query(VersionRow).count() == 0


def test_it_deletes_searches_for_a_rate_too(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    with unit_of_work(services.database, services.notifier) as unit:
        find_id = new_id()
        job_id = unit.enqueue(JobKind.TRAIN, find_id)
        unit.session.add(LearningRateFindRow(id=find_id, version_id=version["id"], job_id=job_id, config={}))

    refused = ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}")
    with services.database.write() as session:
        session.get_one(JobRow, job_id).state = "cancelled"

    assert (refused.status_code, refused.json()["error"]["details"]) == (409, {"users": ["learning-rate finder"]})
    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 204
    assert ana.client.delete("/api/v1/bin").status_code == 202
    with services.database.read() as session:
        assert session.query(LearningRateFindRow).count() == 0


class _Died(Exception):
    pass


def test_a_deletion_that_was_interrupted_is_hidden_and_finished_later(
    ana: Ana, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    monkeypatch.setattr(remove, "_AT_ONCE", 5)
    units = iter(range(100))

    def dying() -> AbstractContextManager[UnitOfWork]:
        if next(units) == 5:
            raise _Died
        return services.open_unit()()

    bin_of_datasets.bin_dataset(services.open_unit(), ana.dataset_id)
    bin_of_datasets.mark_for_good(services.open_unit())
    with pytest.raises(_Died):
        bin_of_datasets.delete_expired(dying, services.storage)
    hidden = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}").status_code
    listed = ana.client.get("/api/v1/datasets").json()["items"]
    with services.database.read() as session:
        left = session.query(ImageRow).count()
    finished = [remove.finish_deletions(services.open_unit(), services.storage) for _ in range(2)]

    assert (hidden, listed, 0 < left < 12, finished) == (404, [], True, [1, 0])
    assert ana.client.get(f"/api/v1/versions/{version['id']}").status_code == 404
    assert [file for file in (services.settings.storage_folder / "blobs").rglob("*") if file.is_file()] == []


def test_others_can_write_between_the_batches_of_a_deletion(
    ana: Ana, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.bring_shapes(4)
    monkeypatch.setattr(remove, "_AT_ONCE", 1)
    written = 0

    def with_a_writer_before() -> AbstractContextManager[UnitOfWork]:
        nonlocal written
        with services.database.write() as session:
            DatasetRepository(session).add("Other")
        written += 1
        return services.open_unit()()

    bin_of_datasets.bin_dataset(services.open_unit(), ana.dataset_id)
    bin_of_datasets.mark_for_good(services.open_unit())
    bin_of_datasets.delete_expired(with_a_writer_before, services.storage)

    assert written >= 12


# Pictures


def test_a_picture_that_no_version_has_is_deleted_and_with_the_bin_its_bytes(ana: Ana, services: Services) -> None:
    ana.bring_shapes(1)
    image, *others = ana.images()
    with services.database.read() as session:
        digest = Digest(session.get_one(ImageRow, image["id"]).digest)

    answers = [_delete_images(ana, image["id"]) for _ in range(2)]
    is_kept = services.storage.has_blob(digest)
    ana.client.delete("/api/v1/bin")

    assert answers == [_deleted(1), _deleted(0, skipped=1)]
    assert is_kept
    assert ana.images() == others
    assert ana.dataset()["images"] == 2
    assert ana.dataset()["bytes"] == sum(other["bytes"] for other in others)
    assert not services.storage.has_blob(digest)


def test_a_picture_that_a_version_has_leaves_the_dataset_and_stays_in_the_version(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    image = ana.images("class=circle")[0]

    assert _delete_images(ana, image["id"]) == _deleted(1, kept=1)
    ana.client.delete("/api/v1/bin")

    assert len(ana.images()) == 11
    assert len(ana.images(f"version={version['id']}")) == 12
    assert ana.client.get(f"/api/v1/versions/{version['id']}").json()["counts"] == version["counts"]
    assert ana.client.get(image["url"]).status_code == 200
    counts = {found["name"]: found["images"] for found in ana.preview({"kind": "folder"})["classes"]}
    assert counts == {"circle": 3, "cross": 4, "square": 4}


def test_a_deleted_picture_that_comes_again_is_new(ana: Ana) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"old/1.png": picture, "other/2.png": encode(draw("square", 1))})
    ana.bring({"old/3.png": encode(draw("circle", 3)), "other/4.png": encode(draw("square", 4))})
    ana.freeze({"kind": "folder"})
    _delete_images(ana, next(image["id"] for image in ana.images() if image["path"] == "old/1.png"))

    answer = ana.bring({"new/1.png": picture})

    assert (answer["added"], answer["already_there"]) == (1, 0)
    assert sorted(image["path"] for image in ana.images()) == ["new/1.png", "old/3.png", "other/2.png", "other/4.png"]


def test_pictures_of_other_datasets_are_not_deleted(ana: Ana) -> None:
    ana.bring_shapes(1)
    other = ana.another()

    assert _delete_images(other, ana.images()[0]["id"]) == _deleted(0, skipped=1)
    assert ana.dataset()["images"] == 3


def _deleted(deleted: int, *, kept: int = 0, skipped: int = 0) -> Json:
    return {"deleted": deleted, "kept_in_versions": kept, "skipped": skipped}


def _delete_images(ana: Ana, *ids: str) -> Json:
    """Counts of a deletion; whether it has an entry in the bin follows from them."""
    answer = ana.client.request("DELETE", f"/api/v1/datasets/{ana.dataset_id}/images", json={"ids": list(ids)})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    assert (found.pop("bin_id") is None) == (found["deleted"] == 0)
    return found


def test_it_lists_the_samples(client: TestClient) -> None:
    answer = client.get("/api/v1/samples").json()
    digits = answer["items"][0]

    assert (digits["name"], digits["images"], digits["classes"], digits["at_hand_offline"]) == (
        "digits",
        1797,
        10,
        True,
    )
    assert answer["next"] is None


def test_nobody_gets_anything_without_a_key(ana: Ana, anonymous: TestClient) -> None:
    ana.bring({"a.png": encode(draw("circle", 1))})
    image = ana.images()[0]

    for address in (f"/api/v1/datasets/{ana.dataset_id}", image["url"], image["thumbnail_url"], "/api/v1/samples"):
        assert anonymous.get(address).status_code == 401
