"""Choosing how to train: cards, every number behind them, and the way back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, Server, serving
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import PLACES

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server with pictures and trainings."""
    with serving(tmp_path_factory.mktemp("furnished"), migrated_sqlite) as server:
        yield furnish(server)


@pytest.fixture
def server(furnished: Furnished) -> Server:
    """The one that ``page`` signs in to."""
    return furnished.server


def test_the_drawer_shows_what_the_card_means_and_a_touch_makes_it_ones_own(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()
    page.get_by_role("radio", name=re.compile("^The course, lesson 1")).check(force=True)
    epochs = page.locator("[name=stage_epochs_0]")
    expect(epochs).to_have_attribute("placeholder", "4")
    expect(page.locator("[name=batch_size]")).to_have_attribute("placeholder", "64")

    epochs.fill("6")

    expect(page.locator(".forecast")).to_contain_text("6 epochs of the head, then 2 of everything")
    expect(page.locator("label:has(:checked) [data-own]")).to_be_visible()

    page.get_by_role("button", name="Back to the card").click()
    expect(page.locator(".forecast")).to_contain_text("4 epochs of the head, then 2 of everything")
    expect(page.locator("[name=stage_epochs_0]")).to_have_value("")
    expect(page.locator("label:has(:checked) [data-own]")).to_be_hidden()


def test_a_rate_that_would_blow_up_is_said_while_it_is_typed(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()

    page.locator("[name=stage_high_0]").fill("5")

    expect(page.locator(".forecast")).to_contain_text("rate 5 would blow up; usual is 0.0001 to 0.01")
    expect(page.locator("[data-part=schedule-0] figcaption")).to_contain_text("to 5 in")


def test_without_scripts_a_stage_is_added_and_another_runs_settings_are_taken(
    browser: Browser, furnished: Furnished, complaints: Complaints
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(furnished.server.sign_in)
    page.goto(f"{furnished.server.url}/versions/{furnished.version_id}/train")
    page.get_by_text("every number, each with what it does").click()

    page.get_by_role("button", name="Add a stage").click()
    expect(page.get_by_role("group", name="Stage 2", exact=True)).to_be_visible()

    page.get_by_text("its settings or its weights").click()
    page.get_by_label("Its settings: fill in those of").select_option(furnished.runs["succeeded"])
    page.get_by_role("button", name="Fill in").click()
    expect(page.locator(".forecast")).to_contain_text("4 epochs of the head, then 2 of everything")
    context.close()


def test_a_run_goes_on_from_a_stage_of_another(page: Page, furnished: Furnished) -> None:
    PLACES["run, succeeded"].open(page, furnished)

    page.get_by_role("link", name=re.compile("^Go back to here")).click()

    expect(page.get_by_label("Its weights: begin with the model of")).to_have_value(furnished.checkpoints[0])
    expect(page.locator(".forecast")).to_contain_text("2 epochs of everything")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("heading", name="This run goes on from")).to_be_visible()


def test_keys_pause_a_run_and_let_it_go_on(page: Page, furnished: Furnished) -> None:
    page.goto(f"{furnished.server.url}/runs/{furnished.runs['queued']}")
    page.wait_for_load_state()

    page.keyboard.press("p")
    expect(page.get_by_text("This training is paused")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("p")
    expect(page.get_by_text(re.compile("^In line: "))).to_be_visible()


def test_keys_choose_a_card_and_train(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()

    page.keyboard.press("4")
    expect(page.get_by_role("radio", name=re.compile("^Thorough"))).to_be_checked()
    expect(page.locator(".forecast")).to_contain_text("ResNet-50")
    page.get_by_text("How to put the weights there").click()
    expect(page.get_by_text("resnet50-0676ba61.pth").first).to_be_visible()

    page.keyboard.press("3")
    expect(page.get_by_role("radio", name=re.compile("^Quick look"))).to_be_checked()
    expect(page.locator(".forecast")).to_contain_text("160 px")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name=re.compile("^animals, run "))).to_be_visible()


def test_what_is_said_in_words_is_hidden_by_a_key_and_stays_so(page: Page, furnished: Furnished) -> None:
    page.goto(f"{furnished.server.url}/runs/{furnished.runs['succeeded']}")
    page.wait_for_load_state()
    page.evaluate("window.isSamePage = true")

    page.get_by_role("button", name="Hide").focus()
    page.keyboard.press("Enter")

    again = page.get_by_role("button", name="Say it in words")
    expect(again).to_be_focused()
    expect(page.get_by_text("In words:")).to_have_count(0)
    assert page.evaluate("window.isSamePage")
    page.reload()
    expect(page.get_by_text("In words:")).to_have_count(0)
    again.click()
    expect(page.get_by_text("In words:")).to_be_visible()
