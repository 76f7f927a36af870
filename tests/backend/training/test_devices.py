"""On how many devices a training may run, and how that is shown."""

from pathlib import Path

import pytest

from backend.db.session import Database
from backend.domain.training import TrainingRequest
from backend.ledger.claiming import claim_next
from backend.ledger.job import JobKind, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.training.forecast.forecast import Forecast
from backend.training.run_page.hardware import machine_of
from backend.training.run_view import show_run
from backend.training.start import RunOrder, most_devices, start
from tests.fixtures.versions import add_version

COUNTS = {"cat": {"train": 8, "valid": 2}, "dog": {"train": 8, "valid": 2}}


@pytest.mark.parametrize(
    ("devices", "seconds", "expected"),
    [(None, 299, 1), (None, 300, None), ("auto", 3600, None), ("auto", None, 1), (2, 10, 2), (1, 3600, 1)],
)
def test_a_training_of_minutes_may_use_all_idle_devices_and_a_number_is_kept_to(
    devices: int | str | None, seconds: float | None, expected: int | None
) -> None:
    request = TrainingRequest.model_validate({"devices": devices})

    assert most_devices(request, Forecast(seconds, seconds, 0, "measured")) == expected


def test_the_page_of_a_run_names_each_of_its_devices(database: Database) -> None:
    workers = [Worker(f"w{index}", "host", f"cuda:{index}") for index in range(2)]
    with database.write() as session:
        version_id = add_version(session, COUNTS)
        for worker in workers:
            Ledger(session).heartbeat(worker, list(JobKind), "NVIDIA A10", "1")
    with unit_of_work(database, NoNotifier()) as unit:
        run_id = start(unit, RunOrder(version_id, TrainingRequest(devices=2)), Path("/nowhere")).id

    claim = claim_next(database, JobKind.TRAIN, workers[0], Timers())

    assert claim is not None
    assert claim.devices == ("cuda:0", "cuda:1")
    with database.read() as session:
        facts = dict(machine_of(session, show_run(session, run_id)).facts)
    assert facts["Devices"] == "NVIDIA A10 (cuda:0), NVIDIA A10 (cuda:1)"
