"""Whatever people call their things is shown as they wrote it, on every page, and nothing of it is ever run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, serving, watched_page
from tests.e2e.furnished import Furnished, Wording, furnish
from tests.e2e.places import PLACES
from tests.fixtures.pictures import encode

pytestmark = pytest.mark.e2e

IMAGE = "<img src=x onerror=alert(1)>"
TEMPLATE = "{{7001*7001}}"
"""Its product is a number that no page shows by chance."""
SCRIPT = "javascript:alert(2)"
BREAKOUT = "\"'></script><script>alert(3)</script>"
# A folder's name is a class here, and has no slash.
HOSTILE = Wording(
    dataset=f"{IMAGE} {TEMPLATE} {BREAKOUT}",
    classes=(IMAGE, TEMPLATE, SCRIPT),
    file=f"{IMAGE}{TEMPLATE}&amp;",
    run=f"{IMAGE} {TEMPLATE} {BREAKOUT}",
)

# What must not be found in the page: an element or an address made of somebody's text.
MADE_OF_TEXT = """() => [
  ...document.querySelectorAll("img[src='x'], img[onerror], script:not([src])"),
  ...[...document.querySelectorAll("a[href], form[action]")].filter((it) =>
    (it.getAttribute("href") ?? it.getAttribute("action")).trim().toLowerCase().startsWith("javascript:")),
].map((it) => it.outerHTML)"""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server in which everything has a hostile name."""
    with serving(tmp_path_factory.mktemp("hostile"), migrated_sqlite) as server:
        yield furnish(server, HOSTILE)


@pytest.fixture
def page(browser: Browser, furnished: Furnished, complaints: Complaints) -> Iterator[Page]:
    """Ana, signed in."""
    with watched_page(browser, complaints) as page:
        page.context.request.get(furnished.server.sign_in)
        yield page


@pytest.mark.parametrize("place", PLACES)
def test_no_text_becomes_an_element_or_is_run(
    page: Page, furnished: Furnished, complaints: Complaints, place: str
) -> None:
    complaints.expected = PLACES[place].expected

    PLACES[place].open(page, furnished)
    page.wait_for_load_state("load")

    assert page.evaluate(MADE_OF_TEXT) == []
    # Nothing was worked out, neither by a template of the server's nor by one in the page.
    assert "49014001" not in page.locator("main").inner_text()
    # Nor is a function or an object of the server's shown in place of what it stands for.
    shown = (page.locator("body").text_content() or "").splitlines()
    assert [line.strip() for line in shown if " at 0x" in line] == []


def test_the_dataset_is_called_what_it_is_called(page: Page, furnished: Furnished) -> None:
    page.goto(furnished.server.url)
    page.get_by_role("link", name=HOSTILE.dataset, exact=True).click()

    expect(page.get_by_role("heading", name=HOSTILE.dataset, exact=True)).to_be_visible()


def test_files_and_what_was_left_aside_are_called_what_they_are_called(page: Page, furnished: Furnished) -> None:
    PLACES["pictures"].open(page, furnished)

    expect(page.get_by_text(f"{HOSTILE.file} broken.jpg", exact=True)).to_be_visible()
    expect(page.locator(".tile-sub").first).to_have_text(f"{SCRIPT}/{HOSTILE.file} 7.png")


def test_classes_are_called_what_they_are_called(page: Page, furnished: Furnished) -> None:
    PLACES["labels"].open(page, furnished)
    assert page.locator(".class-name").all_inner_texts() == [IMAGE, SCRIPT, TEMPLATE]

    PLACES["look"].open(page, furnished)
    assert page.locator(".balance-name").all_inner_texts() == [IMAGE, SCRIPT, TEMPLATE]
    page.get_by_text("As a table").click()
    assert page.locator(".look tbody th").all_inner_texts() == [IMAGE, SCRIPT, TEMPLATE, "All 3 classes"]
    assert set(page.locator(".batch-title").all_inner_texts()) <= {IMAGE, SCRIPT, TEMPLATE}


def test_a_class_leads_to_its_pictures(page: Page, furnished: Furnished) -> None:
    PLACES["look"].open(page, furnished)

    page.get_by_role("link", name=f"{SCRIPT} 8", exact=True).click()

    expect(page.get_by_role("heading", name="8 pictures")).to_be_visible()
    expect(page.get_by_label("Class", exact=True)).to_have_value(SCRIPT)


def test_the_matrix_names_and_opens_them(page: Page, furnished: Furnished) -> None:
    PLACES["confusions"].open(page, furnished)
    cell = page.get_by_role("gridcell", name=f"actual {SCRIPT}, predicted {SCRIPT}: ", exact=False)
    cell.click()
    expect(page.locator("[data-matrix-words]")).to_contain_text(f"Actual {SCRIPT}, predicted {SCRIPT}")

    page.locator("[data-matrix-all]").click()

    expect(page.get_by_role("heading", name=f"{SCRIPT}, predicted {SCRIPT}")).to_be_visible()
    page.wait_for_load_state()
    page.locator("[data-view]").first.click()
    expect(page.locator("[data-viewer-path]")).to_contain_text(HOSTILE.file)


def test_runs_and_their_failures_are_text(page: Page, furnished: Furnished) -> None:
    PLACES["run, failed"].open(page, furnished)

    expect(page.get_by_role("heading", name=f"{HOSTILE.dataset}, {HOSTILE.run}, failed")).to_be_visible()
    expect(page.get_by_text(f"no room on the graphics card for pictures of {IMAGE}")).to_be_visible()


def test_the_pill_and_the_title_say_what_runs(page: Page, furnished: Furnished) -> None:
    page.goto(furnished.server.url)

    expect(page.locator("[data-run-text]")).to_contain_text(HOSTILE.dataset)
    expect(page).to_have_title(f"50 % - {HOSTILE.dataset} · Tellapart")


def test_an_answer_names_the_file_and_the_class(page: Page, furnished: Furnished, tmp_path: Path) -> None:
    picture = tmp_path / f"{IMAGE}.png"
    picture.write_bytes(_red())
    broken = tmp_path / f"{TEMPLATE}.jpg"
    broken.write_bytes(b"no picture")
    PLACES["try"].open(page, furnished)

    page.get_by_label("Choose pictures").set_input_files([picture, broken])

    answers = page.locator(".answer")
    expect(answers).to_have_count(2)
    expect(answers.first.get_by_role("heading")).to_contain_text(IMAGE)
    expect(answers.first).to_contain_text(f"{IMAGE}.png")
    expect(answers.last).to_contain_text(f"{TEMPLATE}.jpg: ")
    assert page.evaluate(MADE_OF_TEXT) == []


def test_the_forms_keep_what_was_typed(page: Page, furnished: Furnished) -> None:
    PLACES["pictures, renaming"].open(page, furnished)

    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value(HOSTILE.dataset)


def _red() -> bytes:
    return encode(Image.new("RGB", (32, 32), (250, 0, 0)))
