from backend.datasets.examine.repository import Examination, ExaminationRepository
from backend.datasets.import_queue.examination import want_examination
from backend.ledger.job import WORKER_LOST, Claim, JobKind, JobState, Outcome, Worker
from backend.ledger.repository import Ledger
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


def _end(ana: Ana) -> None:
    claim = _claim(ana)
    with ana.services.database.write() as session:
        Ledger(session).finish(claim.job_id, claim.attempt)
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.DONE, failure=WORKER_LOST)
