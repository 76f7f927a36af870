"""The map in a browser: drawn, selected from by mouse and by keys, relabelled and taken back; with 100,000 pictures."""

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from backend.datasets.version_repository import VersionRepository
from tests.backend.interpretation.labelled import examine
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.server import Server
from tests.fixtures.pictures import CLASSES

pytestmark = pytest.mark.e2e
MANY = 100_000


@pytest.fixture
def furnished(page: Page, server: Server) -> Furnished:
    """With features of which those of one class are alike."""
    # The home page would ask for pictures that furnishing deletes.
    page.goto("about:blank")
    found = furnish(server)
    with server.services.database.read() as session:
        labels = dict(VersionRepository(session).labels_of(found.version_id))
    shape_of = dict(zip(found.wording.classes, CLASSES, strict=True))
    examine(server.services, found.dataset_id, {id: shape_of[label] for id, label in labels.items()})
    return found


def open_map(page: Page, furnished: Furnished, query: str = "") -> None:
    page.goto(f"{furnished.server.url}/datasets/{furnished.dataset_id}/map{query}")
    expect(page.get_by_text("Pictures that look alike to the pretrained network lie close together.")).to_be_visible(
        timeout=60_000
    )
    expect(page.locator("[data-map-legend] button")).to_have_count(3)


def test_what_is_drawn_around_is_relabelled_and_taken_back(page: Page, furnished: Furnished) -> None:
    open_map(page, furnished)
    expect(page.locator("[data-map-legend]")).to_contain_text("cat8")
    box = page.locator("[data-map-over]").bounding_box()
    assert box is not None
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]
    page.keyboard.press("l")
    for place, (x, y) in enumerate([*corners, corners[0]]):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if place == 0:
            page.mouse.down()
    page.mouse.up()
    expect(page.locator("[data-selected]")).to_have_text("24 pictures selected")
    expect(page.locator("[data-map-tiles] img")).to_have_count(24)

    page.keyboard.press("/")
    page.keyboard.type("dog")
    page.keyboard.press("Enter")

    expect(page.locator("[data-undo-words]")).to_have_text("16 pictures are now “dog”.")
    expect(page.locator("[data-map-legend] button")).to_have_count(1)
    expect(page.locator("[data-selected]")).to_have_text("Nothing is selected")
    page.keyboard.press("z")
    expect(page.locator("[data-map-legend] button")).to_have_count(3)


def test_keys_go_from_picture_to_picture_and_leave_some_out(page: Page, furnished: Furnished) -> None:
    open_map(page, furnished)
    page.locator("[data-map-over]").focus()

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("[data-selected]")).to_have_text("1 picture selected")
    expect(page.locator("[data-map-panel] .panel-name")).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("[data-selected]")).to_have_text("21 pictures selected")
    page.get_by_role("link", name="Open in the grid").click()
    expect(page.locator("[data-grid-count]")).to_have_text("21 pictures")
    page.go_back()
    page.locator("[data-map-over]").focus()
    expect(page.locator("[data-map-legend] button")).to_have_count(3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("x")

    expect(page.locator("[data-undo-words]")).to_contain_text("is left out.")
    expect(page.locator("[data-map-legend]")).to_contain_text("no label1")
    page.locator("[data-map-over]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/images/*")


def test_right_and_wrong_are_told_by_shape_and_word(page: Page, furnished: Furnished) -> None:
    open_map(page, furnished)
    page.get_by_label("Colour by").select_option("result")

    legend = page.locator("[data-map-legend]")

    expect(legend.get_by_role("button", name="wrong 2")).to_contain_text("✕")
    expect(legend.get_by_role("button", name="right")).to_contain_text("●")
    legend.get_by_role("button", name="wrong").click()
    page.get_by_role("button", name="Select these").click()
    expect(page.locator("[data-selected]")).to_have_text("2 pictures selected")


def test_a_hundred_thousand_pictures_are_drawn(page: Page, furnished: Furnished) -> None:
    _serve_many(page)
    page.goto(f"{furnished.server.url}/datasets/{furnished.dataset_id}/map")
    expect(page.locator("[data-map-legend] button")).to_have_count(37)

    box = page.locator("[data-map-over]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    page.get_by_role("button", name="class 7", exact=False).first.click()
    page.get_by_role("button", name="Select these").click()

    expect(page.locator("[data-selected]")).to_have_text("2,703 pictures selected")
    expect(page.locator("[data-map-tiles] img")).to_have_count(60)


def _serve_many(page: Page) -> None:
    """A map of 100,000 pictures that aren't there, from their positions on."""
    rng = np.random.default_rng(0)
    of = np.arange(MANY) % 37
    centres = rng.uniform(-0.9, 0.9, (37, 2))
    positions = (centres[of] + rng.normal(0, 0.05, (MANY, 2))).clip(-1, 1).astype("<f4")
    content = positions.tobytes() + bytes(16 * MANY)
    standing = {"status": "ready", "message": "", "view": "neighbours", "key": "k", "share": 1, "images": MANY}
    values = {"names": [f"class {number}" for number in range(37)], "of": of.tolist()}

    def answer(route: Route) -> None:
        path = route.request.url.split("/map", 1)[1].split("?")[0]
        if path == "/positions":
            route.fulfill(body=content, content_type="application/octet-stream")
        else:
            route.fulfill(json={"": standing, "/values": values, "/strays": []}[path])

    page.route("**/api/v1/datasets/*/map*", answer)
    page.route("**/api/v1/datasets/*/map/**", answer)
    page.route("**/api/v1/images/*/thumbnail*", lambda route: route.fulfill(body=b"", content_type="image/webp"))
