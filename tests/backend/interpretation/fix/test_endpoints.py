"""The pictures of a fix sprint, asked by program."""

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import RunId
from backend.domain.json import Json
from backend.interpretation.fix import sprint
from tests.backend.interpretation.labelled import MISLABELLED, Shapes, trained_shapes


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    shapes = trained_shapes(client, services)
    shapes.suspects()
    return shapes


def paths(pictures: Json) -> list[str]:
    return [item["path"] for item in pictures["items"]]


def test_it_gives_each_picture_with_its_proposals_and_why(shapes: Shapes) -> None:
    found = shapes.get(f"/runs/{shapes.run_id}/fix")

    assert (found["status"], found["next"]) == ("ready", None)
    (picture,) = found["items"]
    assert (picture["path"], picture["label"], picture["choices"][0]) == (MISLABELLED, "circle", "square")
    assert "10 of the 10 most similar pictures have that label" in picture["why"]
    assert picture["large_url"].startswith(f"/api/v1/images/{picture['image_id']}/thumbnail?")


def test_the_next_pictures_go_on_after_the_last_one_whatever_was_decided_meanwhile(
    shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/runs/{shapes.run_id}/fix?from=top-losses"
    everything = paths(shapes.get(address))
    monkeypatch.setattr(sprint, "SPRINT", 4)

    first = shapes.get(address)
    for path in paths(first):
        shapes.change(path, None)
    second = shapes.get(f"{address}&after={first['next']}")
    third = shapes.get(f"{address}&after={second['next']}")

    assert len(everything) == 9
    assert [*paths(first), *paths(second), *paths(third)] == everything
    assert third["next"] is None


def test_a_cursor_of_nobody_is_refused_in_words(shapes: Shapes) -> None:
    for source in ("suspects", "top-losses"):
        answer = shapes.get(f"/runs/{shapes.run_id}/fix?from={source}&after=nothing", status=422)
        assert answer["error"]["code"] == "cursor-unknown"


def test_a_run_without_results_is_a_conflict_in_words(client: TestClient, untried_run: RunId) -> None:
    answer = client.get(f"/api/v1/runs/{untried_run}/fix")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no-results-yet")
