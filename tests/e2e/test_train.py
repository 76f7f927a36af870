"""Choosing how to train: presets, every number behind them, and the way back."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import Complaints, Server, serving
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import PLACES

pytestmark = pytest.mark.e2e

_FORECAST: Final = re.compile("/train/forecast")


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server with pictures and trainings."""
    with serving(tmp_path_factory.mktemp("furnished"), migrated_sqlite) as server:
        yield furnish(server)


@pytest.fixture
def server(furnished: Furnished) -> Server:
    """The one that ``page`` signs in to."""
    return furnished.server


def test_the_drawer_shows_what_the_preset_means_and_marks_what_is_changed(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()
    page.get_by_role("radio", name=re.compile("^The course, lesson 1")).check(force=True)
    epochs = page.locator("[name=stage_epochs_0]")
    expect(epochs).to_have_attribute("placeholder", "4")
    expect(page.locator("[name=batch_size]")).to_have_attribute("placeholder", "64")

    epochs.fill("6")

    expect(page.locator(".forecast")).to_contain_text("6 epochs on the last layers, 2 on all layers")
    expect(page.locator("label:has(:checked) [data-own]")).to_be_visible()

    page.get_by_role("button", name="Undo the changes").click()
    expect(page.locator(".forecast")).to_contain_text("4 epochs on the last layers, 2 on all layers")
    expect(page.locator("[name=stage_epochs_0]")).to_have_value("")
    expect(page.locator("label:has(:checked) [data-own]")).to_be_hidden()


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_what_is_typed_while_the_server_answers_a_choice_is_kept(
    page: Page, furnished: Furnished, is_overtaken: bool
) -> None:
    held = _hold_the_first_forecast(page, furnished)
    stage = page.get_by_role("group", name="Stage 1")
    epochs = stage.get_by_label("Epochs", exact=True)
    usual = epochs.get_attribute("placeholder")
    with page.expect_request(_FORECAST):
        stage.get_by_label("Layers to train", exact=True).select_option(label="all layers (unfrozen)")
    epochs.fill("6")

    if not is_overtaken:
        held[0].continue_()

    # Drawn anew, with the usual number of epochs of such a stage.
    expect(epochs).not_to_have_attribute("placeholder", usual or "")
    expect(epochs).to_have_value("6")
    expect(page.locator(".forecast")).to_contain_text("6 epochs on all layers")
    assert len(held) == 2


def test_a_button_counts_that_is_pressed_while_the_settings_around_it_are_drawn_anew(
    page: Page, furnished: Furnished
) -> None:
    held = _hold_the_first_forecast(page, furnished)
    with page.expect_request(_FORECAST):
        page.get_by_role("radio", name=re.compile("^The course, lesson 1")).check(force=True)
    page.get_by_role("button", name="Add a stage").hover()
    page.mouse.down()

    with page.expect_response(_FORECAST):
        held[0].continue_()
    page.wait_for_timeout(300)
    page.mouse.up()

    expect(page.get_by_role("group", name="Stage 3")).to_be_visible()


def test_what_a_button_did_stays_when_something_is_typed_before_the_server_has_answered(
    page: Page, furnished: Furnished
) -> None:
    held = _hold_the_first_forecast(page, furnished)
    with page.expect_request(_FORECAST):
        page.get_by_role("button", name="Add a stage").click()
    page.get_by_role("group", name="Stage 1").get_by_label("Epochs", exact=True).fill("6")
    page.wait_for_timeout(600)

    held[0].continue_()

    expect(page.get_by_role("group", name="Stage 3")).to_be_visible()
    expect(page.get_by_role("group", name="Stage 1").get_by_label("Epochs", exact=True)).to_have_value("6")
    expect(page.locator(".forecast")).to_contain_text("6 epochs")


def _hold_the_first_forecast(page: Page, furnished: Furnished) -> list[Route]:
    """Open the train page; the first request for a forecast waits, in the list that later ones are noted in too."""
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()
    page.route(_FORECAST, hold_the_first)
    return held


def test_typing_into_a_field_that_was_filled_in_since_it_got_the_focus_replaces_its_value(
    page: Page, furnished: Furnished
) -> None:
    held: list[Route] = []
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()
    page.get_by_role("radio", name=re.compile("^The course, lesson 1")).check(force=True)
    expect(page.locator(".forecast")).to_contain_text("4 epochs on the last layers, 2 on all layers")
    drawer = page.locator("details.advanced")
    if drawer.get_attribute("open") is None:
        drawer.locator("summary").first.click()
    page.route(_FORECAST, lambda route: held.append(route))
    page.get_by_role("button", name="Remove stage 2").click()
    epochs = page.locator("[name=stage_epochs_0]")
    expect(epochs).to_have_value("")
    epochs.focus()

    held[0].continue_()
    expect(epochs).to_have_value("4")
    page.keyboard.insert_text("2")

    expect(epochs).to_have_value("2")


def test_a_rate_that_is_too_high_is_said_while_it_is_typed(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()

    page.locator("[name=stage_high_0]").fill("5")

    expect(page.locator(".forecast")).to_contain_text(
        "the learning rate 5 is too high, so training would fail. Usual: 0.0001 to 0.01"
    )
    expect(page.locator("[data-part=schedule-0] figcaption")).to_contain_text("to 5 in the first 25 %")


def test_without_scripts_a_stage_is_added_and_another_runs_settings_are_taken(
    browser: Browser, furnished: Furnished, complaints: Complaints
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(furnished.server.sign_in)
    page.goto(f"{furnished.server.url}/versions/{furnished.version_id}/train")
    page.get_by_text("all settings, each explained").click()

    page.get_by_role("button", name="Add a stage").click()
    expect(page.get_by_role("group", name="Stage 2", exact=True)).to_be_visible()

    page.get_by_text("continue with its model, or use its settings").click()
    page.get_by_label("Use the settings of").select_option(furnished.runs["succeeded"])
    page.get_by_role("button", name="Fill in").click()
    expect(page.locator(".forecast")).to_contain_text("4 epochs on the last layers, 2 on all layers")
    context.close()


def test_a_run_continues_from_a_stage_of_another(page: Page, furnished: Furnished) -> None:
    PLACES["run, succeeded"].open(page, furnished)

    page.get_by_role("link", name=re.compile("^Go back to here")).click()

    expect(page.get_by_label("Continue with the model of")).to_have_value(furnished.checkpoints[0])
    expect(page.locator(".forecast")).to_contain_text("2 epochs on all layers")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("heading", name="This run starts from")).to_be_visible()


def test_keys_pause_a_run_and_let_it_go_on(page: Page, furnished: Furnished) -> None:
    page.goto(f"{furnished.server.url}/runs/{furnished.runs['queued']}")
    page.wait_for_load_state()

    page.keyboard.press("p")
    expect(page.get_by_text(re.compile("^Paused "))).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("p")
    expect(page.get_by_text(re.compile("^Queued: "))).to_be_visible()


def test_keys_choose_a_preset_and_train(page: Page, furnished: Furnished) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()

    page.keyboard.press("4")
    expect(page.get_by_role("radio", name=re.compile("^Thorough"))).to_be_checked()
    expect(page.locator(".forecast")).to_contain_text("ResNet-50")
    page.get_by_text("How to copy the weights to the server").click()
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


def test_a_value_that_cant_be_used_is_said_beside_its_field_and_the_rest_stays(
    page: Page, furnished: Furnished
) -> None:
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()
    epochs = page.locator("[name=stage_epochs_0]")
    page.locator("[name=batch_size]").fill("16")

    epochs.fill("0")

    error = page.locator("#error-stage_epochs_0")
    expect(error).to_have_text("Stage 1: Epochs must be a whole number from 1 to 1,000.")
    expect(epochs).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".forecast")).to_contain_text("Correct 1 field first")
    expect(page.locator("[data-field=batch_size]")).to_have_attribute("data-changed", "")
    assert page.locator(".field-error:not(:empty)").count() == 1

    epochs.fill("3")
    expect(error).to_have_text("")
    expect(page.locator(".forecast")).to_contain_text("3 epochs on the last layers")
    expect(page.locator("[name=batch_size]")).to_have_value("16")


def test_a_forecast_that_failed_is_marked_as_old_and_never_shown_for_another_preset(
    page: Page, furnished: Furnished, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load resource", "ERR_")
    PLACES["train"].open(page, furnished)
    page.wait_for_load_state()
    page.context.set_offline(True)

    page.locator("[name=stage_epochs_0]").fill("9")
    expect(page.locator("[data-old]")).to_contain_text("This forecast is from before your last change")
    expect(page.locator(".forecast-facts")).to_be_visible()

    page.get_by_role("radio", name=re.compile("^Quick look")).check(force=True)
    expect(page.locator("[data-old]")).to_contain_text("There is no forecast for this preset yet")
    expect(page.locator(".forecast-facts")).to_be_hidden()

    page.context.set_offline(False)
    expect(page.locator(".forecast")).to_contain_text("160 px", timeout=15_000)
    expect(page.locator("[data-old]")).to_be_hidden()
