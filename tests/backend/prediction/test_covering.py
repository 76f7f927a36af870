"""The answer changes with what is covered."""

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.storage.local import LocalStorage
from tests.backend.prediction.run_scene import RunScene, add_scene

LEFT_HALF = {"left": 0, "top": 0, "width": 0.5, "height": 1}
RIGHT_HALF = {"left": 0.5, "top": 0, "width": 0.5, "height": 1}


@pytest.fixture
def scene(database: Database, storage: LocalStorage) -> RunScene:
    """Half of the picture is red (owl), half is blue (cat)."""
    return add_scene(database, storage)


def answers(client: TestClient, scene: RunScene, *covers: dict[str, float]) -> dict[str, tuple[float, float]]:
    answer = client.post(f"{scene.address}/covered", json={"covers": covers})
    assert answer.status_code == 200, answer.text
    return {item["class"]: (item["before"], item["after"]) for item in answer.json()["items"]}


def test_a_covered_colour_counts_no_more(client: TestClient, scene: RunScene) -> None:
    found = answers(client, scene, LEFT_HALF)

    # Scores 2, 0, 2; with one half grey (128 of 255) in all three colours: 3, 1, 1 (and 0.004 more of each).
    assert [round(share, 3) for share in found["owl"]] == [0.468, 0.107]
    assert [round(share, 3) for share in found["cat"]] == [0.468, 0.787]


def test_what_the_network_does_not_see_changes_nothing(client: TestClient, scene: RunScene) -> None:
    outside = {"left": 0, "top": 0, "width": 0.25, "height": 1}

    assert all(before == pytest.approx(after, abs=1e-6) for before, after in answers(client, scene, outside).values())


def test_no_cover_is_the_picture_as_it_is(client: TestClient, scene: RunScene) -> None:
    assert all(before == pytest.approx(after, abs=1e-6) for before, after in answers(client, scene).values())


def test_several_covers_count_together(client: TestClient, scene: RunScene) -> None:
    found = answers(client, scene, LEFT_HALF, RIGHT_HALF)

    assert {round(after, 3) for _, after in found.values()} == {0.333}


@pytest.mark.parametrize(
    "body",
    [{}, {"covers": [{"left": 0}]}, {"covers": [LEFT_HALF | {"width": 1.5}]}, {"covers": [LEFT_HALF] * 201}],
    ids=["nothing", "half a cover", "beyond the edge", "too many"],
)
def test_what_is_no_cover_is_refused(client: TestClient, scene: RunScene, body: dict[str, object]) -> None:
    answer = client.post(f"{scene.address}/covered", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid-input")


def test_nobody_without_a_key_gets_an_answer(anonymous: TestClient, scene: RunScene) -> None:
    assert anonymous.post(f"{scene.address}/covered", json={"covers": []}).status_code == 401
