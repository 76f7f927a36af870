import re

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import CheckpointId
from backend.domain.lr_finder import Curve, Finding, curve_of, finding
from backend.ledger.claiming import claim_next
from backend.ledger.job import Claim, Failure, JobKind, Worker
from backend.ledger.timers import Timers
from backend.training.forecast.eta import Standing
from backend.training.lr_finds import record as progress
from backend.training.record import record_checkpoint
from tests.backend.training.scene import COUNTS, Scene, stage_finished, stored_checkpoint
from tests.fixtures.versions import add_version

CURVE = curve_of([[3.0 - 0.02 * step for step in range(100)], [3.1 - 0.02 * step for step in range(100)]], 100)


@pytest.fixture
def version_id(services: Services) -> str:
    with services.database.write() as session:
        return add_version(session, COUNTS)


@pytest.fixture
def scene(services: Services) -> Scene:
    return Scene(services.database)


def started(client: TestClient, version_id: str, **form: str) -> str:
    """The id of the search that a form has started."""
    answer = client.post(f"/versions/{version_id}/lr-finds", data=form, follow_redirects=False)
    assert answer.status_code == 303
    return str(answer.headers["location"]).rsplit("/", 1)[-1]


def finished(services: Services, found: Finding, curve: Curve = CURVE) -> Claim:
    claim = claim_next(services.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers())
    assert claim is not None
    with services.database.write() as session:
        progress.finish(session, claim, curve, found)
    return claim


def filled(page: str) -> dict[str, str]:
    """What the train page's fields of the first stage hold."""
    found = dict(re.findall(r'name="(stage_\w+_0)"[^>]*?value="([^"]*)"', page))
    for name, options in re.findall(r'<select name="(stage_\w+_0)"[^>]*>(.*?)</select>', page, re.S):
        found[name] = "".join(re.findall(r'value="([^"]*)" selected', options))
    return found


def test_a_row_of_the_train_form_starts_a_search_for_its_stage(client: TestClient, version_id: str) -> None:
    form = {"recipe": "custom", "stage_freeze_0": "true", "stage_epochs_0": "2"}
    form |= {"stage_freeze_2": "false", "stage_epochs_2": "3", "find_row": "2"}
    find_id = started(client, version_id, **form)

    (stage,) = client.get(f"/api/v1/lr-finds/{find_id}").json()["config"]["stages"]
    assert (stage["freeze"], stage["epochs"], stage["max_lr"]) == (False, 3, "find")


def test_an_empty_row_is_the_recipes_stage(client: TestClient, version_id: str) -> None:
    find_id = started(client, version_id, recipe="lesson-1", find_row="1")

    (stage,) = client.get(f"/api/v1/lr-finds/{find_id}").json()["config"]["stages"]
    assert (stage["freeze"], stage["epochs"]) == (False, 2)


def checkpoint_of(scene: Scene, stage: int) -> str:
    """A finished stage of a run of two."""
    claim = scene.claim()
    stored = stored_checkpoint()
    with scene.database.write() as session:
        return record_checkpoint(session, claim, stage_finished(stage), stored, Standing())


@pytest.mark.parametrize(("stage", "epochs"), [(0, 2), (1, 2)])
def test_a_finished_stage_starts_a_search_for_the_one_that_follows(
    client: TestClient, scene: Scene, version_id: str, stage: int, epochs: int
) -> None:
    run_id = scene.run(version_id)  # type: ignore[arg-type]  # a version's id
    checkpoint_id = checkpoint_of(scene, stage)
    assert f'name="checkpoint" value="{checkpoint_id}"' in client.get(f"/runs/{run_id}").text

    find_id = started(client, version_id, checkpoint=checkpoint_id)

    find = client.get(f"/api/v1/lr-finds/{find_id}").json()
    assert (find["run_id"], find["starts_from"]) == (run_id, CheckpointId(checkpoint_id))
    assert [(one["freeze"], one["epochs"]) for one in find["config"]["stages"]] == [(False, epochs)]


def test_the_page_of_one_at_work_shows_how_far_it_is_and_offers_to_cancel(
    client: TestClient, services: Services, version_id: str
) -> None:
    find_id = started(client, version_id)
    assert "Queued: next up." in client.get(f"/lr-finds/{find_id}").text
    claim = claim_next(services.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers())
    assert claim is not None
    with services.database.write() as session:
        progress.show(session, claim, phase="Learning-rate finder: 30 of 300 steps", progress=0.1)

    page = client.get(f"/lr-finds/{find_id}").text
    assert "Learning-rate finder: 30 of 300 steps" in page
    assert "data-at-work" in page
    assert f'action="/lr-finds/{find_id}/cancel"' in page


