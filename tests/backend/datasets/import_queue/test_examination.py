import threading

import pytest
from sqlalchemy import select

from backend.datasets.examine.repository import Examination, ExaminationRepository
from backend.datasets.import_queue.examination import want_examination
from backend.ledger.job import WORKER_LOST, Claim, JobKind, JobState, Outcome, Worker
from backend.ledger.repository import Ledger
from backend.tables.ledger import JobRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import folder_of_shapes


def test_pictures_that_arrive_are_to_be_looked_at(ana: Ana) -> None:
    ana.bring(folder_of_shapes(2, 24))

    found = _examination(ana)

    assert (found.state, found.images_done, found.images_total) == (JobState.QUEUED, 0, 0)
    assert ana.services.notifier.notifications == ["examine"]  # type: ignore[attr-defined]  # the collecting one


def test_nothing_is_to_be_looked_at_where_all_was_there(ana: Ana) -> None:
    ana.bring(folder_of_shapes(2, 24))
    _end(ana)

    ana.bring(folder_of_shapes(2, 24))

    assert _examination(ana).state is JobState.SUCCEEDED


def test_one_job_looks_at_all_that_arrives_before_it_ends(ana: Ana) -> None:
    ana.bring(folder_of_shapes(1, 24))
    first = _examination(ana).job_id
    _claim(ana)

    ana.bring(folder_of_shapes(2, 24))

    assert _examination(ana).job_id == first


def test_pictures_that_arrive_after_its_end_need_another_job(ana: Ana) -> None:
    ana.bring(folder_of_shapes(1, 24))
    first = _examination(ana).job_id
    _end(ana)

    with ana.services.open_unit()() as unit:
        want_examination(unit, ana.dataset_id)

    found = _examination(ana)
    assert found.job_id != first
    assert found.state is JobState.QUEUED


@pytest.mark.parametrize("has_ended", [False, True])
def test_two_that_add_pictures_at_once_queue_one_job(ana: Ana, has_ended: bool) -> None:
    if has_ended:
        ana.bring(folder_of_shapes(1, 24))
        _end(ana)
    before = len(_examine_jobs(ana))

    def want() -> None:
        with ana.services.open_unit()() as unit:
            want_examination(unit, ana.dataset_id)

    other = threading.Thread(target=want)
    with ana.services.open_unit()() as unit:
        want_examination(unit, ana.dataset_id)
        unit.session.flush()
        other.start()
        # It waits for this transaction, or has not begun: the outcome is the same.
        other.join(0.3)
    other.join()

    assert len(_examine_jobs(ana)) == before + 1
    assert _examination(ana).state is JobState.QUEUED


def test_pictures_of_a_dataset_that_is_gone_are_not_looked_at(ana: Ana) -> None:
    with ana.services.open_unit()() as unit:
        want_examination(unit, "0" * 32)

    assert _examine_jobs(ana) == []


def test_a_dataset_in_the_bin_is_not_looked_at_until_it_is_restored(ana: Ana) -> None:
    ana.bring(folder_of_shapes(1, 24))
    claim = _claim(ana)

    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 204

    stopping = _examination(ana)
    assert (stopping.job_id, stopping.state) == (claim.job_id, JobState.STOPPING)
    [binned] = ana.client.get("/api/v1/bin").json()["items"]
    assert ana.client.post(f"/api/v1/bin/{binned['id']}/restore").status_code == 200
    again = _examination(ana)
    assert again.job_id != claim.job_id
    assert again.state is JobState.QUEUED


def _examination(ana: Ana) -> Examination:
    with ana.services.database.read() as session:
        found = ExaminationRepository(session).find(ana.dataset_id)
    assert found is not None
    return found


def _claim(ana: Ana) -> Claim:
    with ana.services.database.write() as session:
        claim = Ledger(session).claim(JobKind.EXAMINE, Worker("worker-1", "host-1", "cpu:worker-1"))
    assert claim is not None
    return claim


def _examine_jobs(ana: Ana) -> list[str]:
    with ana.services.database.read() as session:
        return list(session.scalars(select(JobRow.id).where(JobRow.kind == JobKind.EXAMINE)))


def _end(ana: Ana) -> None:
    claim = _claim(ana)
    with ana.services.database.write() as session:
        Ledger(session).finish(claim.job_id, claim.attempt)
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.DONE, failure=WORKER_LOST)
