"""The answer changes with what is covered."""

from collections.abc import Mapping

import numpy as np
import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.prediction.covering import Grid, Stroke, covered_pixels
from backend.storage.local import LocalStorage
from tests.backend.prediction.run_scene import RunScene, add_scene

LEFT_HALF = {"left": 0, "top": 0, "width": 0.5, "height": 1}
# Eight pixels wide in a picture of 32 x 16, from the left edge of what the network sees to its middle.
STROKE: dict[str, object] = {"points": [[0.375, 0], [0.375, 1]], "radius": 0.25}
RIGHT_HALF = {"left": 0.5, "top": 0, "width": 0.5, "height": 1}


@pytest.fixture
def scene(database: Database, storage: LocalStorage) -> RunScene:
    """Half of the picture is red (owl), half is blue (cat)."""
    return add_scene(database, storage)


def answers(client: TestClient, scene: RunScene, *covers: Mapping[str, object]) -> dict[str, tuple[float, float]]:
    answer = client.post(f"{scene.address}/covered", json={"covers": covers})
    assert answer.status_code == 200, answer.text
    return {item["class"]: (item["before"], item["after"]) for item in answer.json()["items"]}


def test_a_covered_colour_counts_no_more(client: TestClient, scene: RunScene) -> None:
    found = answers(client, scene, LEFT_HALF)

    # Scores 2, 0, 2; with one half in the picture's mean, half red and half blue (128 of 255): 1, 0, 3.
    assert [round(share, 3) for share in found["owl"]] == [0.468, 0.114]
    assert [round(share, 3) for share in found["cat"]] == [0.468, 0.844]


def test_what_the_network_does_not_see_changes_nothing(client: TestClient, scene: RunScene) -> None:
    outside = {"left": 0, "top": 0, "width": 0.25, "height": 1}

    assert all(before == pytest.approx(after, abs=1e-6) for before, after in answers(client, scene, outside).values())


def test_no_cover_is_the_picture_as_it_is(client: TestClient, scene: RunScene) -> None:
    assert all(before == pytest.approx(after, abs=1e-6) for before, after in answers(client, scene).values())


def test_several_covers_count_together(client: TestClient, scene: RunScene) -> None:
    found = answers(client, scene, LEFT_HALF, RIGHT_HALF)

    # All of it in its mean is no other mean.
    assert [round(after, 2) for _, after in found.values()] == [0.47, 0.47, 0.06]


def test_covers_have_the_mean_colour_of_the_picture(client: TestClient, scene: RunScene) -> None:
    assert client.post(f"{scene.address}/covered", json={"covers": []}).json()["colour"] == "#800080"


def test_a_stroke_covers_what_is_within_its_radius(client: TestClient, scene: RunScene) -> None:
    found = answers(client, scene, STROKE)

    assert [round(share, 3) for share in found["owl"]] == [0.468, 0.114]
    assert [round(share, 3) for share in found["cat"]] == [0.468, 0.844]


def test_a_single_point_is_a_dot() -> None:
    grid = np.arange(0.5, 6)

    mask = covered_pixels(Grid(grid, grid, np.array([6.0, 6.0])), [Stroke([(0.5, 0.5)], 1.6 / 6)])

    assert ["".join("#" if pixel else "." for pixel in row) for row in mask] == [
        "......",
        "..##..",
        ".####.",
        ".####.",
        "..##..",
        "......",
    ]


def test_a_line_of_points_leaves_no_gap() -> None:
    grid = np.arange(0.5, 6)
    line = Stroke([(0, 0), (1, 1)], 0.8 / 6)

    mask = covered_pixels(Grid(grid, grid, np.array([6.0, 6.0])), [line])

    assert ["".join("#" if pixel else "." for pixel in row) for row in mask] == [
        "##....",
        "###...",
        ".###..",
        "..###.",
        "...###",
        "....##",
    ]


def test_an_eraser_uncovers_what_came_before_it_only(client: TestClient, scene: RunScene) -> None:
    eraser = STROKE | {"erase": True}

    erased = answers(client, scene, LEFT_HALF, eraser)
    covered_again = answers(client, scene, LEFT_HALF, eraser, LEFT_HALF)

    assert all(before == pytest.approx(after, abs=1e-6) for before, after in erased.values())
    assert round(covered_again["owl"][1], 3) == 0.114


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"covers": [{"left": 0}]},
        {"covers": [LEFT_HALF | {"width": 1.5}]},
        {"covers": [LEFT_HALF] * 201},
        {"covers": [STROKE | {"points": []}]},
        {"covers": [STROKE | {"radius": 0}]},
    ],
    ids=["nothing", "half a cover", "beyond the edge", "too many", "no point", "no width"],
)
def test_what_is_no_cover_is_refused(client: TestClient, scene: RunScene, body: dict[str, object]) -> None:
    answer = client.post(f"{scene.address}/covered", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid-input")


def test_nobody_without_a_key_gets_an_answer(anonymous: TestClient, scene: RunScene) -> None:
    assert anonymous.post(f"{scene.address}/covered", json={"covers": []}).status_code == 401
