"""What the owner of a run may ask of it while it lasts: stop, rest, go on, or end well after this epoch.

Each may be repeated: asking twice for the same is asking once.
"""

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
    """The run has come to its end, so nothing can be asked of it any more."""

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
            advice="Start a new one; it may go on from a model that this one has kept.",
        )


class RunNotBegun(Conflict):
    """There is no epoch yet after which the run could end."""

    code = "run-not-begun"

    def __init__(self) -> None:
        super().__init__(
            "This training hasn't begun, so there is no epoch after which it could stop.",
            advice="Wait until it runs, or cancel it.",
        )


class RunResting(Conflict):
    """The run is paused, so no epoch is under way."""

    code = "run-paused"

    def __init__(self) -> None:
        super().__init__(
            "This training is paused, so no epoch is under way.",
            advice="Let it go on first; or cancel it: the models of its finished stages are kept.",
        )


def cancel(session: WriteSession, run_id: str) -> JobState:
    """Stop a run as soon as its worker sees it; one that waits or rests is cancelled at once.

    Raises:
        RunNotFound: no such run.
        RunEnded: it succeeded or failed before.
    """
    state = Ledger(session).cancel(find_run(session, run_id).job_id)
    if state in (JobState.SUCCEEDED, JobState.FAILED):
        raise RunEnded(state)
    return state


def pause(session: WriteSession, run_id: str) -> JobState:
    """Let a run rest: one that waits at once, one that is under way as soon as it has saved where it is.

    Raises:
        RunNotFound: no such run.
        RunEnded, RunStopping: it has ended, or is about to.
    """
    ledger, job_id = Ledger(session), find_run(session, run_id).job_id
    state = ledger.pause(job_id)
    _require_alive(ledger, job_id, state, "pause")
    return state


def resume(unit: UnitOfWork, run_id: str) -> JobState:
    """Let a run go on from where it rests; a pause that hasn't happened yet is taken back.

    Raises:
        RunNotFound: no such run.
        RunEnded, RunStopping: it has ended, or is about to.
    """
    ledger, job_id = Ledger(unit.session), find_run(unit.session, run_id).job_id
    state = ledger.resume(job_id)
    _require_alive(ledger, job_id, state, "go on with")
    if state is JobState.QUEUED:
        unit.notify_for(ledger.kind_of(job_id))
    return state


def finish(session: WriteSession, run_id: str) -> JobState:
    """End a run well after the epoch that is under way: its model is made and kept, no other epoch follows.

    Raises:
        RunNotFound: no such run.
        RunEnded, RunStopping: it has ended, or is about to.
        RunNotBegun, RunResting: no epoch is under way.
    """
    ledger, job_id = Ledger(session), find_run(session, run_id).job_id
    job = ledger.find(job_id)
    assert job is not None  # a run's job is as old as the run
    if job.attempt == 0 and job.state == JobState.QUEUED:
        raise RunNotBegun
    if job.state == JobState.PAUSED or job.desired == Desired.PAUSE:
        raise RunResting
    state = ledger.finish_soon(job_id)
    _require_alive(ledger, job_id, state, "stop")
    return state


def _require_alive(ledger: Ledger, job_id: str, state: JobState, wanted: str) -> None:
    if state.is_final:
        raise RunEnded(state, wanted)
    job = ledger.find(job_id)
    if job is not None and job.desired == Desired.CANCEL:
        raise RunStopping
