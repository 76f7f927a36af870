"""How much a page weighs, whether its layout shifts, and how many streams it holds open."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.e2e.conftest import Complaints, watched_page
from tests.e2e.furnished import Furnished
from tests.e2e.places import PLACES, address_of

pytestmark = pytest.mark.e2e

KB = 1000
WITH_CHART = {name for name in PLACES if name in ("run, running", "run, succeeded") or name.startswith("find a rate, ")}

COUNT_STREAMS = """
window.streams = [];
window.EventSource = class extends EventSource {
  constructor(...of) { super(...of); window.streams.push(this); }
};
"""
OPEN_STREAMS = "window.streams.filter((stream) => stream.readyState !== EventSource.CLOSED).length"
SUM_SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
SET_HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def furnished(crowded: Furnished) -> Furnished:
    """A dataset with as many classes as the course's."""
    return crowded


@pytest.fixture
def page(browser: Browser, furnished: Furnished, complaints: Complaints) -> Iterator[Page]:
    """Ana, signed in, whose browser hasn't fetched anything yet."""
    with watched_page(browser, complaints) as page:
        page.context.request.get(furnished.server.sign_in)
        yield page


@dataclass
class Weights:
    """Bytes of what a page fetched, as they travelled, by kind."""

    answers: list[Response] = field(default_factory=list)

    def add(self, answer: Response) -> None:
        """One more thing was fetched."""
        self.answers.append(answer)

    def packed(self, *kinds: str) -> int:
        """Together, of some kinds: ``script``, ``stylesheet``, ``document``, ``image``."""
        return sum(
            answer.request.sizes()["responseBodySize"]
            for answer in self.answers
            if answer.request.resource_type in kinds and answer.ok
        )


# A refused order is a second page, of the same weight as the first.
@pytest.mark.parametrize("place", [place for place in PLACES if place != "train, refused"])
def test_pages_are_light(page: Page, furnished: Furnished, complaints: Complaints, place: str) -> None:
    complaints.expected = PLACES[place].expected
    weights = Weights()
    page.on("response", weights.add)

    PLACES[place].open(page, furnished)
    page.wait_for_load_state("load")

    assert weights.packed("script") <= (250 if place in WITH_CHART else 60) * KB
    assert weights.packed("stylesheet") <= 20 * KB
    assert weights.packed("document") <= 60 * KB


@pytest.mark.parametrize(
    "place", ["home", "pictures", "look", "train", "runs", "run, running", "run, succeeded", "try"]
)
def test_nothing_moves_while_it_is_read(page: Page, furnished: Furnished, place: str) -> None:
    page.add_init_script(SUM_SHIFTS)
    page.goto(address_of(furnished.server, PLACES[place].path, furnished))
    if place in WITH_CHART:
        expect(page.locator("[data-curves] canvas").first).to_be_visible()
    page.wait_for_timeout(500)

    assert page.evaluate("window.shifts") <= 0.02


def test_the_page_of_a_run_is_at_most_200_kb(page: Page, furnished: Furnished) -> None:
    weights = Weights()
    page.on("response", weights.add)

    page.goto(address_of(furnished.server, "/runs/{running_run}", furnished))
    expect(page.locator("[data-curves] canvas").first).to_be_visible()

    assert weights.packed("script") > 60 * KB
    assert weights.packed("stylesheet") > 3 * KB
    assert weights.packed("script", "stylesheet", "document", "image", "fetch", "other") <= 200 * KB
    assert weights.packed("document") > 1 * KB


def test_thirty_seven_classes_are_a_table_of_cells(page: Page, furnished: Furnished) -> None:
    PLACES["confusions"].open(page, furnished)

    expect(page.locator("[data-matrix] [data-level]")).to_have_count(37 * 37)


@pytest.mark.parametrize("place", ["home", "pictures", "labels", "run, running", "runs"])
def test_a_tab_holds_one_stream_and_none_while_it_is_hidden(page: Page, furnished: Furnished, place: str) -> None:
    page.add_init_script(COUNT_STREAMS)
    PLACES[place].open(page, furnished)
    page.wait_for_load_state("load")
    assert page.evaluate(OPEN_STREAMS) == 1

    page.evaluate(SET_HIDDEN, True)
    assert page.evaluate(OPEN_STREAMS) == 0

    page.evaluate(SET_HIDDEN, False)
    assert page.evaluate(OPEN_STREAMS) == 1


def test_twelve_tabs_in_the_background_leave_room_for_one_more(page: Page, furnished: Furnished) -> None:
    address = address_of(furnished.server, "/runs/{running_run}", furnished)
    for _ in range(12):
        tab = page.context.new_page()
        tab.goto(address)
        # Without a window, no tab ever hides another.
        tab.evaluate(SET_HIDDEN, True)

    page.goto(address)

    expect(page.locator("[data-curves] canvas").first).to_be_visible()
