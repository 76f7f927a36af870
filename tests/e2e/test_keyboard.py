"""Who has no mouse gets from the labels to a training as well."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, serving
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import PLACES

pytestmark = pytest.mark.e2e

MOST_STOPS = 60

FOCUSED = """() => {
  const it = document.activeElement;
  if (it === document.body) return "the end of the page";
  return (it.getAttribute("aria-label") || it.labels?.[0]?.innerText || it.innerText || it.value || "").trim();
}"""
# The ring that shows where one is, and nothing that lies over it.
IS_SEEN = """() => {
  const it = document.activeElement;
  if (it === document.body) return true;
  const shown = it.closest("label") ?? it;
  const box = shown.getBoundingClientRect();
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return it.matches(":focus-visible") && (shown.contains(top) || top?.contains(shown));
}"""


@pytest.fixture
def furnished(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server with pictures whose labels can be frozen once more."""
    with serving(tmp_path, migrated_sqlite) as server:
        yield furnish(server)


@pytest.fixture
def server(furnished: Furnished) -> Server:
    """The one that ``page`` signs in to."""
    return furnished.server


def test_from_labels_to_a_training_with_keys_only(page: Page, furnished: Furnished) -> None:
    PLACES["pictures"].open(page, furnished)
    page.wait_for_load_state()
    _tab_to(page, "Next: check the labels")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="How can we tell what a picture shows?")).to_be_visible()
    page.wait_for_load_state()
    _tab_to(page, "The folder it is in")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Its file name")).to_be_checked()
    _tab_to(page, "Pattern")
    page.keyboard.type("/([a-z]+)/[^/]*$")
    expect(page.get_by_role("heading", name="3 classes")).to_be_visible()
    expect(page.get_by_role("button", name="These labels are right")).to_be_enabled()
    # Enter in the field only shows what the rule gives; nothing is frozen by accident.
    page.keyboard.press("Enter")
    _tab_to(page, "These labels are right", "Shift+Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="What the network will see")).to_be_visible()
    page.wait_for_load_state()
    first = page.locator(".batch-item > img").first.get_attribute("src") or ""
    _tab_to(page, re.compile("^Another nine"))
    page.keyboard.press("Enter")
    expect(page.locator(".batch-item > img").first).not_to_have_attribute("src", first)
    assert _focused(page).startswith("Another nine"), "the focus survives the swap"
    _tab_to(page, "Looks right: train", "Shift+Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Train on version 2")).to_be_visible()
    page.wait_for_load_state()
    _tab_to(page, re.compile("^Recommended"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name=re.compile("^The course, lesson 1"))).to_be_checked()
    expect(page.locator(".forecast")).to_contain_text("4 epochs on the last layers, 2 on all layers")
    _tab_to(page, "Train")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name=re.compile("^animals, "))).to_be_visible()
    expect(page.get_by_text(re.compile("^Queued: "))).to_be_visible()
    _tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This training was cancelled.")).to_be_visible()


def test_the_first_tab_skips_to_the_content(page: Page, furnished: Furnished) -> None:
    PLACES["pictures"].open(page, furnished)

    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to the content"
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_focus_survives_what_comes_from_the_worker(page: Page, furnished: Furnished) -> None:
    PLACES["run, running"].open(page, furnished)
    page.get_by_role("button", name="Cancel").focus()

    furnished.past.go_on()
    expect(page.locator(".epoch-table").first.get_by_role("rowheader", name="2", exact=True)).to_be_visible()

    expect(page.get_by_role("button", name="Cancel")).to_be_focused()


def test_a_dialog_gives_the_focus_back(page: Page, furnished: Furnished) -> None:
    PLACES["pictures"].open(page, furnished)
    page.wait_for_load_state()
    page.get_by_role("button", name="Rename", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Rename animals")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.get_by_role("button", name="Rename", exact=True)).to_be_focused()


def test_letters_act_nowhere_while_somebody_types(page: Page, furnished: Furnished) -> None:
    page.goto(f"{furnished.server.url}/datasets/new")
    page.wait_for_load_state()

    page.get_by_label("Name", exact=True).press_sequentially("n?gd")

    expect(page.get_by_label("Name", exact=True)).to_have_value("n?gd")
    expect(page).to_have_url(f"{furnished.server.url}/datasets/new")
    expect(page.get_by_role("dialog")).to_have_count(0)


def _tab_to(page: Page, words: str | re.Pattern[str], key: str = "Tab") -> None:
    """Press Tab until what has the focus is called ``words``; each stop on the way must be seen."""
    is_it = (lambda found: found == words) if isinstance(words, str) else words.match
    on_the_way = []
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        found = _focused(page)
        on_the_way.append(found)
        assert page.evaluate(IS_SEEN), f"“{found}” has the focus but is covered or has no ring"
        if is_it(found):
            return
    raise AssertionError(f"no “{words}” among {on_the_way}")


def _focused(page: Page) -> str:
    """What has the focus, as it is called."""
    name: str = page.evaluate(FOCUSED)
    return name
