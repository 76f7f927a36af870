"""How long the ledger and its workers wait for what; one value for the product, shorter ones for tests."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Timers:
    """All waits of the ledger and its workers, in seconds. Source: ``docs/decisions``, reliability.

    Attributes:
        heartbeat: between two renewals of a lease.
        lease: how long a claim holds without renewal.
        suspend: without renewal for so long, a supervisor stops the trainer's steps and keeps its memory.
        give_up: without renewal for so long, it ends the trainer.
        flags: between two looks at what the job's owner wants.
        sweep: between two sweeps.
        notify_again: a waiting job without a notification for this long is notified.
        startup_grace: no lease is declared lost this soon after a start or after the database was away.
        kill_grace: between asking a trainer to stop and ending it.
        poll: between two looks of a worker host at the ledger.
        missed_notification: a job that has waited this long beside an idle worker is taken without a notification.
        stall: without any progress for so long, a trainer is ended and the job tried again; longer where its
            own steps take long.
        stack_dump_wait: time for a stuck trainer to write down where it is stuck.
        quarantined: a device that failed twice in a row is left alone for so long.
        backoff: wait before the next try, after the first, second … try without progress.
        tries: so many tries without progress, and the job has failed.
        device_tries: so many failures of a GPU under one job, one after the other, and it is the job that has failed:
            with two of them between two quarantines of a GPU, that is after half an hour.
    """

    heartbeat: float = 10.0
    lease: float = 60.0
    suspend: float = 45.0
    give_up: float = 600.0
    flags: float = 1.0
    sweep: float = 15.0
    notify_again: float = 15.0
    startup_grace: float = 60.0
    kill_grace: float = 30.0
    poll: float = 2.0
    missed_notification: float = 20.0
    stall: float = 600.0
    stack_dump_wait: float = 3.0
    quarantined: float = 300.0
    backoff: tuple[float, ...] = (0.0, 30.0, 120.0)
    tries: int = 3
    device_tries: int = 12

    def wait_after(self, tries_without_progress: int) -> float:
        """Seconds until the next try."""
        return self.backoff[min(max(tries_without_progress, 1), len(self.backoff)) - 1]

    def to_json(self) -> str:
        """As an argument for a child process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote."""
        values = json.loads(text)
        return cls(**{**values, "backoff": tuple(values["backoff"])})
