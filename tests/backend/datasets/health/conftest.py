"""Ana's datasets after an examination."""

from collections.abc import Callable

import pytest

from backend.datasets.examine.compare import compare
from backend.domain.json import Json
from backend.ledger.job import JobKind, JobState
from backend.tables.examination import ExaminationRow
from backend.tables.ledger import JobRow
from tests.backend.datasets.conftest import Ana

Examine = Callable[..., None]


@pytest.fixture
def examine(ana: Ana) -> Examine:
    """Do what the job would that examines pictures, without features; ``is_over=False`` leaves it half way."""

    def examined(*, is_over: bool = True) -> None:
        services, dataset_id = ana.services, ana.dataset_id
        with services.open_unit()() as unit:
            job_id = unit.enqueue(JobKind.IMPORT, dataset_id)
            row = unit.session.get_one(ExaminationRow, dataset_id)
            row.job_id, row.images_done, row.images_total = job_id, 5, 10
        if is_over:
            compare(
                services.open_unit(),
                services.storage,
                dataset_id,
                None,
                fence=lambda _session: None,
                should_stop=lambda: False,
            )
            with services.database.write() as session:
                session.get_one(JobRow, job_id).state = JobState.SUCCEEDED

    return examined


def health_of(ana: Ana) -> Json:
    """What REST says of the dataset's health, once nothing is being computed any more."""
    from backend.datasets.health.service import SHORTCUTS

    path = f"/api/v1/datasets/{ana.dataset_id}/health"
    ana.client.get(path)
    SHORTCUTS.wait_for_all()
    answer = ana.client.get(path)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def finding(health: Json, name: str) -> Json:
    """One finding by its name."""
    return next((found for found in health["findings"] if found["name"] == name), None)


def act(ana: Ana, name: str, action: str, **fields: Json) -> Json:
    """Do something about a finding."""
    body = {"finding": name, "action": action, **fields}
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/health/actions", json=body)
    assert answer.status_code == 200, answer.text
    done: Json = answer.json()
    return done
