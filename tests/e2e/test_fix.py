"""A fix sprint with keys: decided, taken back, finished, and trained again."""

from collections import Counter

import httpx
import pytest
from playwright.sync_api import Page, expect

from backend.domain.json import Json
from tests.conftest import OWNER_TOKEN
from tests.e2e.furnished import Furnished, Wording, furnish
from tests.e2e.server import Server
from tests.fixtures.processes import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def furnished(page: Page, server: Server) -> Furnished:
    # The home page would ask for pictures that furnishing deletes.
    page.goto("about:blank")
    return furnish(server)


def test_pictures_are_decided_with_keys_taken_back_and_trained_on(
    page: Page, server: Server, furnished: Furnished
) -> None:
    run = furnished.runs["succeeded"]
    page.goto(f"{server.url}/runs/{run}/understand/top-losses")
    page.get_by_role("link", name="Fix the labels of these").click()
    counts, position, caption = (
        page.locator("[data-counts]"),
        page.locator("[data-position]"),
        page.locator("[data-caption]"),
    )
    expect(page.locator("[data-next] img")).to_have_count(5)
    page.wait_for_load_state()
    many = int(position.inner_text().split(" of ")[1])
    first = caption.inner_text()

    page.keyboard.press("1")
    expect(counts).to_have_text("0 right, 1 relabelled, 0 left out")
    expect(caption).not_to_have_text(first)
    expect(page.locator("[data-reviews-words]")).to_have_text("· 1 of the 1 looked at was wrong")
    page.keyboard.press("k")
    page.keyboard.press("x")
    page.keyboard.press("u")
    expect(counts).to_have_text("1 right, 1 relabelled, 1 left out, 1 unsure")
    expect(position).to_have_text(f"5 of {many}")

    page.keyboard.press("z")
    expect(counts).to_have_text("1 right, 1 relabelled, 1 left out")
    page.keyboard.press("z")
    expect(counts).to_have_text("1 right, 1 relabelled, 0 left out")
    expect(page.get_by_text("Undone:")).to_be_visible()
    page.keyboard.press("u")
    page.keyboard.press("/")
    page.keyboard.type("yak")
    page.keyboard.press("Enter")
    expect(counts).to_have_text("1 right, 2 relabelled, 0 left out, 1 unsure")
    expect(page.locator("[data-reviews-words]")).to_have_text("· 2 of the 3 looked at were wrong")

    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_text("You looked at 3 pictures and changed 2 labels")).to_be_visible()
    expect(page.get_by_text("2 changes since this run.")).to_be_visible()
    page.reload()
    expect(page.locator("[data-position]")).to_have_text(f"1 of {many - 3}")
    page.get_by_role("button", name="Undo all of this sprint").wait_for(state="hidden")


def test_a_sprint_is_undone_as_a_whole(page: Page, server: Server, furnished: Furnished) -> None:
    run = furnished.runs["succeeded"]
    page.goto(f"{server.url}/runs/{run}/fix?from=top-losses")
    page.wait_for_load_state()
    for key in ("1", "x"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("button", name="Retrain with these 2")).to_be_visible()

    page.get_by_role("button", name="Undo all of this sprint").click()

    expect(page.locator("[data-counts]")).to_have_text("0 right, 0 relabelled, 0 left out")
    expect(page.get_by_role("button", name="Retrain with these 2")).to_be_hidden()


def test_retraining_leads_to_the_new_run(page: Page, server: Server, furnished: Furnished) -> None:
    run = furnished.runs["succeeded"]
    page.goto(f"{server.url}/runs/{run}/fix?from=top-losses")
    page.wait_for_load_state()
    page.keyboard.press("x")
    page.get_by_role("button", name="Finish").click()

    page.get_by_role("button", name="Retrain with this 1").click()

    expect(page.get_by_text("with corrected labels")).to_be_visible()
    expect(page.get_by_text("Queued").first).to_be_visible()


def test_without_anything_suspect_the_page_leads_on(page: Page, server: Server, furnished: Furnished) -> None:
    page.goto(f"{server.url}/runs/{furnished.runs['succeeded']}/fix?from=class&class=nobody")

    page.get_by_role("link", name="Look at labels that are probably wrong").click()

    expect(page.locator("h1")).to_have_text("Fix labels")


MANY = Wording(classes=("cross", "circle", "square"))
EACH = 30


@pytest.fixture
def crowd(page: Page, server: Server) -> Furnished:
    """A run with 36 test pictures: a page of thirty, and six more."""
    page.goto("about:blank")
    return furnish(server, MANY, each=EACH)


