"""axe-core on every page in every state, wide and narrow, light and dark; and no page scrolls sideways."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.conftest import Complaints, Server, watched_page
from tests.e2e.furnished import Furnished
from tests.e2e.places import EMPTY_PLACES, PLACES, address_of

pytestmark = pytest.mark.e2e

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
# Besides what axe does by itself: targets of at least 24 px.
OPTIONS = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
# Colours that glide to those of the other look aren't meant to be read half-way.
STAND_STILL = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important; }");
  document.adoptedStyleSheets = [sheet];
}"""
# Charts follow the window a moment later.
IS_TOO_WIDE = """async () => {
  for (let looks = 0; looks < 20; looks += 1) {
    if (document.documentElement.scrollWidth <= innerWidth) return false;
    await new Promise((done) => setTimeout(done, 100));
  }
  return true;
}"""
LOOKS = [(width, colours) for width in (1280, 390) for colours in ("light", "dark")]


@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_serious(browser: Browser, furnished: Furnished, complaints: Complaints, place: str) -> None:
    complaints.expected = PLACES[place].expected
    with watched_page(browser, complaints) as page:
        page.context.request.get(furnished.server.sign_in)
        PLACES[place].open(page, furnished)

        found = _found(page)
        assert not found, "\n".join(found)
        assert _widths_that_scroll(page) == []


@pytest.mark.parametrize("place", EMPTY_PLACES)
def test_axe_finds_nothing_serious_where_there_is_nothing_yet(
    browser: Browser, empty: Server, complaints: Complaints, place: str
) -> None:
    with watched_page(browser, complaints) as page:
        if place != "/sign-in":
            page.context.request.get(empty.sign_in)
        page.goto(address_of(empty, place))

        found = _found(page)
        assert not found, "\n".join(found)
        assert _widths_that_scroll(page) == []


def _found(page: Page) -> list[str]:
    """What axe calls serious or critical, with the look in which it is so."""
    page.evaluate(STAND_STILL)
    page.evaluate(AXE.read_text())
    found = []
    for width, colours in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if colours == "dark" else "light", reduced_motion="reduce")
        result = page.evaluate(f"axe.run(document, {json.dumps(OPTIONS)})")
        found += [f"{width} px, {colours}: {words}" for words in _serious(result)]
    return found


def _serious(result: dict[str, Any]) -> list[str]:  # Any: axe's own JSON
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def _widths_that_scroll(page: Page) -> list[int]:
    """Widths at which the page is wider than the window, and stays so."""
    found = []
    for width in (1280, 390, 320):
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate(IS_TOO_WIDE):
            found.append(width)
    return found
