"""The grid of pictures in a browser: selected as in a file manager, deleted with a way back, and never drawn whole."""

import re

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import insert

from backend.domain.ids import new_id
from backend.tables.datasets import DatasetRow, ImagePathRow, ImageRow
from tests.e2e.server import Server
from tests.fixtures.pictures import draw, encode

pytestmark = pytest.mark.e2e

MANY = 12_000
MOST_DRAWN = 400


def fill(server: Server, images: int) -> str:
    """A dataset with rows and no files."""
    dataset_id = new_id()
    rows = [
        {"id": f"{number:032x}", "dataset_id": dataset_id, "digest": f"{number:064x}", "path": f"cat/{number}.png"}
        | {"format": "PNG", "width": 64, "height": 64, "bytes": 100}
        for number in range(images)
    ]
    names = [{"id": row["id"], "dataset_id": dataset_id, "image_id": row["id"], "path": row["path"]} for row in rows]
    with server.services.database.write() as session:
        session.execute(
            insert(DatasetRow), [{"id": dataset_id, "name": "many", "images": images, "bytes": 100 * images}]
        )
        session.execute(insert(ImageRow), rows)
        session.execute(insert(ImagePathRow), names)
    return dataset_id


@pytest.fixture
def dataset_id(server: Server, page: Page) -> str:
    """Many pictures, all of which look alike."""
    picture = encode(draw("circle", 1, 24))
    page.route("**/thumbnail?*", lambda route: route.fulfill(body=picture, content_type="image/png"))
    page.route("**/images/*?*", lambda route: route.fulfill(body="") if _is_panel(route.request) else route.continue_())
    page.context.request.get(server.sign_in)
    return fill(server, MANY)


def _is_panel(request: object) -> bool:
    return getattr(request, "headers", {}).get("hx-request") == "true"


def test_pictures_are_selected_as_in_a_file_manager_and_come_back(server: Server, page: Page, dataset_id: str) -> None:
    page.goto(f"{server.url}/datasets/{dataset_id}/images")
    cells, selected = page.get_by_role("listbox").get_by_role("option"), page.locator("[data-selected]")

    cells.nth(1).click()
    cells.nth(5).click(modifiers=["Shift"])
    cells.nth(3).click(modifiers=["Control"])
    expect(selected).to_have_text("4 pictures selected")
    page.keyboard.press("Delete")
    expect(page.get_by_role("heading", level=1)).to_have_text("11,996 pictures")
    expect(page.get_by_text("4 pictures moved to the bin.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_role("heading", level=1)).to_have_text("12,000 pictures")


def test_a_picture_that_is_still_being_fetched_is_left_out_of_a_deletion(
    server: Server, page: Page, dataset_id: str
) -> None:
    page.goto(f"{server.url}/datasets/{dataset_id}/images")
    cells = page.get_by_role("listbox").get_by_role("option")
    cells.nth(1).click()
    page.keyboard.press("Delete")
    expect(page.get_by_role("heading", level=1)).to_have_text("11,999 pictures")
    held: list[Route] = []
    page.route(re.compile(r"/images\?.*limit="), lambda route: held.append(route))
    page.keyboard.press("z")
    expect(page.get_by_role("heading", level=1)).to_have_text("12,000 pictures")
    expect(cells.first).to_have_attribute("aria-label", "Picture that is being fetched")

    page.get_by_role("listbox").focus()
    page.keyboard.press("Control+a")
    cells.nth(0).click(modifiers=["Control"])
    page.keyboard.press("Delete")
    for route in held:
        route.continue_()

    expect(page.get_by_text("11,999 pictures moved to the bin.")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("1 picture")


def test_a_small_part_of_many_pictures_is_drawn_wherever_one_looks(server: Server, page: Page, dataset_id: str) -> None:
    page.goto(f"{server.url}/datasets/{dataset_id}/images")
    cells = page.get_by_role("listbox").get_by_role("option")
    expect(cells.first).to_have_attribute("aria-setsize", "12000")

    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("option", name="Picture cat/11999.png")).to_be_visible()

    assert cells.count() < MOST_DRAWN
    page.keyboard.press("Home")
    expect(page.get_by_role("option", name="Picture cat/0.png")).to_be_visible()
    assert cells.count() < MOST_DRAWN
