"""A fix sprint with keys: decided, taken back, finished, and trained again."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.furnished import Furnished, furnish
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e


@pytest.fixture
def furnished(server: Server) -> Furnished:
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
    expect(counts).to_have_text("1 right, 1 relabelled, 0 left out, 1 unsure")
    expect(page.get_by_text("Undone:")).to_be_visible()
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
