"""Words of the ledger: kinds of job and their states."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does; each kind has a queue, and a worker says which kinds it takes."""

    TRAIN = "train"
    IMPORT = "import"


class JobState(StrEnum):
    """``starting`` has been claimed, ``stopping`` was told to pause or cancel."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}

    @property
    def is_claimed(self) -> bool:
        """Whether an attempt holds it."""
        return self in {JobState.STARTING, JobState.RUNNING, JobState.STOPPING}


class Desired(StrEnum):
    """What its owner wants of a job."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"
