"""The server goes away, or no longer knows who is there: every page says so, keeps what it has, and recovers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import OWNER_TOKEN
from tests.e2e.conftest import Complaints, serving, watched_page
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import PLACES

pytestmark = pytest.mark.e2e

THAT_FETCH = [
    "home",
    "pictures",
    "labels",
    "look",
    "train",
    "runs",
    "run, running",
    "find a rate, waiting",
    "understand",
    "confusions",
    "try",
]
LOST = re.compile("^Connection lost. Trying again… What you see is from ")


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server of this file's own, as it is stopped and started."""
    with serving(tmp_path_factory.mktemp("connection"), migrated_sqlite) as server:
        yield furnish(server)


@pytest.fixture
def page(browser: Browser, furnished: Furnished, complaints: Complaints) -> Iterator[Page]:
    """Ana, signed in. What fails to load is in the console."""
    complaints.expected = ("Failed to load resource", "ERR_")
    if not furnished.server.is_running:
        # A test before this one failed while it was away.
        furnished.server.start()
    with watched_page(browser, complaints) as page:
        page.goto(furnished.server.sign_in)
        yield page


@pytest.mark.parametrize("place", THAT_FETCH)
def test_a_page_shows_that_the_server_is_away_and_recovers(page: Page, furnished: Furnished, place: str) -> None:
    PLACES[place].open(page, furnished)
    page.wait_for_load_state()
    banner = page.locator("[data-connection-banner]")
    expect(banner).to_be_empty()

    furnished.server.stop()
    expect(banner).to_have_text(LOST, timeout=10_000)
    assert page.evaluate("document.documentElement.dataset.connection") == "lost"
    assert page.evaluate(
        "[...document.querySelectorAll('.spin')].every((e) => getComputedStyle(e).animationName == 'none')"
    )

    furnished.server.start()
    expect(banner).to_be_empty(timeout=10_000)
    assert page.evaluate("document.documentElement.dataset.connection") == "online"


def test_what_happened_meanwhile_is_shown_when_the_server_is_back(page: Page, furnished: Furnished) -> None:
    PLACES["runs"].open(page, furnished)
    PLACES["run, running"].open(page, furnished)
    furnished.server.stop()
    expect(page.locator("[data-connection-banner]")).to_have_text(LOST, timeout=10_000)
    furnished.past.go_on()

    furnished.server.start()

    expect(
        page.locator("[data-live=stage-0] tbody th, .epoch-table tbody th").filter(has_text="2").first
    ).to_be_visible()


def test_a_server_that_no_longer_answers_is_noticed_too(page: Page, furnished: Furnished) -> None:
    PLACES["home"].open(page, furnished)

    page.route("**/session", lambda route: None)

    expect(page.locator("[data-connection-banner]")).to_have_text(LOST, timeout=10_000)


def test_a_load_that_is_noted_late_is_no_sign_that_the_server_is_back(page: Page, furnished: Furnished) -> None:
    page.add_init_script("""
        window.PerformanceObserver = class {
          constructor(note) { if (!window.note) window.note = note; }
          observe() {}
        };
        window.noteLoad = (endedAt) =>
          window.note({ getEntries: () => [{ responseStatus: 200, transferSize: 9, responseEnd: endedAt }] });
    """)
    PLACES["home"].open(page, furnished)
    furnished.server.stop()
    banner = page.locator("[data-connection-banner]")
    expect(banner).to_have_text(LOST, timeout=10_000)

    page.evaluate("noteLoad(1)")
    expect(banner).to_have_text(LOST)

    page.evaluate("noteLoad(performance.now())")
    expect(banner).to_be_empty()
    furnished.server.start()


def test_no_form_is_sent_into_nothing(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.locator("[name=stage_epochs_0]").fill("3")
    page.context.set_offline(True)
    expect(page.locator("[data-connection-banner]")).to_have_text(LOST, timeout=10_000)

    page.get_by_role("button", name="Train", exact=True).click()

    expect(page.locator("[name=stage_epochs_0]")).to_have_value("3")
    page.context.set_offline(False)


@pytest.mark.parametrize("place", THAT_FETCH)
def test_a_page_shows_that_its_reader_was_signed_out(page: Page, furnished: Furnished, place: str) -> None:
    PLACES[place].open(page, furnished)
    page.wait_for_load_state()
    path = page.evaluate("location.pathname")

    page.context.clear_cookies()

    banner = page.locator("[data-connection-banner]")
    expect(banner).to_contain_text("You were signed out.", timeout=10_000)
    assert page.locator("[name=key]").count() == 0
    banner.get_by_role("link", name="Sign in again").click()
    sign_in(page)
    expect(page).to_have_url(furnished.server.url + path)


def test_a_rule_that_was_typed_is_back_after_the_sign_in(page: Page, furnished: Furnished) -> None:
    PLACES["labels"].open(page, furnished)
    page.get_by_text("Its file name").click()
    page.context.clear_cookies()

    page.get_by_label("Pattern").fill("^(c|d|o)")

    banner = page.locator("[data-connection-banner]")
    expect(banner).to_contain_text("You were signed out.")
    banner.get_by_role("link", name="Sign in again").click()
    sign_in(page)
    expect(page.get_by_label("Pattern")).to_have_value("^(c|d|o)")
    expect(page.get_by_role("heading", name="3 classes")).to_be_visible()


def test_settings_of_a_training_that_was_not_ordered_are_back_after_the_sign_in(
    page: Page, furnished: Furnished
) -> None:
    PLACES["train, a card of three stages"].open(page, furnished)
    page.locator("[name=stage_epochs_2]").fill("7")
    page.context.clear_cookies()

    page.get_by_role("button", name="Train", exact=True).click()
    sign_in(page)

    expect(page.get_by_role("group", name="Stage 3")).to_be_attached()
    expect(page.locator("[name=stage_epochs_2]")).to_have_value("7")
    expect(page.locator("[data-status]")).to_contain_text("nothing was sent")


def test_what_was_sent_is_not_put_back_later(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.locator("[name=stage_epochs_0]").fill("3")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page).to_have_url(re.compile("/runs/"))

    PLACES["train"].open(page, furnished)

    assert page.locator("[name=stage_epochs_0]").input_value() != "3"


def sign_in(page: Page) -> None:
    """Type the key."""
    page.locator("[name=key]").fill(OWNER_TOKEN)
    page.get_by_role("button", name="Sign in").click()
