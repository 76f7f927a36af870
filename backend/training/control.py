"""Stop a run, or ask for what comes in a later version."""

from backend.db.session import WriteSession
from backend.domain.errors import Conflict
from backend.ledger.job import JobState
from backend.ledger.repository import Ledger
from backend.training.find import find_run


class RunEnded(Conflict):
    """The run has come to its end, so nothing can be asked of it any more."""

    code = "run-ended"

    def __init__(self, state: JobState) -> None:
        words = "has succeeded" if state is JobState.SUCCEEDED else "has failed"
        super().__init__(
            f"This training {words} already, so there is nothing to stop.",
            advice="Start a new one if you want another result.",
            details={"status": state},
        )


class PauseUnavailable(Conflict):
    """This version can't pause a run yet."""

    code = "pause-unavailable"

    def __init__(self) -> None:
        super().__init__(
            "This version can't pause a training yet.",
            advice="Cancel it instead; the model of every finished stage is kept.",
        )


def cancel(session: WriteSession, run_id: str) -> JobState:
    """Stop a run as soon as its worker sees it; one that waits is cancelled at once. Safe to repeat.

    Raises:
        RunNotFound: no such run.
        RunEnded: it succeeded or failed before.
    """
    state = Ledger(session).cancel(find_run(session, run_id).job_id)
    if state in (JobState.SUCCEEDED, JobState.FAILED):
        raise RunEnded(state)
    return state


def pause(session: WriteSession, run_id: str) -> None:
    """Refuse, for now.

    Raises:
        RunNotFound, PauseUnavailable
    """
    find_run(session, run_id)
    raise PauseUnavailable


def resume(session: WriteSession, run_id: str) -> None:
    """Refuse, for now: nothing can be paused.

    Raises:
        RunNotFound, PauseUnavailable
    """
    find_run(session, run_id)
    raise PauseUnavailable
