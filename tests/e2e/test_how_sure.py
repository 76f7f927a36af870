"""The page “How sure” by mouse and keys: figures follow the sliders, one button keeps them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, watched_page
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import address_of
from tests.e2e.server import serving
from tests.fixtures.strangeness import measure_what_waits

pytestmark = pytest.mark.e2e


@pytest.fixture
def furnished(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server of its own: its settings are changed."""
    with serving(tmp_path, migrated_sqlite) as server:
        yield furnish(server)


def opened(page: Page, furnished: Furnished) -> None:
    page.goto(furnished.server.sign_in)
    page.goto(address_of(furnished.server, "/runs/{succeeded_run}/understand/sure", furnished))


def test_figures_follow_the_slider_and_a_button_keeps_them(
    browser: Browser, furnished: Furnished, complaints: Complaints
) -> None:
    with watched_page(browser, complaints) as page:
        opened(page, furnished)
        slider = page.get_by_label("Answer from this confidence on")
        expect(page.get_by_text("It answers every picture")).to_be_visible()

        slider.focus()
        page.keyboard.press("End")

        expect(page.get_by_text("Sure of 99 % or more, it answers 0 % of the pictures.")).to_be_visible()
        expect(slider).to_be_focused()
        expect(page).to_have_url(re.compile("threshold=99"))
        page.get_by_role("button", name="Use these settings").click()
        expect(page.get_by_text("Saved. Answers and downloads follow these settings.")).to_be_visible()
        expect(slider).to_have_value("99")

        page.goto(address_of(furnished.server, "/checkpoints/{checkpoint}/try?image={image}", furnished))
        expect(page.get_by_role("heading", name="Not sure:")).to_be_visible()


def test_the_assumed_share_changes_what_a_refusal_means(
    browser: Browser, furnished: Furnished, complaints: Complaints
) -> None:
    with watched_page(browser, complaints) as page:
        opened(page, furnished)
        page.get_by_label("Limit: may refuse").fill("20")
        expect(page.get_by_text("If 10 % of all pictures show something else")).to_be_visible()

        page.get_by_role("slider", name="Assumed").fill("50")

        expect(page.get_by_text("If 50 % of all pictures show something else")).to_be_visible()


def test_a_class_gets_its_own_threshold_by_typing(
    browser: Browser, furnished: Furnished, complaints: Complaints
) -> None:
    with watched_page(browser, complaints) as page:
        opened(page, furnished)
        page.get_by_label("Answer from this confidence on").fill("50")
        expect(page.get_by_text("Sure of 50 % or more")).to_be_visible()
        page.get_by_text("Thresholds by class").click()
        field = page.get_by_label("Threshold of cat in percent")

        field.press_sequentially("95", delay=200)
        page.keyboard.press("Enter")

        expect(page.get_by_text("1 class has a threshold of its own.")).to_be_visible()
        expect(field).to_have_value("95")


def test_it_works_without_scripts(browser: Browser, furnished: Furnished) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    opened(page, furnished)

    page.get_by_label("Answer from this confidence on").fill("95")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("Sure of 95 % or more")).to_be_visible()
    page.get_by_role("button", name="Use these settings").click()

    expect(page.get_by_text("Saved. Answers and downloads follow these settings.")).to_be_visible()
    context.close()


def test_strangeness_is_measured_while_one_watches(
    browser: Browser, furnished: Furnished, complaints: Complaints
) -> None:
    with watched_page(browser, complaints) as page:
        page.goto(furnished.server.sign_in)
        path = "/runs/{succeeded_run}/understand/sure?checkpoint={first_checkpoint}"
        page.goto(address_of(furnished.server, path, furnished))

        page.get_by_role("button", name="Measure strangeness").click()
        expect(page.get_by_text("The measurement waits for a worker.")).to_be_visible()
        measure_what_waits(furnished.server.services.database, furnished.server.services.storage)

        expect(page.get_by_label("Limit: may refuse")).to_be_visible()
