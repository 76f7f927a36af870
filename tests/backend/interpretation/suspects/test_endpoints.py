"""Labels that are probably wrong, asked by program."""

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import RunId, new_id
from backend.tables.examination import ImagePairRow
from tests.backend.interpretation.labelled import MISLABELLED, Shapes, trained_shapes


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    return trained_shapes(client, services)


def test_a_wrong_label_is_listed_with_the_class_that_fits(shapes: Shapes) -> None:
    found = shapes.suspects()

    assert (found["status"], found["examined"], found["next"]) == ("ready", 1.0, None)
    (item,) = found["items"]
    assert item["image_id"] == shapes.ids[MISLABELLED]
    assert (item["path"], item["label"], item["proposed"]) == (MISLABELLED, "circle", "square")
    assert item["signals"]["confident_learning"] < 0
    assert (item["signals"]["neighbours"], item["signals"]["duplicate"]) == (1.0, False)
    assert item["split"] in ("train", "valid")
    assert 0 < item["score"] <= 1
    assert item["why"] == (
        "A model that has not learnt from this picture predicts “square”, and 10 of the 10 most similar pictures have "
        "that label."
    )
    assert item["image_url"].startswith(f"/api/v1/images/{item['image_id']}/file")


def test_a_corrected_label_is_no_suspect_until_that_is_undone(shapes: Shapes) -> None:
    batch = shapes.change(MISLABELLED, "square")["batch_id"]
    assert shapes.paths() == []

    shapes.client.post(f"/api/v1/datasets/{shapes.dataset_id}/labels/undo", json={"batch_id": batch})

    assert shapes.paths() == [MISLABELLED]


def test_a_label_that_was_found_right_is_not_shown_again(shapes: Shapes) -> None:
    done = shapes.change(MISLABELLED, "circle")

    assert done["message"] == "“a square.png” is confirmed as “circle”."
    assert shapes.paths() == []
    (entry,) = shapes.get(f"/datasets/{shapes.dataset_id}/labels/changes")["items"]
    assert (entry["before"], entry["after"], entry["run_id"]) == ("circle", "circle", shapes.run_id)


def test_a_picture_that_was_left_out_is_no_suspect(shapes: Shapes) -> None:
    shapes.change(MISLABELLED, None)

    assert shapes.paths() == []


def test_a_copy_with_another_label_is_a_suspect_until_both_agree(shapes: Shapes) -> None:
    first, second = "shapes/circle/1.png", "shapes/cross/1.png"
    add_copy(shapes, first, second)
    assert shapes.paths() == [MISLABELLED, first, second] or shapes.paths() == [MISLABELLED, second, first]
    duplicate = next(item for item in shapes.suspects()["items"] if item["path"] == first)
    assert (duplicate["proposed"], duplicate["signals"]["duplicate"]) == ("cross", True)
    assert duplicate["why"].startswith("The same picture is also labelled “cross”")

    shapes.change(second, "circle")

    assert shapes.paths() == [MISLABELLED]


def test_the_list_goes_on_after_its_cursor(shapes: Shapes) -> None:
    add_copy(shapes, "shapes/circle/1.png", "shapes/cross/1.png")
    whole = shapes.paths()

    first = shapes.suspects("limit=2")
    rest = shapes.suspects(f"limit=2&after={first['next']}")

    assert [item["path"] for item in first["items"] + rest["items"]] == whole
    assert rest["next"] is None
    refused = shapes.get(f"/runs/{shapes.run_id}/suspects?after={new_id()}", status=422)
    assert refused["error"]["code"] == "cursor-unknown"


def test_pictures_that_were_not_examined_are_judged_by_the_training_alone(
    client: TestClient, services: Services
) -> None:
    shapes = trained_shapes(client, services, is_examined=False)

    found = shapes.suspects()

    # Of the best stage: two validation pictures that it takes for another class with 90 %.
    assert (found["status"], found["examined"]) == ("ready", 0.0)
    assert [item["signals"]["confident_learning"] for item in found["items"]] == [None, None]
    assert {item["split"] for item in found["items"]} == {"valid"}
    assert found["items"][0]["why"].endswith("with 90 % confidence.")


def test_a_run_without_a_finished_stage_has_no_suspects_yet(client: TestClient, untried_run: RunId) -> None:
    answer = client.get(f"/api/v1/runs/{untried_run}/suspects")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no-results-yet")


def test_an_unknown_run_is_not_found(client: TestClient) -> None:
    answer = client.get("/api/v1/runs/nothing/suspects")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run-not-found")


def add_copy(shapes: Shapes, first: str, second: str) -> None:
    """As the examination would have found it."""
    ids = sorted([shapes.ids[first], shapes.ids[second]])
    with shapes.services.database.write() as session:
        session.add(
            ImagePairRow(
                id=new_id(),
                dataset_id=shapes.dataset_id,
                first_id=ids[0],
                second_id=ids[1],
                kind="same-picture",
                score=0.99,
            )
        )
