"""Training again with corrected labels: only the labels differ."""

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import new_id
from backend.domain.json import Json
from tests.backend.interpretation.labelled import MISLABELLED, Shapes, trained_shapes


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    return trained_shapes(client, services, is_examined=False)


def test_it_repeats_the_run_on_the_same_sides_with_the_new_labels(shapes: Shapes) -> None:
    shapes.change(MISLABELLED, "square")
    shapes.change("shapes/cross/3.png", None)

    answer = shapes.client.post(f"/api/v1/runs/{shapes.run_id}/retrain")

    assert answer.status_code == 201, answer.text
    new, old = answer.json(), shapes.get(f"/runs/{shapes.run_id}")
    assert (new["status"], new["retrain_of"]) == ("queued", shapes.run_id)
    assert new["config"] == old["config"]
    before, after = shapes.sides(shapes.version_id), shapes.sides(new["version_id"])
    gone = {shapes.ids["shapes/cross/3.png"]}
    assert {side: ids - gone for side, ids in before.items()} == after
    version = shapes.get(f"/versions/{new['version_id']}")
    totals = {name: sum(sides.values()) for name, sides in version["counts"].items()}
    assert totals == {"circle": 12, "cross": 11, "square": 12}


@pytest.mark.parametrize("config", [{"recipe": "recommended", "minutes": 3}, {"recipe": "lesson-1", "seed": 7}])
def test_config_and_seed_stay_as_they_were(shapes: Shapes, config: Json) -> None:
    body = {"version_id": shapes.version_id, "config": config}
    old = shapes.client.post("/api/v1/runs", json=body).json()
    shapes.change(MISLABELLED, "square")

    new = shapes.client.post(f"/api/v1/runs/{old['id']}/retrain").json()

    # Its epochs are given now, so no time limit may cut them.
    assert new["config"] == old["config"] | {"minutes": None}


def test_pictures_stay_on_their_side_although_another_split_was_chosen_since(shapes: Shapes) -> None:
    rule = {"kind": "folder", "level": 1}
    other = {"rule": rule, "split": {"kind": "random", "valid": 0.5, "seed": 7}}
    assert shapes.client.post(f"/api/v1/datasets/{shapes.dataset_id}/versions", json=other).status_code == 201
    shapes.change(MISLABELLED, "square")

    new = shapes.client.post(f"/api/v1/runs/{shapes.run_id}/retrain").json()

    assert shapes.sides(new["version_id"]) == shapes.sides(shapes.version_id)


def test_without_a_change_there_is_nothing_to_retrain(shapes: Shapes) -> None:
    shapes.change(MISLABELLED, "circle")

    answer = shapes.client.post(f"/api/v1/runs/{shapes.run_id}/retrain")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "labels-unchanged")


def test_an_unknown_run_is_not_found(client: TestClient) -> None:
    answer = client.post(f"/api/v1/runs/{new_id()}/retrain")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run-not-found")


def test_the_runs_page_counts_the_changes_and_the_button_leads_to_the_new_run(shapes: Shapes) -> None:
    page = f"/runs/{shapes.run_id}"
    assert "Retrain with" not in shapes.client.get(page).text
    shapes.change(MISLABELLED, "square")
    for path in (page, f"{page}/understand"):
        text = shapes.client.get(path).text
        assert "1 change since this run." in text
        assert "Retrain with this 1" in text

    new_id_ = new_id()
    pressed = [
        shapes.client.post(f"{page}/retrain", data={"new_run_id": new_id_}, follow_redirects=False) for _ in range(2)
    ]

    assert [(answer.status_code, answer.headers["location"]) for answer in pressed] == [(303, f"/runs/{new_id_}")] * 2
    assert "with corrected labels" in shapes.client.get(f"/runs/{new_id_}").text
    old = shapes.client.get(page).text
    assert "hasn&#39;t ended yet" in old or "hasn't ended yet" in old
    assert "Retrain with" not in old


def test_when_it_has_ended_both_lead_to_the_comparison(shapes: Shapes) -> None:
    shapes.change(MISLABELLED, "square")
    new = shapes.client.post(f"/api/v1/runs/{shapes.run_id}/retrain").json()["id"]
    shapes.past.succeed()

    link = f'href="/runs/{shapes.run_id}/compare/{new}"'

    assert link in shapes.client.get(f"/runs/{new}").text
    assert link in shapes.client.get(f"/runs/{shapes.run_id}/understand").text


def test_nothing_to_retrain_is_said_on_the_runs_page(shapes: Shapes) -> None:
    answer = shapes.client.post(f"/runs/{shapes.run_id}/retrain")

    assert answer.status_code == 200
    assert "No label has changed since this training." in answer.text
