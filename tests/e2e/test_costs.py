"""The threshold of two classes by keys, and the pictures of a confused pair."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.axe import load_axe, serious_findings
from tests.e2e.conftest import Complaints, watched_page
from tests.e2e.furnished import Furnished, Wording, furnish
from tests.e2e.places import address_of
from tests.e2e.screens import FAULTS, in_all_looks
from tests.e2e.server import serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """Two classes."""
    with serving(tmp_path_factory.mktemp("two"), migrated_sqlite) as server:
        yield furnish(server, Wording(classes=("cat", "dog")))


@pytest.fixture
def page(browser: Browser, furnished: Furnished, complaints: Complaints) -> Iterator[Page]:
    with watched_page(browser, complaints) as page:
        page.goto(furnished.server.sign_in)
        page.goto(address_of(furnished.server, "/runs/{succeeded_run}/understand/confusions", furnished))
        yield page


def test_cost_and_counts_follow_the_slider_and_stay_in_the_address(page: Page) -> None:
    slider = page.get_by_role("slider", name="Predict cat from this probability on")
    expect(page.get_by_text("No threshold costs less.")).to_be_visible()

    slider.focus()
    page.keyboard.press("Home")
    page.get_by_label("A false cat costs").fill("2")
    page.keyboard.press("Tab")

    expect(page.get_by_text(re.compile(r"At 0 % the mistakes cost \d+\."))).to_be_visible()
    expect(page.get_by_text(re.compile(r"^0 missed × 1 \+ \d+ false × 2\.$"))).to_be_visible()
    expect(page).to_have_url(re.compile("threshold=0"))
    words = page.locator("[data-live=costs]").inner_text()
    page.reload()
    assert page.locator("[data-live=costs]").inner_text() == words


def test_a_button_goes_to_the_cheapest_threshold(page: Page) -> None:
    slider = page.get_by_role("slider", name="Predict cat from this probability on")
    slider.fill("100")

    page.get_by_role("link", name="Go to 50 %").press("Enter")

    expect(page.get_by_text("No threshold costs less.")).to_be_visible()
    expect(slider).to_have_value("50")
    expect(slider).to_be_focused()


def test_another_class_is_named_at_once_in_words_and_fields(page: Page) -> None:
    page.get_by_role("combobox", name="Class").select_option("dog")

    expect(page.get_by_role("slider", name="Predict dog from this probability on")).to_be_visible()
    expect(page.get_by_label("A missed dog costs")).to_have_value("1")


def test_a_picture_of_a_confused_pair_opens_its_page(page: Page) -> None:
    page.locator(".pair-pictures a").first.focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f]{32}/images/[0-9a-f]{32}$"))


def test_it_fits_every_width_and_axe_finds_nothing_serious(page: Page) -> None:
    load_axe(page)
    for width, colours in in_all_looks(page):
        found = [*page.evaluate(FAULTS), *serious_findings(page, only_colours=colours == "dark")]
        assert not found, f"{width} px, {colours}: {found}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
