"""The loop that the product is made for: a cell, its pictures, other labels by keys, another training, what changed."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, watched_page
from tests.fixtures.pictures import CLASSES, draw, encode
from tests.fixtures.processes import wait_until
from tests.fixtures.serve_process import ServeProcess

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

SLOW = 180_000
"""Milliseconds for a training of the head, on a processor that is busy."""
TRAINING, HELD_OUT = 24, 12
MISLABELLED = ("shapes/valid/circle/a_square.png", "shapes/valid/circle/b_square.png")


@pytest.fixture
def page(browser: Browser, served: ServeProcess, complaints: Complaints) -> Iterator[Page]:
    """Ana, signed in."""
    with watched_page(browser, complaints) as page:
        page.goto(served.new_link())
        yield page


@pytest.fixture(scope="module")
def run_id(served: ServeProcess) -> str:
    """A training that has ended; of what was held out, two squares lie in the folder of circles."""
    files = {
        f"shapes/{part}/{shape}/{number}.png": encode(draw(shape, first + number))
        for part, first, each in (("train", 0, TRAINING), ("valid", 100, HELD_OUT))
        for shape in CLASSES
        for number in range(each)
    }
    files |= {path: encode(draw("square", 200 + number)) for number, path in enumerate(MISLABELLED)}
    with served.client() as client:
        dataset_id = client.post("/api/v1/datasets", json={"name": "shapes"}).json()["id"]
        client.post(f"/api/v1/datasets/{dataset_id}/images", files=[("files", item) for item in files.items()])
        body = {"rule": {"kind": "folder", "level": 1}, "split": {"kind": "folder"}}
        version_id = client.post(f"/api/v1/datasets/{dataset_id}/versions", json=body).json()["id"]
        stages = [{"freeze": True, "epochs": 8}]
        config = {"image_size": 96, "batch_size": 8, "stages": stages}
        run_id: str = client.post("/api/v1/runs", json={"version_id": version_id, "config": config}).json()["id"]
        wait_until(
            lambda: client.get(f"/api/v1/runs/{run_id}").json()["status"] == "succeeded", "it is trained", SLOW / 1000
        )
    return run_id


def test_two_wrong_labels_are_mended_where_they_are_seen_and_exactly_these_two_answers_change(
    page: Page, served: ServeProcess, run_id: str
) -> None:
    page.goto(f"http://127.0.0.1:{served.port}/runs/{run_id}/understand/confusions")
    cell = page.get_by_role("gridcell", name="actual circle, predicted square: 2 pictures")
    cell.click()
    expect(page.locator("[data-matrix-pictures] [data-view]")).to_have_count(2)
    page.get_by_role("link", name="Open all").click()
    page.get_by_role("link", name="Fix the labels of these").click()
    expect(page.locator("[data-position]")).to_have_text("1 of 2")
    page.wait_for_load_state()
    page.keyboard.press("1")
    page.keyboard.press("1")
    expect(page.get_by_text("You looked at 2 pictures and changed 2 labels")).to_be_visible()

    page.get_by_role("button", name="Retrain with these 2").click()

    expect(page).to_have_url(re.compile(f"/runs/{run_id}/compare/[0-9a-f]{{32}}$"), timeout=SLOW)
    corrected = page.locator("#relabelled [data-view]")
    assert sorted(corrected.evaluate_all("all => all.map((it) => it.dataset.caption)")) == sorted(MISLABELLED)
    expect(page.locator("#relabelled")).to_contain_text("was circle")
    expect(page.get_by_role("heading", level=1)).to_have_text("Both models get the same pictures right")
    for changed in ("now-right", "now-wrong", "still-wrong"):
        expect(page.locator(f"#{changed} [data-view]")).to_have_count(0)
    errors = [_errors(served, found) for found in (run_id, page.url.rpartition("/")[2])]
    assert errors == [2, 0], "each on the labels of its own time"


def _errors(served: ServeProcess, run_id: str) -> int:
    with served.client() as client:
        rows = client.get(f"/api/v1/runs/{run_id}/confusion-matrix").json()["matrix"]
    return sum(count for actual, row in enumerate(rows) for predicted, count in enumerate(row) if actual != predicted)
