"""Adding pictures in a real browser: nothing jumps, what never came is reported, and one press trains."""

import random
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Request, Route, expect

from tests.e2e.conftest import Complaints, Server, drop
from tests.fixtures.pictures import folder_of_shapes

SLOW = 180_000
"""Milliseconds that 45 pictures may take on a busy machine."""
WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shift += entry.value)))
  .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``shapes`` with a folder for each of three classes."""
    for path, content in folder_of_shapes(15, 24).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path / "shapes"


def _empty_dataset(page: Page, server: Server) -> str:
    page.goto(f"{server.url}/datasets/new")
    page.get_by_label("Name", exact=True).fill("Shapes")
    page.get_by_role("button", name="Create an empty dataset").click()
    expect(page.get_by_role("heading", name="Shapes", exact=True)).to_be_visible()
    return page.url


def _choose(page: Page, folder: Path) -> None:
    page.locator("input[webkitdirectory]").set_input_files(folder)


def test_nothing_jumps_while_pictures_arrive(page: Page, server: Server, folder: Path) -> None:
    page.add_init_script(WATCH_SHIFTS)
    _empty_dataset(page, server)

    _choose(page, folder)

    expect(page.get_by_role("button", name="Train now")).to_be_visible(timeout=SLOW)
    assert page.evaluate("window.shift") < 0.02


def test_from_an_own_folder_to_a_training_it_takes_one_choice_and_one_press(
    page: Page, server: Server, folder: Path
) -> None:
    _empty_dataset(page, server)
    _choose(page, folder)
    expect(page.get_by_text("All 45 pictures get a label")).to_be_visible(timeout=SLOW)

    page.get_by_role("button", name="Train now").click()

    page.wait_for_url(re.compile(r"/runs/[0-9a-f]{32}$"))


def test_large_pictures_of_a_dropped_folder_come_in_requests_of_at_most_16_mb(
    page: Page, server: Server, tmp_path: Path
) -> None:
    sent: list[Request] = []
    page.on("request", lambda one: sent.append(one) if one.url.endswith("/images") else None)
    (tmp_path / "noise").mkdir()
    for number in range(7):
        noise = Image.frombytes("RGB", (1400, 1000), random.Random(number).randbytes(1400 * 1000 * 3))
        noise.save(tmp_path / "noise" / f"{number}.bmp")
    _empty_dataset(page, server)

    drop(page, tmp_path / "noise")

    expect(page.get_by_text("7 pictures added")).to_be_visible(timeout=SLOW)
    # Of 4.2 MB each, so three a request.
    assert sorted(int(one.all_headers()["content-length"]) // 4_200_000 for one in sent) == [1, 3, 3]


def test_a_dropped_folder_is_read_to_its_bottom_whatever_its_files_are_called(
    page: Page, server: Server, tmp_path: Path
) -> None:
    names = ("a.png", "b/c/d e.png", "b/c/back\\slash.png", "b/größe %20#?.png", ".hidden.png", "b/.git/e.png")
    pictures = folder_of_shapes(2, 24).values()
    for name, content in zip(names, pictures, strict=True):
        (tmp_path / "mixed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed" / name).write_bytes(content)
    _empty_dataset(page, server)

    drop(page, tmp_path / "mixed")

    expect(page.get_by_text("4 pictures added · 2 hidden or system files skipped")).to_be_visible(timeout=SLOW)


def test_a_file_that_vanished_since_it_was_chosen_is_left_out_and_the_others_arrive(
    page: Page, server: Server, tmp_path: Path, complaints: Complaints
) -> None:
    complaints.expected = ("ERR_FILE_NOT_FOUND", "ERR_UPLOAD_FILE_CHANGED", "ERR_FAILED")
    held: list[Route] = []
    for path, content in folder_of_shapes(20, 24).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    _empty_dataset(page, server)
    page.route(re.compile("/images$"), lambda route: held.append(route))
    # 48 of the 60 files are under way, and the rest waits.
    _choose(page, tmp_path / "shapes")
    expect(page.get_by_text("0 of 60 files")).to_be_visible()
    last = max((tmp_path / "shapes").rglob("*.*"))
    for one in (tmp_path / "shapes").rglob("*.*"):
        if one.name == last.name:
            one.unlink()

    page.unroute_all()

    expect(page.get_by_text("57 pictures added · 3 files left out")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Your browser can't read this file any more.")).to_have_count(3)


def test_an_upload_that_fails_shows_what_did_not_arrive(
    page: Page, server: Server, folder: Path, complaints: Complaints
) -> None:
    complaints.expected = ("507",)
    _empty_dataset(page, server)
    answered = 0

    def full(route: Route) -> None:
        nonlocal answered
        answered += 1
        if answered == 1:
            route.continue_()
            return
        error = {"code": "disk-full", "message": "The server's disk is full.", "advice": "Free some space."}
        route.fulfill(status=507, json={"error": error})

    page.route("**/api/v1/datasets/*/images", full)
    _choose(page, folder)

    notice = page.get_by_role("alert").filter(has_text="The server's disk is full. Free some space.")
    expect(notice).to_be_visible(timeout=SLOW)
    expect(notice).to_contain_text(
        re.compile(
            r"\d+ of 45 files didn't arrive\..* Drop the folder again to send the rest; nothing is stored twice\."
        )
    )
    assert "(0 files)" not in notice.inner_text()


def test_an_upload_that_a_closed_page_interrupted_is_asked_when_the_page_is_opened_again(
    page: Page, server: Server, folder: Path, complaints: Complaints
) -> None:
    complaints.expected = ("ERR_FAILED",)
    url = _empty_dataset(page, server)
    page.route("**/api/v1/datasets/*/images", lambda route: route.abort())
    _choose(page, folder)
    expect(page.get_by_text("0 of 45 files")).to_be_visible(timeout=SLOW)
    later = page.context.new_page()
    page.close()

    later.goto(url)

    notice = later.get_by_role("alert").filter(has_text="The last upload was interrupted.")
    expect(notice).to_contain_text("45 of 45 files didn't arrive. Drop the folder again to send the rest")


def test_what_is_chosen_before_the_script_of_the_page_has_arrived_is_uploaded_too(
    page: Page, server: Server, folder: Path
) -> None:
    page.goto(f"{server.url}/datasets/new")
    held: list[Route] = []
    page.route(re.compile("/js/upload-"), lambda route: held.append(route))
    page.get_by_label("Name", exact=True).fill("Shapes")
    page.get_by_role("button", name="Create an empty dataset").click()
    page.wait_for_url(re.compile("/datasets/[0-9a-f]{32}$"), wait_until="commit")
    _choose(page, folder)
    assert held, "the script was not held back"

    for route in held:
        route.continue_()

    expect(page.get_by_text("45 pictures added")).to_be_visible(timeout=SLOW)


def test_u16_an_archive_continues_where_a_closed_page_left_it(
    page: Page, server: Server, tmp_path: Path, complaints: Complaints
) -> None:
    complaints.expected = ("ERR_FAILED",)
    archive = tmp_path / "pets.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/1.bmp", random.Random(1).randbytes(36_000_000))
    url = _empty_dataset(page, server)

    def cut_after_the_first_part(route: Route) -> None:
        offset = route.request.headers.get("upload-offset", "0")
        if route.request.method == "PATCH" and offset != "0":
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/uploads/*", cut_after_the_first_part)
    page.locator("input[type=file]:not([webkitdirectory])").first.set_input_files(archive)
    expect(page.get_by_text("Connection lost at 33.6 MB.")).to_be_visible(timeout=SLOW)
    later = page.context.new_page()
    page.close()
    later.goto(url)
    expect(later.get_by_text("pets.zip: 33.6 MB of 36.0 MB have arrived.")).to_be_visible(timeout=SLOW)
    sent: list[str] = []
    later.on(
        "request",
        lambda request: sent.append(request.headers["upload-offset"]) if request.method == "PATCH" else None,
    )

    later.locator("input[type=file]:not([webkitdirectory])").first.set_input_files(archive)

    expect(later.get_by_text("Queued: starts as soon as a worker is free.")).to_be_visible(timeout=SLOW)
    expect(later.get_by_text("have arrived")).to_have_count(0)
    assert sent == ["33554432"]


def test_pictures_are_chosen_and_deleted(page: Page, server: Server, folder: Path) -> None:
    url = _empty_dataset(page, server)
    _choose(page, folder)
    expect(page.get_by_text("45 pictures added")).to_be_visible(timeout=SLOW)
    page.goto(f"{url}/images")
    cells = page.get_by_role("listbox").get_by_role("option")
    cells.nth(0).click()
    cells.nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("3 pictures selected")).to_be_visible()

    page.get_by_role("button", name="Delete").click()

    expect(page.get_by_text("3 pictures moved to the bin.")).to_be_visible()
    expect(page.get_by_role("heading", name="42 pictures")).to_be_visible()


def test_a_click_on_a_picture_shows_its_details_a_second_opens_it_and_arrows_lead_on(
    page: Page, server: Server, folder: Path
) -> None:
    url = _empty_dataset(page, server)
    _choose(page, folder)
    expect(page.get_by_text("45 pictures added")).to_be_visible(timeout=SLOW)
    page.goto(f"{url}/images")

    cell = page.get_by_role("listbox").get_by_role("option").first
    cell.click()
    expect(page.get_by_text("24 × 24 pixels")).to_be_visible()
    cell.dblclick()
    page.wait_for_url(re.compile(r"/images/[0-9a-f]{32}"))
    first = page.url
    page.keyboard.press("ArrowRight")

    page.wait_for_url(lambda found: "/images/" in found and found != first)