def test_cancelling_leads_back_to_it(client: TestClient, version_id: str) -> None:
    find_id = started(client, version_id)
    answer = client.post(f"/lr-finds/{find_id}/cancel", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, f"/lr-finds/{find_id}")
    page = client.get(f"/lr-finds/{find_id}").text
    assert "This search was cancelled." in page
    assert f'href="/versions/{version_id}/train"' in page
    assert "data-at-work" not in page


def test_a_finished_one_shows_the_rules_the_reason_and_the_points(
    client: TestClient, services: Services, version_id: str
) -> None:
    find_id = started(client, version_id)
    finished(services, finding(CURVE, freeze=True))

    page = client.get(f"/lr-finds/{find_id}").text
    assert "Use <span data-chosen>1.2e-3</span>" in page
    assert re.findall(r"<b>(Valley|Steepest|Lowest / 10|Slide|Another)</b>", page) == [
        "Valley",
        "Steepest",
        "Lowest / 10",
        "Slide",
        "Another",
    ]
    assert page.count('<th scope="row"') == 85
    assert "1.2e-3 is about the middle of the long slope" in page


def test_use_it_fills_a_frozen_stage_with_one_rate(client: TestClient, services: Services, version_id: str) -> None:
    find_id = started(client, version_id)
    finished(services, finding(CURVE, freeze=True))

    page = client.get(f"/versions/{version_id}/train?find={find_id}").text
    assert (filled(page)["stage_high_0"], filled(page)["stage_low_0"]) == ("1.2e-3", "")
    assert filled(page)["stage_freeze_0"] == "true"


@pytest.mark.parametrize(
    ("query", "low", "high"),
    [
        ("", "1.2e-5", "1.2e-4"),
        ("&rate=0.01", "1e-4", "1e-3"),
        ("&rate=own&own=2.5e-3", "2.5e-5", "2.5e-4"),
        ("&rate=own&own=much", "1.2e-5", "1.2e-4"),
        ("&rate=1e99", "1.2e-5", "1.2e-4"),
    ],
)
def test_use_it_fills_an_unfrozen_stage_with_two(
    client: TestClient, services: Services, version_id: str, query: str, low: str, high: str
) -> None:
    find_id = started(client, version_id, recipe="lesson-1", find_row="1")
    finished(services, finding(CURVE, freeze=False))

    page = client.get(f"/versions/{version_id}/train?find={find_id}{query}").text
    assert (filled(page)["stage_low_0"], filled(page)["stage_high_0"]) == (low, high)


def test_a_curve_without_a_slope_reports_it_and_leads_to_the_batch(
    client: TestClient, services: Services, version_id: str
) -> None:
    find_id = started(client, version_id)
    rising = curve_of([[1 + 0.02 * step for step in range(100)]], 100)
    finished(services, finding(rising, freeze=True), rising)

    page = client.get(f"/lr-finds/{find_id}").text
    assert "No slope found: the loss only rises." in page
    assert f'href="/versions/{version_id}"' in page
    assert "Use <span data-chosen>1e-3</span>" in page


def test_too_few_batches_show_no_curve_but_the_usual_rate(
    client: TestClient, services: Services, version_id: str
) -> None:
    find_id = started(client, version_id)
    nothing = curve_of([[1.0] * 12], 100)
    finished(services, finding(nothing, freeze=True), nothing)

    page = client.get(f"/lr-finds/{find_id}").text
    assert "Fewer than 6 batches could be used" in page
    assert "data-canvas" not in page


def test_a_failed_one_shows_why(client: TestClient, services: Services, version_id: str) -> None:
    find_id = started(client, version_id)
    claim = claim_next(services.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers())
    assert claim is not None
    with services.database.write() as session:
        progress.fail(session, claim, Failure("out-of-memory", "The memory is too small.", "Take fewer at a time."))

    page = client.get(f"/lr-finds/{find_id}").text
    assert "The memory is too small." in page
    assert "Your pictures and models are unchanged." in page


def test_an_unknown_one_has_a_page_that_reports_it(client: TestClient) -> None:
    answer = client.get("/lr-finds/nothing", headers={"Accept": "text/html"})

    assert answer.status_code == 404
    assert "There is no such search for a learning rate here" in answer.text


def test_a_form_without_its_key_starts_nothing(anonymous: TestClient, version_id: str) -> None:
    answer = anonymous.post(f"/versions/{version_id}/lr-finds", data={"find_row": "0"})

    assert answer.status_code in (303, 401, 403)
