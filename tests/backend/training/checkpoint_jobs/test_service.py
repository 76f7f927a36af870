"""Work with a finished model in the background: asked for once, kept, and cancelled."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.db.base import utc_now
from backend.db.session import Database
from backend.domain.runs import CheckpointNotFound
from backend.ledger.claiming import claim_next
from backend.ledger.job import TRAINER_CRASHED, Claim, JobKind, JobState, LostLease, Outcome, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.tables.ledger import JobRow
from backend.training import record
from backend.training.checkpoint_jobs import service
from backend.training.checkpoint_jobs.service import CheckpointJob, checkpoint_job
from backend.training.forecast.eta import Standing
from tests.backend.training.scene import Scene, stage_finished, stored_checkpoint


class Model:
    """A finished model, and what is asked of workers about it."""

    def __init__(self, database: Database) -> None:
        self.database, scene = database, Scene(database)
        self.run_id = scene.run()
        claim = scene.claim()
        stored = stored_checkpoint()
        self.id = stored.id
        with database.write() as session:
            record.record_checkpoint(session, claim, stage_finished(0), stored, Standing())
        scene.finish(claim)

    def want(self, *, anew: bool = False) -> bool:
        with unit_of_work(self.database, NoNotifier()) as unit:
            return service.want(unit, self.id, JobKind.FLIPS, anew=anew)

    def claim(self) -> Claim:
        found = claim_next(self.database, JobKind.FLIPS, Worker("worker-1", "host-1", "cpu"), Timers())
        assert found is not None
        with self.database.write() as session:
            Ledger(session).begin(found.job_id, found.attempt)
        return found

    def finish(self, claim: Claim, said: str) -> None:
        with self.database.write() as session:
            service.finish(session, claim, {"said": said})
            Ledger(session).close(claim.job_id, claim.attempt, Outcome.DONE, failure=TRAINER_CRASHED)

    def job(self) -> CheckpointJob:
        with self.database.read() as session:
            found = checkpoint_job(session, self.id, JobKind.FLIPS)
        assert found is not None
        return found


@pytest.fixture
def model(database: Database) -> Model:
    return Model(database)


def test_it_is_queued_once_however_many_ask(model: Model) -> None:
    assert [model.want(), model.want(), model.want(anew=True)] == [True, False, False]
    assert (model.job().state, model.job().is_waiting, model.job().found) == (JobState.QUEUED, True, None)


def test_it_shows_how_far_it_is_and_keeps_what_was_found(model: Model) -> None:
    model.want()
    claim = model.claim()
    with model.database.write() as session:
        service.show(session, claim, 2, 3)

    assert (model.job().done, model.job().total, model.job().is_over, model.job().is_waiting) == (2, 3, False, False)
    model.finish(claim, "first")
    assert (model.job().is_over, model.job().found) == (True, {"said": "first"})


def test_what_is_done_is_not_done_again_unless_it_is_asked_for_anew(model: Model) -> None:
    model.want()
    model.finish(model.claim(), "first")

    assert model.want() is False
    assert model.want(anew=True) is True
    assert (model.job().state, model.job().found) == (JobState.QUEUED, {"said": "first"})
    model.finish(model.claim(), "second")
    assert model.job().found == {"said": "second"}


def test_one_that_made_way_waits_again_and_says_so(model: Model) -> None:
    model.want()
    assert model.job().was_interrupted is False
    claim = model.claim()
    with model.database.write() as session:
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.YIELDED, failure=TRAINER_CRASHED)

    assert (model.job().is_waiting, model.job().was_interrupted) == (True, True)
    again = model.claim()
    assert (again.job_id, again.attempt, model.job().was_interrupted) == (claim.job_id, 2, True)


def test_an_attempt_that_was_overtaken_writes_nothing(model: Model) -> None:
    model.want()
    claim = model.claim()
    with model.database.write() as session:
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.YIELDED, failure=TRAINER_CRASHED)
    model.claim()

    with pytest.raises(LostLease), model.database.write() as session:
        service.show(session, claim, 1, 3)
    with pytest.raises(LostLease), model.database.write() as session:
        service.finish(session, claim, {"said": "late"})
    assert (model.job().done, model.job().found) == (0, None)


def test_what_failed_is_tried_again_by_who_asks_ten_minutes_later(model: Model) -> None:
    model.want()
    claim = model.claim()
    with model.database.write() as session:
        Ledger(session).fail(claim.job_id, claim.attempt, TRAINER_CRASHED)
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.FAILED, failure=TRAINER_CRASHED)

    assert model.job().failed.startswith("The program that does the work ended unexpectedly")
    assert (model.want(), model.job().may_retry) == (False, False)
    with model.database.write() as session:
        session.execute(
            update(JobRow).where(JobRow.id == claim.job_id).values(ended_at=utc_now() - timedelta(minutes=11))
        )
    assert (model.job().may_retry, model.want()) == (True, True)
    assert (model.job().state, model.job().failed) == (JobState.QUEUED, "")


def test_a_cancelled_one_can_be_asked_for_anew(model: Model) -> None:
    model.want()
    with model.database.write() as session:
        service.cancel(session, model.id, JobKind.FLIPS)

    assert model.job().state is JobState.CANCELLED
    assert model.want(anew=True) is True
    assert model.job().state is JobState.QUEUED


def test_a_model_that_is_gone_has_none(model: Model) -> None:
    with pytest.raises(CheckpointNotFound), unit_of_work(model.database, NoNotifier()) as unit:
        service.want(unit, "nobody", JobKind.FLIPS)
