"""Words of the ledger: kinds of job, their states and what may follow what."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from backend.domain.errors import AppError
from backend.domain.ids import JobId


class JobKind(StrEnum):
    """What a job does; a worker lists the kinds it takes."""

    TRAIN = "train"
    IMPORT = "import"
    EXAMINE = "examine"
    """Look at a dataset's new pictures; needs a device like a training, and makes way for one."""
    STRANGENESS = "strangeness"
    """Learn what a model's own pictures look like to it."""
    FLIPS = "flips"
    """Count the answers that chance in training alone changes."""
    HEATMAPS = "heatmaps"
    """Make the heat maps of a model's worst test pictures ahead; nobody waits for them."""

    @property
    def needs_device(self) -> bool:
        """Whether it has its worker's device for itself."""
        return self is not JobKind.IMPORT

    @property
    def makes_way_for(self) -> tuple["JobKind", ...]:
        """Kinds of which one that waits stops this one, which then goes on later."""
        if self in (JobKind.TRAIN, JobKind.IMPORT):
            return ()
        others = (JobKind.STRANGENESS, JobKind.FLIPS, JobKind.EXAMINE) if self is JobKind.HEATMAPS else ()
        return (JobKind.TRAIN, *others)


OF_CHECKPOINTS: Final = (JobKind.STRANGENESS, JobKind.FLIPS, JobKind.HEATMAPS)
"""Kinds whose subject is a checkpoint."""
LISTENED: Final[Mapping[JobKind, tuple[JobKind, ...]]] = {
    JobKind.TRAIN: (JobKind.TRAIN, JobKind.STRANGENESS, JobKind.FLIPS, JobKind.EXAMINE, JobKind.HEATMAPS),
    JobKind.IMPORT: (JobKind.IMPORT,),
}
"""The kinds that have a listener and a queue of notifications, with those that it does, the most urgent first."""


def listener_of(kind: JobKind) -> JobKind:
    """Whose listener does jobs of this kind."""
    return next(listener for listener, kinds in LISTENED.items() if kind in kinds)


class JobState(StrEnum):
    """``starting`` has been claimed, ``stopping`` was asked to pause or cancel."""

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
        return not _NEXT[self]

    @property
    def is_claimed(self) -> bool:
        """Whether an attempt holds it."""
        return self in CLAIMED

    def may_become(self, other: "JobState") -> bool:
        """Whether ``other`` may follow."""
        return other in _NEXT[self]


_Q, _ST, _R, _SP, _P = (
    JobState.QUEUED,
    JobState.STARTING,
    JobState.RUNNING,
    JobState.STOPPING,
    JobState.PAUSED,
)
_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
# From a claimed state back to the queue, paused or to an end: also what a sweep does when a worker was lost.
_NEXT: Mapping[JobState, frozenset[JobState]] = {
    _Q: frozenset({_ST, _P, JobState.CANCELLED}),
    _ST: frozenset({_R, _SP, _Q, _P}) | _ENDS,
    _R: frozenset({_SP, _Q, _P}) | _ENDS,
    # Back to running: its owner resumed it before it had paused.
    _SP: frozenset({_R, _Q, _P}) | _ENDS,
    _P: frozenset({_Q, JobState.CANCELLED}),
    **dict.fromkeys(_ENDS, frozenset[JobState]()),
}
CLAIMED = frozenset({_ST, _R, _SP})
"""States in which an attempt holds the job."""


class Desired(StrEnum):
    """What its owner wants of a job."""

    RUN = "run"
    FINISH = "finish"
    """End well as soon as there is something to keep, such as after this epoch."""
    PAUSE = "pause"
    CANCEL = "cancel"


class Outcome(StrEnum):
    """How an attempt at a job ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    YIELDED = "yielded"
    """The worker shut down; the job continues elsewhere and nothing is counted against it."""
    CRASHED = "crashed"
    LOST = "lost"
    """Contact with the worker was lost."""
    DEVICE_FAILED = "device-failed"
    """The GPU broke down under it: not counted against the job, unless no GPU stands it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, in words for the person who asked for it."""

    code: str
    message: str
    advice: str

    @classmethod
    def of(cls, error: AppError) -> "Failure":
        """The failure that an error describes."""
        return cls(error.code, error.message, error.advice)


WORKER_LOST = Failure(
    "worker-lost",
    "Contact with the worker was lost several times in a row, before any progress was saved.",
    "Look at the log of the worker; then start again.",
)
TRAINER_CRASHED = Failure(
    "worker-crashed",
    "The program that does the work ended unexpectedly, several times in a row, before any progress was saved.",
    "Look at the log of the worker; then start again.",
)
OUT_OF_MEMORY = Failure(
    "machine-out-of-memory",
    "The work was ended from outside, several times in a row; most often the machine has run out of memory.",
    "Choose smaller images, a smaller batch or a smaller architecture, close other programs, and start again.",
)
TRAINER_KILLED = Failure(
    "worker-killed",
    "The program that does the work was ended from outside (signal 9), several times in a row, before it could save"
    " anything. The machine hadn't run out of memory.",
    "Find out who or what ends programs on this machine; then start again.",
)

NO_ROOM = Failure(
    "disk-full",
    "The disk is full, so progress can't be saved; what was saved before is intact.",
    "Free some space; the training then resumes by itself.",
)
STALLED = Failure(
    "stalled",
    "The work made no progress for a long time, several times in a row.",
    "The end of the log shows what it was doing; then start again.",
)
DEVICE_FAILED = Failure(
    "device-failed",
    "The graphics card reported an error that it can't recover from, several times in a row.",
    "Look at the log of the worker; restart the machine or its driver, or train on the processor.",
)


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a device, or of the machine where that is a processor; in bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class MachineState:
    """What a worker reports of its machine; None is unknown.

    Attributes:
        processors: that the worker may use.
        other_threads: of other programs that want one of them all the time.
    """

    memory: Memory | None = None
    processors: int | None = None
    other_threads: float | None = None

    @property
    def columns(self) -> dict[str, float | None]:
        """As in the table of workers."""
        return {
            "memory_bytes": self.memory.total if self.memory else None,
            "memory_free_bytes": self.memory.free if self.memory else None,
            "processors": self.processors,
            "other_threads": self.other_threads,
        }


UNKNOWN_STATE: Final = MachineState()


@dataclass(frozen=True, slots=True)
class Worker:
    """Who claims jobs. ``device`` is what only one job at a time may use; None where that doesn't matter."""

    id: str
    host: str
    device: str | None = None

    @property
    def can_do(self) -> tuple[str, ...]:
        """Kinds of device that a job may ask for and have here. A processor is everywhere, a GPU isn't."""
        return ("auto", "cpu", "cuda") if (self.device or "").startswith("cuda") else ("auto", "cpu")


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that one attempt holds; ``attempt`` is the fence of everything that it writes.

    ``device`` is the kind that was asked for: auto, cpu or cuda. ``devices`` are those that it uses, where they are
    several: on each runs a process.
    """

    job_id: JobId
    kind: JobKind
    subject_id: str
    attempt: int
    device: str = "auto"
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signs:
    """Of progress: when the newest came, and how many seconds the next may be in coming (None: not known yet)."""

    progress_at: datetime | None
    stall_after_s: float | None


class LostLease(Exception):
    """Another attempt has taken over, or the job has ended: whoever reads this stops at once.

    Not an ``AppError``: it is no answer to anybody.
    """

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"attempt {attempt} no longer holds job {job_id}")
        self.job_id, self.attempt = job_id, attempt
