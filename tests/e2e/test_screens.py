"""How pages look, in every state, wide and narrow, light and dark, and whether everyone can use them.

`make screenshots` renews the pictures that are kept.
"""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

from tests.e2e.axe import load_axe, serious_findings, widths_that_scroll
from tests.e2e.conftest import Complaints, Server, watched_page
from tests.e2e.furnished import Furnished
from tests.e2e.places import PLACES
from tests.e2e.screens import (
    FAULTS,
    KEPT,
    LOOKS,
    SCREENS,
    Screen,
    Servers,
    difference,
    hide_chance,
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
def test_it_looks_as_it_should_and_axe_finds_nothing_serious(
    browser: Browser, servers: Servers, complaints: Complaints, screen: Screen
) -> None:
    complaints.expected = PLACES[screen.place].expected if screen.place in PLACES else ()
    with watched_page(browser, complaints) as page:
        servers.open(page, screen)
        load_axe(page)
        found = []
        for width, colours in in_all_looks(page):
            faults = [*page.evaluate(FAULTS), *serious_findings(page, only_colours=colours == "dark")]
            hide_chance(page)
            faults += _looks_different(page, kept_file(screen, width, colours))
            hide_chance(page, is_hidden=False)
            found += [f"{width} px, {colours}: {fault}" for fault in faults]

        assert not found, "\n".join(found)
        assert widths_that_scroll(page) == []


def _looks_different(page: Page, file: Path) -> list[str]:
    if not file.exists():
        return ["no picture of it is kept; `make screenshots`"]
    with Image.open(file) as kept:
        different = difference(picture(page), kept)
    return [f"{different}; if it is meant so, `make screenshots`"] if different else []


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