def changes_of(furnished: Furnished) -> list[Json]:
    """The ledger of labels, as REST gives it."""
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    path = f"{furnished.server.url}/api/v1/datasets/{furnished.dataset_id}/labels/changes?limit=1000"
    items: list[Json] = httpx.get(path, headers=headers, trust_env=False).json()["items"]
    return [item for item in items if item["undone_at"] is None]


def test_many_are_selected_decided_at_once_and_taken_back_as_one(page: Page, server: Server, crowd: Furnished) -> None:
    run = crowd.runs["succeeded"]
    page.goto(f"{server.url}/runs/{run}/fix?from=top-losses")
    page.wait_for_load_state()
    page.keyboard.press("v")
    tiles, counts, selected = (
        page.locator("[data-tile]"),
        page.locator("[data-counts]"),
        page.locator("[data-selected]"),
    )
    expect(tiles).to_have_count(30)
    assert "view=grid" in page.url
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    tiles.nth(2).click(modifiers=["Control"])
    tiles.nth(4).click(modifiers=["Control"])
    expect(selected).to_have_text("3 selected")
    proposals = [tiles.nth(place).locator(".tile-proposal").inner_text().split()[-1] for place in (0, 1)]
    labels = [tiles.nth(place).locator(".tile-title").first.inner_text().split()[-1] for place in (0, 1)]

    page.keyboard.press("Enter")

    expect(tiles).to_have_count(28)
    expect(page.get_by_text("1 picture without a proposal stayed.")).to_be_visible()
    expect(counts).to_have_text("0 right, 2 relabelled, 0 left out")
    expect(page.get_by_text("2 changes since this run.")).to_be_visible()
    # What is decided is stored behind the page.
    wait_until(lambda: len(changes_of(crowd)) == 2, "two changes")
    changes = changes_of(crowd)
    assert Counter((c["before"], c["after"]) for c in changes) == Counter(zip(labels, proposals, strict=True))
    assert {(c["reason"], c["run_id"]) for c in changes} == {("fix: top-losses", run)}
    assert len({c["batch_id"] for c in changes}) == 1

    page.keyboard.press("z")
    expect(tiles).to_have_count(30)
    expect(page.get_by_text("Undone:")).to_be_visible()
    expect(page.get_by_text("changes since this run.")).to_be_hidden()
    wait_until(lambda: changes_of(crowd) == [], "all changes are taken back")


def test_keys_alone_decide_about_a_page_and_the_next_is_there(page: Page, server: Server, crowd: Furnished) -> None:
    page.goto(f"{server.url}/runs/{crowd.runs['succeeded']}/fix?from=top-losses&view=grid")
    tiles, counts = page.locator("[data-tile]"), page.locator("[data-counts]")
    expect(tiles).to_have_count(30)
    expect(tiles.first).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("/")
    page.keyboard.type("square")
    page.keyboard.press("Enter")
    expect(tiles).to_have_count(28)
    expect(tiles.first).to_be_focused()
    page.keyboard.press("x")
    expect(counts).to_contain_text("1 left out")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("u")
    expect(counts).to_contain_text("2 unsure")
    page.keyboard.press("Control+a")
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name="Sprint finished")).to_be_visible()
    expect(page.locator("[data-finished-words]")).to_contain_text("You looked at 28 pictures and changed 3 labels")

    page.keyboard.press("n")

    expect(tiles).to_have_count(6)
    wait_until(lambda: len(changes_of(crowd)) == 28, "28 changes")
    page.keyboard.press("v")
    expect(page.locator("[data-picture] img")).to_be_visible()
    assert "view=one" in page.url


def test_a_box_selects_and_the_view_is_remembered(page: Page, server: Server, crowd: Furnished) -> None:
    address = f"{server.url}/runs/{crowd.runs['succeeded']}/fix?from=top-losses"
    page.goto(address)
    page.get_by_role("button", name="Grid").click()
    tiles = page.locator("[data-tile]")
    expect(tiles).to_have_count(30)
    first, fourth = tiles.nth(0).bounding_box(), tiles.nth(3).bounding_box()
    assert first is not None
    assert fourth is not None
    page.mouse.move(first["x"] + 5, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(fourth["x"] + 20, fourth["y"] + 20, steps=4)
    page.mouse.up()
    expect(page.locator("[data-selected]")).to_have_text("4 selected")

    page.goto(address)

    expect(tiles).to_have_count(30)
