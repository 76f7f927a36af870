"""Where an answer came from, over the picture, and how it changes when a part is covered; by mouse and by keys."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from backend.prediction.models import ModelCache
from tests.e2e.conftest import Complaints, Server, serving, watched_page
from tests.e2e.furnished import SIDE, Furnished, furnish
from tests.e2e.places import PLACES, address_of
from tests.fixtures.colour_model import write_colour_model

pytestmark = pytest.mark.e2e

LOADED = "(map) => map.complete && map.naturalWidth > 0"


@pytest.fixture
def server(furnished: Furnished) -> Server:
    """The one that ``page`` signs in to."""
    return furnished.server


def expect_map(map: Locator) -> None:
    expect(map).to_be_visible()
    map.evaluate("(map) => map.decode()")
    assert map.evaluate(LOADED)


def test_a_picture_that_is_pointed_at_shows_its_map(page: Page, furnished: Furnished) -> None:
    PLACES["top losses"].open(page, furnished)
    page.wait_for_load_state()

    page.locator("[data-view]").nth(1).hover()
    expect_map(page.locator(".answer-tile").nth(1).locator(".heat-map"))

    page.locator("h1").hover()
    expect(page.locator(".heat-map:visible")).to_have_count(0)


def test_a_picture_with_the_focus_shows_its_map(page: Page, furnished: Furnished) -> None:
    PLACES["top losses"].open(page, furnished)
    page.wait_for_load_state()

    page.locator("[data-view]").first.focus()
    expect_map(page.locator(".answer-tile").first.locator(".heat-map"))
    page.keyboard.press("ArrowRight")

    expect_map(page.locator(".answer-tile").nth(1).locator(".heat-map"))
    expect(page.locator(".heat-map:visible")).to_have_count(1)


def test_h_shows_the_maps_of_all_pictures_and_hides_them_again(page: Page, furnished: Furnished) -> None:
    PLACES["top losses"].open(page, furnished)
    page.wait_for_load_state()
    pictures = page.locator("[data-view]").count()

    page.keyboard.press("h")
    expect(page.locator(".heat-map:visible")).to_have_count(pictures)
    expect(page.get_by_role("button", name=re.compile("^Heat maps"))).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("h")

    expect(page.locator(".heat-map:visible")).to_have_count(0)


def test_class_and_look_are_chosen_for_all(page: Page, furnished: Furnished) -> None:
    PLACES["top losses"].open(page, furnished)
    page.wait_for_load_state()

    page.get_by_label("Class of the heat map").select_option("actual")
    page.get_by_label("Look of the heat map").select_option("outline")

    map = page.locator(".answer-tile").first.locator(".heat-map")
    expect(map).to_have_attribute("src", re.compile("of=actual&style=outline$"))
    expect_map(map)


def test_the_viewer_shows_the_map_of_each_picture(page: Page, furnished: Furnished) -> None:
    PLACES["top losses"].open(page, furnished)
    page.wait_for_load_state()
    page.locator("[data-view]").first.click()
    map = page.get_by_role("dialog").locator(".heat-map")
    expect(map).to_have_count(0)

    page.keyboard.press("h")
    expect_map(map)
    first = map.get_attribute("src")
    page.keyboard.press("ArrowRight")

    expect_map(map)
    assert map.get_attribute("src") != first


def middle_of(layer: Locator) -> tuple[float, float]:
    box = layer.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def one_picture(page: Page, furnished: Furnished) -> None:
    page.goto(address_of(furnished.server, "/runs/{succeeded_run}/images/{image}", furnished))
    page.wait_for_load_state()


def test_the_map_lies_on_the_picture_and_its_opacity_is_set(page: Page, furnished: Furnished) -> None:
    one_picture(page, furnished)

    page.keyboard.press("h")
    map = page.locator(".picture-frame .heat-map")
    expect_map(map)
    page.get_by_label("Opacity").fill("40")

    expect(map).to_have_css("opacity", "0.4")
    picture, over = (middle_of(layer) for layer in (page.locator(".picture-frame > img").first, map))
    assert over == pytest.approx(picture, abs=1)


def test_a_covered_part_changes_the_answer_by_keys(page: Page, furnished: Furnished) -> None:
    one_picture(page, furnished)
    shares = page.locator("[data-share]")
    before = shares.all_inner_texts()

    page.keyboard.press("c")
    expect(page.locator(".cover-layer")).to_be_focused()
    page.keyboard.press("+")
    expect(page.locator("[data-cover-size]")).to_have_value("22")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.locator(".cover-layer .cover")).to_have_count(1)
    expect(page.locator("[data-cover-words]")).to_contain_text("With the cover")
    expect(shares.first).to_contain_text("→")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator(".cover-layer .cover")).to_have_count(1)
    page.keyboard.press("e")
    page.keyboard.press("Space")
    expect(page.locator(".cover-layer .cover")).to_have_count(2)
    expect(page.get_by_role("radio", name="Eraser")).to_be_checked()
    page.keyboard.press("z")
    page.keyboard.press("Backspace")
    expect(page.locator(".cover-layer .cover")).to_have_count(0)
    expect(page.locator("[data-cover-words]")).to_have_text("")
    assert shares.all_inner_texts() == before


def test_an_earlier_model_says_once_that_it_has_none(
    browser: Browser, tmp_path: Path, migrated_sqlite: Path, complaints: Complaints
) -> None:
    complaints.expected = ("409",)
    with serving(tmp_path, migrated_sqlite) as server:
        furnished = furnish(server)
        for checkpoint in furnished.checkpoints:
            folder = server.services.storage.folder("checkpoints", checkpoint)
            write_colour_model(folder, np.eye(3, dtype=np.float32), SIDE, feature_map="squares")
        # Furnishing has loaded them as they were.
        server.app.state.models = ModelCache()
        with watched_page(browser, complaints) as page:
            page.goto(server.sign_in)
            PLACES["top losses"].open(page, furnished)
            page.wait_for_load_state()

            page.keyboard.press("h")

            expect(page.locator("[data-heat-words]")).to_contain_text("This model has no heat maps.")
            expect(page.locator(".heat-map")).to_have_count(0)


def test_a_part_is_painted_over_and_the_answer_moves_before_the_brush_is_lifted(
    page: Page, furnished: Furnished
) -> None:
    one_picture(page, furnished)
    page.get_by_role("button", name=re.compile("^Cover a part")).click()
    box = page.locator(".cover-layer").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.7, steps=4)
    expect(page.locator("[data-cover-words]")).to_contain_text("With the cover")
    page.mouse.up()

    parts = page.locator(".cover-layer .cover")
    expect(parts).to_have_count(1)
    expect(page.locator(".cover-colour")).to_have_attribute("fill", re.compile("^#[0-9a-f]{6}$"))
    page.get_by_role("radio", name="Rectangle").check()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2, steps=2)
    page.mouse.up()
    expect(parts).to_have_count(2)
    page.get_by_role("button", name="Undo stroke").click()
    expect(parts).to_have_count(1)
    page.get_by_role("button", name="Uncover all").click()
    expect(page.locator("[data-cover-words]")).to_have_text("")
