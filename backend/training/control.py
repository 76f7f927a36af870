"""Control a run: cancel, pause, resume, or finish it after the present epoch. Each may be repeated."""

from backend.db.session import WriteSession
from backend.domain.errors import Conflict
from backend.ledger.job import Desired, JobState
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import UnitOfWork
from backend.training.find import find_run

_HAS: dict[JobState, str] = {
    JobState.SUCCEEDED: "has succeeded",
    JobState.FAILED: "has failed",
    JobState.CANCELLED: "was cancelled",
}


class RunEnded(Conflict):
    """The run has ended, so it can't be controlled any more."""

    code = "run-ended"

    def __init__(self, state: JobState, wanted: str = "stop") -> None:
        super().__init__(
            f"This training {_HAS[state]} already, so there is nothing to {wanted}.",
            advice="Start a new one if you want another result.",
            details={"status": state},
        )


class RunStopping(Conflict):
    """The run is being cancelled, which can't be taken back."""

    code = "run-stopping"

    def __init__(self) -> None:
        super().__init__(
            "This training is being cancelled.",
            advice="Start a new one; it can start from a model that this one has kept.",
        )


class RunNotBegun(Conflict):
    """There is no epoch yet after which the run could end."""

    code = "run-not-begun"

    def __init__(self) -> None:
        super().__init__(
            "This training hasn't started, so there is no epoch after which it could stop.",
            advice="Wait until it is running, or cancel it.",
        )


class RunPaused(Conflict):
    """The run is paused, so no epoch is running."""

    code = "run-paused"

    def __init__(self) -> None:
        super().__init__(
            "This training is paused, so no epoch is running.",
            advice="Resume it first, or cancel it: the models of its finished stages are kept.",
        )


def cancel(session: WriteSession, run_id: str) -> JobState:
    """Cancel a run: a running one as soon as its worker sees it, a queued or paused one at once.

    Raises:
        RunNotFound: no such run.
        RunEnded: it succeeded or failed before.
    """
    state = Ledger(session).cancel(find_run(session, run_id).job_id)
    if state in (JobState.SUCCEEDED, JobState.FAILED):
        raise RunEnded(state)
    return state


def pause(session: WriteSession, run_id: str) -> JobState:
    """Pause a run: a queued one at once, a running one as soon as its progress is saved.

    Raises:
        RunNotFound: no such run.
        RunEnded, RunStopping: it has ended, or is about to.
    """
    ledger, job_id = Ledger(session), find_run(session, run_id).job_id
    state = ledger.pause(job_id)
    _require_alive(ledger, job_id, state, "pause")
    return state


def resume(unit: UnitOfWork, run_id: str) -> JobState:
    """Resume a paused run; a pause that hasn't happened yet is taken back.

    Raises:
        RunNotFound: no such run.
        RunEnded, RunStopping: it has ended, or is about to.
    """
    ledger, job_id = Ledger(unit.session), find_run(unit.session, run_id).job_id
    state = ledger.resume(job_id)
    _require_alive(ledger, job_id, state, "resume")
    if state is JobState.QUEUED:
        unit.notify_for(ledger.kind_of(job_id))
    return state


def finish(session: WriteSession, run_id: str) -> JobState:
    """Finish a run after the running epoch: its model is kept, no other epoch follows.

    Raises:
        RunNotFound: no such run.
        RunEnded, RunStopping: it has ended, or is about to.
        RunNotBegun, RunPaused: no epoch is running.
    """
    ledger, job_id = Ledger(session), find_run(session, run_id).job_id
    job = ledger.find(job_id)
    assert job is not None  # a run's job is as old as the run
    if job.attempt == 0 and job.state == JobState.QUEUED:
        raise RunNotBegun
    if job.state == JobState.PAUSED or job.desired == Desired.PAUSE:
        raise RunPaused
    state = ledger.finish_soon(job_id)
    _require_alive(ledger, job_id, state, "stop")
    return state


def _require_alive(ledger: Ledger, job_id: str, state: JobState, wanted: str) -> None:
    if state.is_final:
        raise RunEnded(state, wanted)
    job = ledger.find(job_id)
    if job is not None and job.desired == Desired.CANCEL:
        raise RunStopping
