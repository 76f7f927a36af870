"""A word with a dotted underline explains itself, by keys too."""

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Complaints, watched_page
from tests.e2e.furnished import Furnished
from tests.e2e.places import PLACES, address_of

pytestmark = pytest.mark.e2e

# In a label the press would go to the control as well.
WORDS_WITHOUT_TEXT = """() => [...document.querySelectorAll(".term")]
  .filter((word) => {
    const texts = document.querySelectorAll(`[id="${word.getAttribute("popovertarget")}"]`);
    return texts.length !== 1 || word.closest("label");
  })
  .map((word) => word.outerHTML)"""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_word_opens_and_closes_by_keys(
    browser: Browser, furnished: Furnished, complaints: Complaints, width: int
) -> None:
    with watched_page(browser, complaints, width) as page:
        page.goto(furnished.server.sign_in)
        page.goto(address_of(furnished.server, "/runs/{succeeded_run}", furnished))
        word = page.get_by_role("button", name="valid_loss").first
        text = page.get_by_text("the model is overfitting").first

        word.focus()
        page.keyboard.press("Enter")
        expect(text).to_be_visible()
        box = text.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width

        page.keyboard.press("Escape")
        expect(text).to_be_hidden()
        expect(word).to_be_focused()


def test_each_word_has_one_text_of_its_own(browser: Browser, furnished: Furnished, complaints: Complaints) -> None:
    with watched_page(browser, complaints) as page:
        page.goto(furnished.server.sign_in)
        for name, place in PLACES.items():
            complaints.expected = place.expected
            place.open(page, furnished)
            assert page.evaluate(WORDS_WITHOUT_TEXT) == [], name
