"""The list of runs: results, times, changes, filters and orders."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.domain.training import RunStatus, StageRequest, TrainingRequest
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.training.run_list import RunOrder, run_list
from backend.training.start import RunOrder as TrainingOrder
from backend.training.start import start
from tests.backend.training.scene import Scene
from tests.backend.training.test_remove import finished_run

PAGE = {"Accept": "text/html"}


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def ordered(scene: Scene, version_id: VersionId, epochs: int, **settings: object) -> str:
    """A queued run of one frozen stage."""
    request = TrainingRequest.model_validate(
        {"architecture": "resnet18", "stages": [StageRequest(freeze=True, epochs=epochs)], **settings}
    )
    with unit_of_work(scene.database, NoNotifier()) as unit:
        return start(unit, TrainingOrder(version_id, request), Path("/nowhere")).id


def test_each_run_shows_what_was_changed_against_the_one_before_it(scene: Scene, database: Database) -> None:
    version_id = scene.version()
    ordered(scene, version_id, 4)
    ordered(scene, version_id, 4)
    ordered(scene, version_id, 8, batch_size=16)
    other_dataset = scene.run()

    with database.read() as session:
        found = run_list(session, order=RunOrder.NEWEST, dataset_id=None, status=None, after=None)

    changes = [line.changes for line in found.lines]
    assert found.lines[0].run.id == other_dataset
    assert changes[0] is None
    assert changes[1] is not None
    assert changes[1] == ("Stage 1, Epochs: 4 → 8", "Batch size: 32 → 16")
    assert changes[2:] == [(), None]


def test_runs_are_put_in_the_order_of_their_errors_with_those_without_a_result_last(
    scene: Scene, database: Database
) -> None:
    done, _ = finished_run(scene)
    waiting = scene.run()

    with database.read() as session:
        found = run_list(session, order=RunOrder.BEST, dataset_id=None, status=None, after=None)

    assert [line.run.id for line in found.lines] == [done, waiting]
    assert found.lines[0].result is not None
    assert (found.lines[0].result.errors, found.lines[0].result.images) == (4, 40)


def test_runs_are_filtered_by_status_and_dataset(scene: Scene, database: Database) -> None:
    done, _ = finished_run(scene)
    waiting = scene.run()
    dataset_id = scene.view(waiting).dataset_id

    with database.read() as session:
        queued = run_list(session, order=RunOrder.NEWEST, dataset_id=None, status=RunStatus.QUEUED, after=None)
        of_dataset = run_list(session, order=RunOrder.NEWEST, dataset_id=dataset_id, status=None, after=None)

    assert [line.run.id for line in queued.lines] == [waiting]
    assert [line.run.id for line in of_dataset.lines] == [waiting]
    assert scene.view(done).status is RunStatus.SUCCEEDED


def test_the_page_shows_result_status_and_changes_in_words(client: TestClient, scene: Scene) -> None:
    finished_run(scene)
    scene.run()

    text = client.get("/runs", headers=PAGE).text

    assert "<b>90 %</b>" in text
    assert "likely 77 to 96 %" in text
    assert "Next up" in text
    assert "first run of this dataset" in text
    assert ">succeeded<" not in text


def test_a_filter_that_fits_nothing_leads_back(client: TestClient, scene: Scene) -> None:
    scene.run()

    text = client.get("/runs?status=failed", headers=PAGE).text

    assert "No run matches this filter." in text
    assert "Show all runs" in text


@pytest.mark.parametrize("query", ["order=nonsense", "status=nonsense", "dataset=nonsense"])
def test_a_filter_of_nonsense_is_no_error(client: TestClient, scene: Scene, query: str) -> None:
    scene.run()

    assert client.get(f"/runs?{query}", headers=PAGE).status_code == 200


def test_a_run_shows_how_much_room_its_models_take(client: TestClient, scene: Scene) -> None:
    finished_run(scene)

    assert '<td class="number">1.2 kB</td>' in client.get("/runs", headers=PAGE).text


def test_the_head_of_a_column_orders_by_it_and_keeps_the_filter(client: TestClient, scene: Scene) -> None:
    finished_run(scene)

    text = client.get("/runs?status=succeeded&order=time", headers=PAGE).text

    assert 'aria-sort="ascending"><a class="run-sort" href="/runs?status=succeeded&amp;order=time">Time' in text
    assert 'href="/runs?status=succeeded&amp;order=error">Right' in text
    assert 'href="/runs?status=succeeded">Started' in text
