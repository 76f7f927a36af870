"""What the exit codes of a process that does a job mean."""

from typing import Final

from backend.ledger.job import OUT_OF_MEMORY, TRAINER_CRASHED, Failure, Outcome

DONE: Final = 0
PAUSED: Final = 10
CANCELLED: Final = 11
YIELDED: Final = 12
LOST: Final = 13
"""It was overtaken: another attempt has the job, or the job has ended."""
REFUSED: Final = 20
"""The job can't be done; the reason is in the ledger, and trying again wouldn't help."""

_OUTCOME_OF: Final = {
    DONE: Outcome.DONE,
    PAUSED: Outcome.PAUSED,
    CANCELLED: Outcome.CANCELLED,
    YIELDED: Outcome.YIELDED,
    LOST: Outcome.LOST,
    REFUSED: Outcome.FAILED,
}
_KILLED: Final = -9


def outcome_of(exit_code: int) -> Outcome:
    """How the attempt ended; what isn't agreed on is a crash."""
    return _OUTCOME_OF.get(exit_code, Outcome.CRASHED)


def failure_of(exit_code: int) -> Failure:
    """What is said when it was the last try. A kill that we didn't send is most often the system's, for memory."""
    return OUT_OF_MEMORY if exit_code == _KILLED else TRAINER_CRASHED
