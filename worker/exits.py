"""What the exit codes of a process that does a job mean."""

from typing import Final

from backend.ledger.job import DEVICE_FAILED as DEVICE_FAILURE
from backend.ledger.job import OUT_OF_MEMORY, TRAINER_CRASHED, TRAINER_KILLED, Failure, Outcome
from backend.ledger.queries import KILLED

DONE: Final = 0
PAUSED: Final = 10
CANCELLED: Final = 11
YIELDED: Final = 12
LOST: Final = 13
"""It was overtaken: another attempt has the job, or the job has ended."""
REFUSED: Final = 20
"""The job can't be done; the reason is in the ledger, and trying again wouldn't help."""
REFUSED_FOR: Final = {"out-of-memory": 30, "diverged": 31}
"""The same, with numbers of their own for whoever reads a list of attempts; by the reason's code."""
DEVICE_FAILED: Final = 40
"""The GPU reported an error that nothing in that process can recover from."""
NOT_STARTED: Final = 60
"""No process could be started for it; no process ends so itself."""
NO_ROOM: Final = 50
"""The disk is full: the job is paused until there is room."""

_OUTCOME_OF: Final = {
    DONE: Outcome.DONE,
    PAUSED: Outcome.PAUSED,
    CANCELLED: Outcome.CANCELLED,
    YIELDED: Outcome.YIELDED,
    LOST: Outcome.LOST,
    REFUSED: Outcome.FAILED,
    **dict.fromkeys(REFUSED_FOR.values(), Outcome.FAILED),
    NO_ROOM: Outcome.PAUSED,
    DEVICE_FAILED: Outcome.DEVICE_FAILED,
}


def outcome_of(exit_code: int) -> Outcome:
    """How the attempt ended; what isn't agreed on is a crash."""
    return _OUTCOME_OF.get(exit_code, Outcome.CRASHED)


def failure_of(exit_code: int, *, memory_ran_out: bool | None = None) -> Failure:
    """Why the job failed, given how its last attempt ended.

    Args:
        memory_ran_out: whether the system killed processes for memory meanwhile; None where it doesn't count.
            An unexplained kill is most often that.
    """
    if exit_code == KILLED:
        return TRAINER_KILLED if memory_ran_out is False else OUT_OF_MEMORY
    return DEVICE_FAILURE if exit_code == DEVICE_FAILED else TRAINER_CRASHED
