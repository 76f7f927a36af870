"""The bin: what is deleted comes back as it was, until its time is over."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from backend.datasets.deletion.bin import delete_expired
from backend.dependencies import Services
from backend.domain.ids import Digest, new_id
from backend.domain.json import Json
from backend.tables.datasets import BinRow, DatasetRow, ImagePathRow, ImageRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

PAGE = {"Accept": "text/html"}


def deleted(ana: Ana, **body: Json) -> Json:
    answer = ana.client.request("DELETE", f"/api/v1/datasets/{ana.dataset_id}/images", json=body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def restored(ana: Ana, bin_id: str) -> Json:
    answer = ana.client.post(f"/api/v1/bin/{bin_id}/restore")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def entries(ana: Ana) -> list[Json]:
    found: list[Json] = ana.client.get("/api/v1/bin").json()["items"]
    return found


def state(services: Services) -> tuple[list[tuple[object, ...]], ...]:
    """Datasets, present images and their names, as rules and lists read them."""
    with services.database.read() as session:
        return (
            sorted(tuple(row) for row in session.execute(select(DatasetRow.id, DatasetRow.images, DatasetRow.bytes))),
            sorted(
                tuple(row)
                for row in session.execute(select(ImageRow.id, ImageRow.path, ImageRow.is_deleted, ImageRow.bin_id))
            ),
            sorted(tuple(row) for row in session.execute(select(ImagePathRow.image_id, ImagePathRow.path))),
        )


def test_deleted_pictures_come_back_as_they_were_with_all_their_names(ana: Ana, services: Services) -> None:
    twice = encode(draw("circle", 99))
    ana.bring_shapes(2)
    ana.bring({"b/twice.png": twice, "a/twice.png": twice})
    before = state(services)
    ids = [image["id"] for image in ana.images() if image["path"] != "shapes/square/1.png"]

    answer = deleted(ana, ids=ids)
    left = [image["path"] for image in ana.images()]
    back = restored(ana, answer["bin_id"])

    assert (answer["deleted"], answer["skipped"], left) == (6, 0, ["shapes/square/1.png"])
    assert (back["kind"], back["images"]) == ("pictures", 6)
    assert state(services) == before
    assert entries(ana) == []


def test_all_that_a_filter_shows_is_one_entry_without_what_was_taken_out(ana: Ana) -> None:
    ana.bring_shapes(4)
    ana.freeze({"kind": "folder"})
    circles = [image["id"] for image in ana.images("class=circle")]

    answer = deleted(ana, filter="class=circle", **{"except": circles[:1]})
    [entry] = entries(ana)

    assert (answer["deleted"], answer["kept_in_versions"]) == (3, 3)
    assert (entry["id"], entry["kind"], entry["images"], entry["frees_bytes"]) == (answer["bin_id"], "pictures", 3, 0)
    assert [image["id"] for image in ana.images("class=circle")] == circles[:1]


def test_what_a_version_still_has_is_skipped_and_counted(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    deleted(ana, ids=[ana.images("class=cross")[0]["id"]])

    answer = deleted(ana, filter=f"version={version['id']}&class=cross")

    assert (answer["deleted"], answer["skipped"]) == (3, 1)


def test_a_selection_that_is_both_or_neither_is_refused(ana: Ana) -> None:
    path = f"/api/v1/datasets/{ana.dataset_id}/images"

    for body in ({}, {"ids": ["a"], "filter": ""}):
        answer = ana.client.request("DELETE", path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "selection-unclear")


@pytest.mark.parametrize("filter", ["clas=cat", "class", "split=tran", "order=x", "side=1"])
def test_a_misspelt_filter_deletes_nothing(ana: Ana, filter: str) -> None:
    ana.bring_shapes(1)

    path = f"/api/v1/datasets/{ana.dataset_id}/images"
    answer = ana.client.request("DELETE", path, json={"filter": filter})

    assert answer.status_code == 422
    assert len(ana.images()) == 3


def test_a_dataset_in_the_bin_is_nowhere_to_be_seen_and_comes_back_whole(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    run_id = new_id()
    order = {"version_id": version["id"], "config": {"recipe": "recommended"}}
    run_id = ana.client.post("/api/v1/runs", json=order).json()["id"]
    ana.client.post(f"/api/v1/runs/{run_id}/cancel")
    image = ana.images()[0]
    before, addresses = (
        state(services),
        (
            f"/api/v1/datasets/{ana.dataset_id}",
            f"/api/v1/datasets/{ana.dataset_id}/images/{image['id']}",
            f"/api/v1/versions/{version['id']}",
            f"/api/v1/runs/{run_id}",
            f"/api/v1/runs/{run_id}/epochs",
            image["url"],
            image["thumbnail_url"],
        ),
    )

    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 204
    hidden = {ana.client.get(address).status_code for address in addresses}
    lists = [ana.client.get(f"/api/v1/{kind}").json()["items"] for kind in ("datasets", "runs")]
    [entry] = entries(ana)
    again = ana.client.post("/api/v1/runs", json=order).status_code
    restored(ana, entry["id"])

    assert (hidden, lists, again) == ({404}, [[], []], 404)
    assert (entry["kind"], entry["dataset_name"], entry["images"]) == ("dataset", "Pets", 12)
    assert {ana.client.get(address).status_code for address in addresses} == {200}
    assert state(services) == before


def test_pictures_whose_bytes_come_again_leave_the_bin(ana: Ana) -> None:
    first, second = encode(draw("circle", 1)), encode(draw("circle", 2))
    ana.bring({"1.png": first, "2.png": second})
    answer = deleted(ana, ids=[image["id"] for image in ana.images()])

    ana.bring({"new.png": first})
    [entry] = entries(ana)
    restored(ana, answer["bin_id"])

    assert (entry["images"], entry["frees_bytes"]) == (1, len(second))
    assert sorted(image["path"] for image in ana.images()) == ["2.png", "new.png"]
    assert ana.dataset()["images"] == 2


def test_after_its_time_an_entry_is_deleted_for_good_and_versions_keep_their_pictures(
    ana: Ana, services: Services
) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    ana.bring({"loose.png": encode(draw("circle", 99))})
    loose, kept = ana.images("text=loose")[0], ana.images("class=circle")[0]
    with services.database.read() as session:
        digests = [Digest(session.get_one(ImageRow, image["id"]).digest) for image in (loose, kept)]
    answer = deleted(ana, ids=[loose["id"], kept["id"]])
    early = delete_expired(services.open_unit(), services.storage)
    with services.database.write() as session:
        session.execute(update(BinRow).values(expires_at=datetime(2026, 1, 1, tzinfo=UTC)))

    done = delete_expired(services.open_unit(), services.storage)

    assert (early, done) == (0, 1)
    assert [services.storage.has_blob(digest) for digest in digests] == [False, True]
    assert len(ana.images(f"version={version['id']}")) == 12
    gone = ana.client.post(f"/api/v1/bin/{answer['bin_id']}/restore")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "bin-entry-not-found")


def test_the_page_says_what_it_frees_and_brings_back(ana: Ana) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"1.png": picture})
    path = f"/datasets/{ana.dataset_id}/images"
    first = ana.client.post(f"{path}/delete", data={"ids": ana.images()[0]["id"], "back": path}, headers=PAGE)
    bin_id = entries(ana)[0]["id"]
    text = ana.client.get("/bin", headers=PAGE).text

    assert "1 picture is in the bin for 7 days." in first.text
    assert f'action="/bin/{bin_id}/restore"' in first.text
    assert f"frees up to {len(picture)} bytes" in text
    answer = ana.client.post(f"/bin/{bin_id}/restore", headers=PAGE)
    assert "1 picture is back in “Pets”." in answer.text
    assert "The bin is empty" in ana.client.get("/bin", headers=PAGE).text


def test_emptying_the_bin_on_the_page_deletes_for_good(ana: Ana, client: TestClient) -> None:
    ana.bring_shapes(2)
    client.post(f"/datasets/{ana.dataset_id}/delete", headers=PAGE)

    answer = client.post("/bin/empty", headers=PAGE)

    assert "1 entry deleted for good." in answer.text
    assert entries(ana) == []
    assert client.get("/api/v1/datasets").json()["items"] == []
