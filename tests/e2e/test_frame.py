"""The frame and the first three steps in a real browser, at the root and under a sub-path."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.e2e.conftest import Complaints, Server, drop
from tests.fixtures.pictures import draw, encode

pytestmark = pytest.mark.e2e

SUB_PATHS = pytest.mark.parametrize(
    "root_path", ["", "/tellapart"], indirect=True, ids=["at-the-root", "under-a-sub-path"]
)
HOSTILE = "<img src=x onerror=alert(1)>"


@SUB_PATHS
def test_a_dropped_folder_becomes_a_version_to_look_at(page: Page, shapes: Path) -> None:
    drop(page, shapes)

    expect(page.get_by_role("heading", name="shapes", exact=True)).to_be_visible()
    expect(page.get_by_text("24 pictures added")).to_be_visible()
    page.get_by_role("link", name="Next: check the labels").click()
    expect(page.get_by_text("Suggested: the folder each picture is in; this fits 24 of 24 pictures")).to_be_visible()
    page.get_by_role("button", name="These labels are right").click()
    expect(page.get_by_role("heading", name="What the network will see")).to_be_visible()
    expect(page.locator(".batch-item > img")).to_have_count(9)


def test_it_takes_all_of_a_folder_with_more_than_a_hundred_files(page: Page, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(120):
        (many / f"circle_{number}.png").write_bytes(encode(draw("circle", number, 16)))
    (many / ".DS_Store").write_bytes(b"x")

    drop(page, many)

    expect(page.get_by_text("120 pictures added")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("1 hidden or system file skipped")).to_be_visible()


def test_a_rule_is_tried_while_it_is_typed(page: Page, shapes: Path, complaints: Complaints) -> None:
    complaints.expected = ("422",)
    drop(page, shapes)
    expect(page.get_by_text("24 pictures added")).to_be_visible()
    page.get_by_role("link", name="Next: check the labels").click()
    page.get_by_text("Its file name").click()

    page.get_by_label("Pattern").fill("/([^/]+")
    expect(page.get_by_text("a round bracket opened at position 2 is never closed")).to_be_visible()
    expect(page.get_by_role("button", name="These labels are right")).to_be_disabled()

    page.get_by_label("Pattern").fill("/([a-z]+)/[^/]*$")
    expect(page.get_by_role("heading", name="3 classes")).to_be_visible()
    expect(page.get_by_role("button", name="These labels are right")).to_be_enabled()


def test_a_click_on_a_part_of_a_name_makes_the_rule(page: Page, tmp_path: Path) -> None:
    for shape in ("circle", "square"):
        for number in range(3):
            file = tmp_path / "flat" / f"shot_{number}_{shape}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(encode(draw(shape, number)))
    drop(page, tmp_path / "flat")
    expect(page.get_by_text("6 pictures added")).to_be_visible()
    page.get_by_role("link", name="Next: check the labels").click()

    page.locator("[data-sample]:visible").get_by_role("button", name=re.compile("circle|square")).click()

    expect(page.get_by_role("heading", name="2 classes")).to_be_visible()


def test_hostile_names_are_only_text(page: Page, tmp_path: Path) -> None:
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    for kind in (HOSTILE, "plain"):
        for number in range(5):
            # A folder's name can't have a slash, so the closing one is left out.
            file = tmp_path / HOSTILE / kind / f"{HOSTILE}{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(draw("cross", number + 10 * (kind == "plain"))))
    (tmp_path / HOSTILE / f"{HOSTILE}.jpg").write_bytes(b"not a picture")

    drop(page, tmp_path / HOSTILE)
    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    expect(page.get_by_text("10 pictures added")).to_be_visible()
    expect(page.get_by_text("1 file was left out")).to_be_visible()
    page.get_by_text("1 file was left out").click()
    page.get_by_role("link", name="Next: check the labels").click()
    expect(page.locator(".class-name", has_text=HOSTILE)).to_be_visible()
    page.get_by_role("button", name="These labels are right").click()
    expect(page.locator(".balance-name", has_text="plain")).to_be_visible()

    assert page.locator("img[src='x']").count() == 0
    assert dialogs == []


def test_the_theme_stays_on_the_next_page(page: Page, server: Server) -> None:
    page.get_by_label("Menu").click()
    page.get_by_label("Dark", exact=True).check()
    page.goto(f"{server.url}/datasets/new")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_question_mark_opens_the_list_of_keys(page: Page) -> None:
    page.keyboard.press("Shift+?")

    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("Datasets")


def test_a_deleted_dataset_comes_back_with_one_key(
    page: Page, shapes: Path, server: Server, complaints: Complaints
) -> None:
    # Pictures that were just being fetched are gone with it.
    complaints.expected = ("404",)
    drop(page, shapes)
    expect(page.get_by_text("24 pictures added")).to_be_visible()
    page.get_by_role("button", name="Delete dataset").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the dataset").click()

    expect(page).to_have_url(f"{server.url}/")
    expect(page.get_by_text("“shapes” is in the bin for 7 days.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_role("heading", name="shapes")).to_be_visible()
    expect(page.locator("[data-status]")).to_have_text("“shapes” is back.")


def test_a_slash_finds_a_dataset_by_its_name(page: Page, server: Server, shapes: Path) -> None:
    drop(page, shapes)
    expect(page.get_by_text("24 pictures added")).to_be_visible()
    page.goto(server.url)

    page.keyboard.press("/")
    page.keyboard.type("SHAP")
    expect(page.get_by_role("dialog", name="Search").get_by_role("link", name="shapes")).to_be_visible()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="shapes", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_page_scrolls_sideways(page: Page, shapes: Path, server: Server, width: int) -> None:
    drop(page, shapes)
    expect(page.get_by_text("24 pictures added")).to_be_visible()
    page.get_by_role("link", name="Next: check the labels").click()
    page.get_by_role("button", name="These labels are right").click()
    expect(page.locator(".batch-item > img")).to_have_count(9)
    steps = [link.get_attribute("href") or "" for link in page.locator(".journey-wide a").all()[:3]]
    page.set_viewport_size({"width": width, "height": 800})

    for path in ("/", "/datasets/new", *steps):
        page.goto(server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@SUB_PATHS
def test_at_most_one_stream_is_open_in_a_tab(page: Page, server: Server) -> None:
    page.goto("about:blank")  # the page before has opened one of its own
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/events" in request.url else None)

    with page.expect_request("**/events"):
        page.goto(f"{server.url}/datasets/new")
    page.get_by_label("Menu").click()
    page.wait_for_timeout(500)

    assert streams == [f"{server.url}/api/v1/events"]
