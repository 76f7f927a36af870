"""How pages look, in every state, wide and narrow, light and dark. `make screenshots` renews what is kept."""

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser

from tests.e2e.conftest import Complaints, Server, watched_page
from tests.e2e.furnished import Furnished
from tests.e2e.places import PLACES
from tests.e2e.screens import (
    FAULTS,
    HIDE_CHANCE,
    KEPT,
    LOOKS,
    SCREENS,
    Screen,
    Servers,
    difference,
    in_all_looks,
    kept_file,
    picture,
    small,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def servers(furnished: Furnished, crowded: Furnished, empty: Server) -> Servers:
    """Few, many and no pictures."""
    return Servers(furnished, crowded, empty)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_it_looks_as_it_should(browser: Browser, servers: Servers, complaints: Complaints, screen: Screen) -> None:
    complaints.expected = PLACES[screen.place].expected if screen.place in PLACES else ()
    with watched_page(browser, complaints) as page:
        servers.open(page, screen)
        page.evaluate(HIDE_CHANCE)
        found = []
        for width, colours in in_all_looks(page):
            look = f"{width} px, {colours}"
            found += [f"{look}: {fault}" for fault in page.evaluate(FAULTS)]
            file = kept_file(screen, width, colours)
            different = difference(picture(page), Image.open(file)) if file.exists() else "no picture of it is kept"
            if different:
                found.append(f"{look}: {different}; if it is meant so, `make screenshots`")

    assert not found, "\n".join(found)


def test_every_kept_picture_is_of_a_screen_that_there_is() -> None:
    wanted = {kept_file(screen, *look).name for screen in SCREENS for look in LOOKS}

    assert {file.name for file in KEPT.glob("*.webp")} == wanted


def test_kept_pictures_are_small() -> None:
    assert sum(file.stat().st_size for file in KEPT.glob("*.webp")) < 3_000_000


def test_a_page_squeezed_into_a_column_is_different() -> None:
    page = Image.new("RGB", (1280, 900), "white")
    ImageDraw.Draw(page).rectangle((100, 200, 1180, 800), fill="black")
    squeezed = Image.new("RGB", (1280, 900), "white")
    ImageDraw.Draw(squeezed).rectangle((100, 200, 320, 800), fill="black")

    assert difference(page, small(page)) == ""
    assert difference(squeezed, small(page)).endswith("of its area looks different")


def test_layout_faults_are_found(browser: Browser, complaints: Complaints) -> None:
    with watched_page(browser, complaints) as page:
        page.set_content(
            "<main style='width: 1000px; padding: 0'>"
            "<section style='width: 220px; height: 90px'>narrow</section>"
            "<section style='width: 1000px; height: 90px; margin-top: -40px'>over it</section>"
            "<h2 style='width: 60px'>AnUnbreakablyLongHeading</h2>"
            "<div popover style='display: block'>a word explained</div></main>"
        )

        found = "\n".join(page.evaluate(FAULTS))

    for words in ("220 of 1000 px wide", "lies over what is before it", "px too long", "a popover is open"):
        assert words in found
