"""The page of a run that is watched while it goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from backend.domain.events import Phase, PhaseStarted
from backend.training import record
from backend.training.forecast.eta import Standing
from tests.e2e.conftest import Complaints, serving, watched_page
from tests.e2e.furnished import Furnished, furnish
from tests.e2e.places import address_of

pytestmark = pytest.mark.e2e

OBSERVE_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
MOST_SHIFTED = 0.02


@pytest.fixture
def furnished(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A server whose running run goes on."""
    with serving(tmp_path, migrated_sqlite) as server:
        yield furnish(server)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_a_run_continues(
    browser: Browser, furnished: Furnished, complaints: Complaints, width: int
) -> None:
    with watched_page(browser, complaints, width) as page:
        page.add_init_script(OBSERVE_SHIFTS)
        page.goto(furnished.server.sign_in)
        page.goto(address_of(furnished.server, "/runs/{running_run}", furnished))
        expect(page.locator("[data-curves] canvas").first).to_be_visible()

        furnished.past.go_on()
        expect(page.locator('[data-live="stage-1"] tbody tr').nth(2)).to_contain_text("0.300000")
        _report(furnished, "Exporting the model and comparing its answers", Standing(0, 3, 0.65, 40.0))
        expect(page.locator("[data-live='standing']")).to_contain_text("Exporting the model")
        _report(furnished, None, Standing(1, 0, 0.7, 40.0, activity="learn"))
        expect(page.locator("[data-live='standing']")).to_contain_text("Stage 2 of 2")

        assert page.evaluate("window.shifted") < MOST_SHIFTED


def _report(furnished: Furnished, phase: str | None, standing: Standing) -> None:
    claim = furnished.past.running
    assert claim is not None
    events = [PhaseStarted(Phase.EXPORT, phase)] if phase else []
    shown = Standing(standing.stage, standing.epoch, standing.progress, standing.eta_s, standing.activity, phase)
    with furnished.server.services.database.write() as session:
        record.record_events(session, claim, events, shown)
