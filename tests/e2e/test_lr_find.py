"""The search for a learning rate: its curve, the line that keys move, and what "use it" fills in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, serving
from tests.e2e.furnished import SLOPE, Furnished, furnish

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    with serving(tmp_path_factory.mktemp("furnished"), migrated_sqlite) as server:
        yield furnish(server)


@pytest.fixture
def server(furnished: Furnished) -> Server:
    """The one that ``page`` signs in to."""
    return furnished.server


def open_find(page: Page, furnished: Furnished, found: str) -> None:
    page.goto(f"{furnished.server.url}/lr-finds/{furnished.finds[found]}")
    expect(page.get_by_role("slider")).to_be_visible()


def test_keys_move_the_line_and_all_that_shows_the_rate_follows(page: Page, furnished: Furnished) -> None:
    open_find(page, furnished, "everything")
    line, typed = page.get_by_role("slider"), page.get_by_label("Rate", exact=True)
    expect(page.get_by_role("button", name="Use 2.8e-4")).to_be_visible()
    left = line.bounding_box()

    line.press("ArrowRight")
    expect(typed).to_have_value("3.1e-4")
    line.press("PageUp")
    expect(line).to_have_attribute("aria-valuetext", "6.2e-4")
    expect(page.get_by_role("radio", name="Another")).to_be_checked()
    expect(page.locator("[data-low]")).to_have_text("6.2e-6")
    expect(page.locator("[data-high]")).to_have_text("6.2e-5")
    moved = line.bounding_box()
    assert left is not None
    assert moved is not None
    assert moved["x"] > left["x"] + 10

    page.locator("h1").click()
    page.keyboard.press("2")
    expect(page.get_by_role("radio", name="Steepest")).to_be_checked()
    expect(page.get_by_role("button", name="Use 2.5e-3")).to_be_visible()


def test_the_line_can_be_dragged(page: Page, furnished: Furnished) -> None:
    open_find(page, furnished, "slope")
    box = page.get_by_role("slider").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 12, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 12 + 200, box["y"] + 40, steps=4)
    page.mouse.up()

    value = float(page.get_by_role("slider").get_attribute("aria-valuetext") or 0)
    assert value > 1e-3


def test_a_typed_rate_fills_the_stage(page: Page, furnished: Furnished) -> None:
    open_find(page, furnished, "everything")
    typed = page.get_by_label("Rate", exact=True)
    typed.fill("much")
    expect(page.get_by_text("The rate must be a number above 0 and up to 10")).to_be_visible()
    typed.fill("2,5e-3")
    page.get_by_role("button", name="Use 2.5e-3").click()

    expect(page.locator("[name=stage_low_0]")).to_have_value("2.5e-5")
    expect(page.locator("[name=stage_high_0]")).to_have_value("2.5e-4")


def test_a_page_that_waits_becomes_the_curve_by_itself(page: Page, furnished: Furnished) -> None:
    """The last test of this file: what is queued before it is taken."""
    find_id = furnished.finds["waiting"]
    page.goto(f"{furnished.server.url}/lr-finds/{find_id}")
    expect(page.get_by_text("Queued:")).to_be_visible()

    furnished.past.finish_search(find_id, SLOPE)

    expect(page.get_by_role("slider")).to_be_visible()
    expect(page.get_by_role("button", name="Use 2.8e-4")).to_be_visible()
