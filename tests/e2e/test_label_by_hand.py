"""Pictures whose names say nothing are labelled with keys, one by one and many at once, and it is taken back."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import OWNER_TOKEN
from tests.e2e.conftest import Server
from tests.fixtures.pictures import draw, encode

pytestmark = pytest.mark.e2e


MORE_THAN_FETCHED = 150


@pytest.fixture
def dataset(server: Server) -> str:
    """The path of a dataset of a dozen pictures without a label."""
    return unlabelled(server, 12)


def unlabelled(server: Server, images: int) -> str:
    """The path of a dataset of so many pictures without a label."""
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=60, trust_env=False) as client:
        dataset_id = client.post("/datasets", json={"name": "unsorted"}).json()["id"]
        files = [("files", (f"IMG_{number:03}.png", encode(draw("circle", number)))) for number in range(images)]
        assert client.post(f"/datasets/{dataset_id}/images", files=files).status_code == 200
    return f"/datasets/{dataset_id}"


def test_pictures_are_labelled_with_keys_and_taken_back(page: Page, server: Server, dataset: str) -> None:
    page.goto(f"{server.url}{dataset}/labels")
    expect(page.get_by_role("radio", name="By hand")).to_be_checked()
    page.get_by_role("button", name="Label pictures").click()
    labelled, caption = page.locator("[data-labelled]"), page.locator("[data-caption]")
    expect(page.locator("[data-next] img")).to_have_count(5)
    page.wait_for_load_state()
    first = caption.inner_text()

    for name in ("cat", "dog"):
        page.keyboard.press("/")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="2 dog 1")).to_be_visible()
    expect(caption).not_to_have_text(first)
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("x")
    expect(labelled).to_have_text("4")
    expect(page.get_by_text("is left out.")).to_be_visible()

    page.keyboard.press("z")
    page.keyboard.press("z")
    expect(labelled).to_have_text("3")
    expect(page.get_by_text("Undone:")).to_be_visible()

    page.keyboard.press("v")
    tiles = page.locator("[data-tile]")
    expect(tiles).to_have_count(9)
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("2")
    expect(labelled).to_have_text("6")
    page.keyboard.press("Control+a")
    expect(page.get_by_text("All 6 pictures are selected.")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Every picture has a label or is left out")).to_be_visible()

    page.get_by_role("link", name="Done: check the labels").click()
    expect(page.get_by_role("heading", name="2 classes")).to_be_visible()
    expect(page.get_by_text("12 pictures labelled by hand.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text("6 pictures labelled by hand.")).to_be_visible()
    page.get_by_role("button", name="These labels are right").click()
    expect(page.get_by_role("heading", name="What the network will see")).to_be_visible()


def test_all_that_match_are_taken_back_even_those_that_were_never_fetched(page: Page, server: Server) -> None:
    page.goto(f"{server.url}{unlabelled(server, MORE_THAN_FETCHED)}/labels/by-hand")
    page.wait_for_load_state()
    page.keyboard.press("/")
    page.keyboard.type("cat")
    page.keyboard.press("Enter")
    expect(page.locator("[data-labelled]")).to_have_text("1")
    page.keyboard.press("v")
    page.get_by_role("button", name="Select all").click()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Every picture has a label or is left out")).to_be_visible()

    page.keyboard.press("z")

    expect(page.locator("[data-left-words]")).to_have_text(f"{MORE_THAN_FETCHED - 1}")
    expect(page.locator("[data-labelled]")).to_have_text("1")
    expect(page.locator("[data-tile]").first).to_be_visible()
