"""How many clicks a first model takes, counted on a server as a user starts it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, drop, watched_page
from tests.fixtures.pictures import CLASSES, draw, encode
from tests.fixtures.processes import wait_until
from tests.fixtures.serve_process import ServeProcess

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

SLOW = 300_000
"""Milliseconds for a training on a processor that is busy."""
COUNT_CLICKS = """
addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.setItem("clicks", String(Number(sessionStorage.getItem("clicks") ?? 0) + 1));
}, { capture: true });
"""
CLICKS = "Number(sessionStorage.getItem('clicks') ?? 0)"


@pytest.fixture
def page(browser: Browser, served: ServeProcess, complaints: Complaints) -> Iterator[Page]:
    """Ana, who has followed the printed link; her clicks are counted."""
    with watched_page(browser, complaints) as page:
        page.add_init_script(COUNT_CLICKS)
        page.goto(served.new_link())
        yield page


def test_a_sample_is_a_trained_model_after_two_clicks(page: Page, served: ServeProcess) -> None:
    page.get_by_role("button", name="Use it: Handwritten digits").click()
    page.get_by_role("button", name="Train now").click(timeout=SLOW)

    _wait_until_trained(page, served)
    assert page.evaluate(CLICKS) == 2


def test_a_folder_of_ones_own_is_a_trained_model_after_one_drag_and_two_clicks(
    page: Page, served: ServeProcess, tmp_path: Path
) -> None:
    for shape in CLASSES:
        (tmp_path / "shapes" / shape).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "shapes" / shape / f"{number}.png").write_bytes(encode(draw(shape, number)))
    page.goto(f"http://127.0.0.1:{served.port}/")

    drop(page, tmp_path / "shapes")
    page.get_by_role("button", name="Train now").click(timeout=SLOW)

    _wait_until_trained(page, served)
    assert page.evaluate(CLICKS) <= 2


def _wait_until_trained(page: Page, served: ServeProcess) -> None:
    expect(page).to_have_url(re.compile(r"/runs/\w+$"))
    run = page.url.rpartition("/")[2]
    with served.client() as client:
        # The first model can be used while all layers are still being trained; here nobody waits for that.
        wait_until(lambda: client.get(f"/api/v1/runs/{run}").json()["checkpoints"], "it is trained", SLOW / 1000)
        client.post(f"/api/v1/runs/{run}/cancel")
