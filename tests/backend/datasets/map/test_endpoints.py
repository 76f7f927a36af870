"""The map of examined pictures by REST: where they lie, what they are coloured by, who lies among others."""

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from backend.datasets.map.arranging import ARRANGEMENTS
from backend.datasets.map.positions import positions_file
from backend.dependencies import Services
from backend.domain.json import Json
from tests.backend.interpretation.labelled import MISLABELLED, Shapes, trained_shapes


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    return trained_shapes(client, services)


def map_of(shapes: Shapes) -> Json:
    return shapes.get(f"/datasets/{shapes.dataset_id}/map")


def arranged(shapes: Shapes) -> Json:
    answer = shapes.client.post(f"/api/v1/datasets/{shapes.dataset_id}/map/arrangement")
    assert answer.status_code == 202, answer.text
    ARRANGEMENTS.wait_for_all()
    return map_of(shapes)


def positions(shapes: Shapes, found: Json) -> tuple[list[str], NDArray[np.float32]]:
    query = f"key={found['key']}&view={found['view']}"
    answer = shapes.client.get(f"/api/v1/datasets/{shapes.dataset_id}/map/positions?{query}")
    assert answer.status_code == 200, answer.text
    count = found["images"]
    content = answer.content
    assert len(content) == 24 * count
    ids = [content[8 * count + 16 * index :][:16].hex() for index in range(count)]
    return ids, np.frombuffer(content[: 8 * count], dtype="<f4").reshape(count, 2)


def values(shapes: Shapes, found: Json, query: str) -> dict[str, str | None]:
    """The value of each picture, by its id."""
    answer = shapes.get(f"/datasets/{shapes.dataset_id}/map/values?key={found['key']}&{query}")
    ids, _ = positions(shapes, found)
    return {id: None if of < 0 else answer["names"][of] for id, of in zip(ids, answer["of"], strict=True)}


def test_a_map_is_there_at_once_by_the_main_directions(shapes: Shapes) -> None:
    found = map_of(shapes)

    assert (found["status"], found["view"], found["images"], found["images_total"]) == ("none", "components", 36, 36)
    ids, where = positions(shapes, found)
    assert {*ids} == {*shapes.ids.values()}
    assert np.abs(where).max() == pytest.approx(1)


def test_an_arrangement_by_similarity_takes_its_place_and_is_kept(shapes: Shapes) -> None:
    found = arranged(shapes)

    assert (found["status"], found["view"], found["share"]) == ("ready", "neighbours", 1)
    first = positions(shapes, found)[1].tolist()
    assert arranged(shapes)["key"] == found["key"]
    assert positions(shapes, found)[1].tolist() == first


def test_other_features_make_another_map(shapes: Shapes, services: Services) -> None:
    from tests.backend.interpretation.labelled import examine

    old = arranged(shapes)
    examine(services, shapes.dataset_id, {id: "circle" for id in [*shapes.ids.values()][:20]})

    found = map_of(shapes)

    assert (found["status"], found["view"], found["images"]) == ("none", "components", 20)
    query = f"key={old['key']}&view=neighbours"
    answer = shapes.get(f"/datasets/{shapes.dataset_id}/map/positions?{query}", 409)
    assert answer["error"]["code"] == "map-changed"


def test_an_arrangement_can_be_stopped_and_begun_again(shapes: Shapes) -> None:
    path = f"/api/v1/datasets/{shapes.dataset_id}/map/arrangement"
    assert shapes.client.post(path).json()["status"] in ("waiting", "computing")

    stopped = shapes.client.delete(path).json()

    assert (stopped["status"], stopped["view"]) == ("cancelled", "components")
    ARRANGEMENTS.wait_for_all()
    assert map_of(shapes)["status"] == "cancelled"
    assert not positions_file(shapes.services.settings.features_folder, shapes.dataset_id).exists()
    assert arranged(shapes)["status"] == "ready"


def test_colours_follow_labels_sets_and_the_answers_of_a_run(shapes: Shapes) -> None:
    found = map_of(shapes)
    mislabelled = shapes.ids[MISLABELLED]

    assert values(shapes, found, "by=class")[mislabelled] == "circle"
    splits = values(shapes, found, "by=split")
    assert sorted({*splits.values()}, key=str) == ["training", "validation"]
    results = values(shapes, found, f"by=result&run={shapes.run_id}")
    assert {id for id, result in results.items() if result is None} == {
        id for id, split in splits.items() if split == "training"
    }
    assert [*results.values()].count("wrong") == 2
    predicted = values(shapes, found, f"by=predicted&run={shapes.run_id}")
    assert {*predicted.values()} <= {None, "circle", "cross", "square"}


def test_a_label_given_by_hand_changes_the_colour(shapes: Shapes) -> None:
    found = map_of(shapes)
    shapes.change(MISLABELLED, "square")
    shapes.change("shapes/cross/1.png", None)

    labels = values(shapes, found, "by=class")

    assert labels[shapes.ids[MISLABELLED]] == "square"
    assert labels[shapes.ids["shapes/cross/1.png"]] is None


def test_a_deleted_picture_is_marked_so(shapes: Shapes) -> None:
    found = map_of(shapes)
    gone = shapes.ids[MISLABELLED]
    shapes.client.request("DELETE", f"/api/v1/datasets/{shapes.dataset_id}/images", json={"ids": [gone]})

    answer = shapes.get(f"/datasets/{shapes.dataset_id}/map/values?key={found['key']}&by=class")

    assert answer["of"].count(-2) == 1


def test_a_wrong_label_lies_among_the_class_that_it_shows(shapes: Shapes) -> None:
    found = arranged(shapes)

    strays = shapes.get(f"/datasets/{shapes.dataset_id}/map/strays?key={found['key']}&view=neighbours")

    assert [(one["label"], one["among"]) for one in strays] == [("circle", "square")]
    ids, _ = positions(shapes, found)
    assert [ids[index] for index in strays[0]["images"]] == [shapes.ids[MISLABELLED]]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("by=result", 422, "run-missing"),
        ("by=result&run=nobody", 422, "run-without-results"),
        ("by=smell", 422, "invalid-input"),
    ],
)
def test_colours_that_there_are_not_are_refused(shapes: Shapes, query: str, status: int, code: str) -> None:
    key = map_of(shapes)["key"]

    answer = shapes.get(f"/datasets/{shapes.dataset_id}/map/values?key={key}&{query}", status)

    assert answer["error"]["code"] == code


def test_without_examined_pictures_there_is_no_map(client: TestClient, services: Services) -> None:
    shapes = trained_shapes(client, services, is_examined=False)
    path = f"/datasets/{shapes.dataset_id}/map"

    assert map_of(shapes)["status"] == "unavailable"
    assert client.post(f"/api/v1{path}/arrangement").json()["error"]["code"] == "map-unavailable"
    assert shapes.get(f"{path}/positions?key=x&view=components", 409)["error"]["code"] == "map-changed"
    text = client.get(path, headers={"Accept": "text/html"}).text
    assert "There is no map yet" in text
    assert "js/map-" not in text


def test_a_dataset_that_is_not_there_has_no_map(client: TestClient) -> None:
    answer = client.get("/api/v1/datasets/0193a1b2c3d47e8f9a0b1c2d3e4f5a6b/map")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "dataset-not-found")
