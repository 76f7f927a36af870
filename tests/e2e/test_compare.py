"""Two runs compared, and runs marked, by mouse and by keys."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, serving, watched_page
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import address_of

pytestmark = pytest.mark.e2e

COMPARED = "/runs/{queued_run}/compare/{succeeded_run}"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server on which a second run has ended, with eight mistakes where the first made two."""
    with serving(tmp_path_factory.mktemp("compared"), migrated_sqlite) as server:
        furnished = furnish(server)
        furnished.past.succeed(wrong=(9, 8))
        yield furnished


@pytest.fixture
def page(browser: Browser, furnished: Furnished, complaints: Complaints) -> Iterator[Page]:
    """Ana, signed in, at the comparison."""
    with watched_page(browser, complaints) as page:
        page.context.request.get(furnished.server.sign_in)
        page.goto(address_of(furnished.server, COMPARED, furnished))
        yield page


def test_curves_of_both_runs_are_drawn_over_each_other_and_have_a_table(page: Page) -> None:
    expect(page.locator("[data-compare-curves] canvas")).to_be_visible()
    table = page.get_by_role("region", name="Epochs of both runs")
    expect(table).not_to_be_visible()

    page.keyboard.press("c")

    expect(table).to_be_visible()
    expect(table.locator("tbody tr")).to_have_count(6)


def test_a_key_swaps_the_two_runs(page: Page, furnished: Furnished) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("6 fewer mistakes")
    page.wait_for_load_state()

    page.keyboard.press("x")

    expect(page.get_by_role("heading", level=1)).to_contain_text("6 more mistakes")
    expect(page).to_have_url(address_of(furnished.server, "/runs/{succeeded_run}/compare/{queued_run}", furnished))


def test_a_picture_opens_large_with_both_answers(page: Page) -> None:
    page.wait_for_load_state()
    page.locator("#now-right [data-view]").first.click()
    viewer = page.get_by_role("dialog", name="One picture")

    expect(viewer).to_contain_text(re.compile("Label.*Before.*wrong.*After.*right", re.DOTALL))
    expect(viewer).to_contain_text("1 of 6")
    page.keyboard.press("ArrowRight")
    expect(viewer).to_contain_text("2 of 6")
    viewer.get_by_role("link", name="Open as a page").click()
    expect(page).to_have_url(re.compile(r"/datasets/\w+/images/\w+$"))


def test_another_run_is_chosen_from_a_list(page: Page, furnished: Furnished) -> None:
    page.locator("[name=before]").select_option(furnished.runs["succeeded"])
    page.locator("[name=after]").select_option(furnished.runs["queued"])
    page.get_by_role("button", name="Compare", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("6 more mistakes")


def test_two_runs_of_the_list_are_compared(page: Page, furnished: Furnished) -> None:
    page.goto(address_of(furnished.server, "/runs", furnished))
    for run in ("succeeded", "queued"):
        page.locator(f"[data-select][value='{furnished.runs[run]}']").check()

    page.get_by_role("button", name="Compare two").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("mistakes")


def test_a_note_is_saved_where_it_stands(page: Page, furnished: Furnished) -> None:
    page.goto(address_of(furnished.server, "/runs", furnished))
    note = page.locator(f"[data-note][form='note-{furnished.runs['succeeded']}']")
    page.wait_for_load_state()

    note.fill("the one in the shop")
    note.press("Enter")

    expect(page.get_by_role("status").filter(has_text="Note saved.")).to_be_visible()
    page.reload()
    expect(note).to_have_value("the one in the shop")


def test_a_star_is_set_and_taken_away(page: Page, furnished: Furnished) -> None:
    page.goto(address_of(furnished.server, "/runs", furnished))
    star = page.locator(f"[form='star-{furnished.runs['succeeded']}']")

    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "false")
