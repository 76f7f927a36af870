"""What a worker's processes share: their identity, what they work with, and the flag that ends them."""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from backend.db.session import Database
from backend.ledger.celery_notifier import notifier_of
from backend.ledger.job import Claim, JobKind, Worker
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import JobNotifier
from backend.settings import Settings
from backend.storage.local import LocalStorage
from worker.standby import Standby

TRAINER: Final = "worker.trainer"


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Which worker a process belongs to, passed from the host to its children as an argument.

    Attributes:
        device: what only one training at a time may use, such as ``cuda:0``.
        drain_flag: a file that exists once the worker is shutting down.
        trainer, importer, examiner, checkpoint_worker: modules that do the work.
    """

    worker_id: str
    host: str
    device: str
    drain_flag: str
    timers: Timers = Timers()
    trainer: str = TRAINER
    importer: str = "worker.importer"
    examiner: str = "worker.examiner"
    checkpoint_worker: str = "worker.checkpoint_worker"

    def to_json(self) -> str:
        """As an argument."""
        return json.dumps({**asdict(self), "timers": self.timers.to_json()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote."""
        values = json.loads(text)
        return cls(**{**values, "timers": Timers.from_json(values["timers"])})

    def worker(self, kind: JobKind) -> Worker:
        """Who claims a job of that kind."""
        return Worker(self.worker_id, self.host, self.device if kind.needs_device else None)

    def command(self, kind: JobKind) -> tuple[str, ...]:
        """How the process that does a job of that kind is started."""
        modules = {JobKind.TRAIN: self.trainer, JobKind.IMPORT: self.importer, JobKind.EXAMINE: self.examiner}
        return (sys.executable, "-m", modules.get(kind, self.checkpoint_worker))

    def environment(self, claim: Claim) -> dict[str, str]:
        """In which that process runs: it may use the device that was taken for it, and no other.

        Where the worker found no GPU the process chooses: on some machines only torch finds it.
        """
        if not claim.kind.needs_device:
            return dict(os.environ)
        if claim.device == "cpu":
            return {**os.environ, "TELLAPART_DEVICE": "cpu"}
        return {**os.environ, "TELLAPART_DEVICE": self.device} if self.device.startswith("cuda") else dict(os.environ)

    @property
    def is_draining(self) -> bool:
        """Whether the worker is shutting down."""
        return Path(self.drain_flag).exists()


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker's process works with; opened after the fork, as connections can't be shared."""

    identity: WorkerIdentity
    settings: Settings
    database: Database
    storage: LocalStorage
    notifier: JobNotifier
    standby: Standby = field(default_factory=lambda: Standby(TRAINER))


def open_context(identity: WorkerIdentity, settings: Settings) -> WorkerContext:
    """The parts of one process."""
    return WorkerContext(
        identity,
        settings,
        Database(settings.sql_url),
        LocalStorage(settings.storage_folder),
        notifier_of(settings.redis_url),
        Standby(identity.trainer),
    )
