"""One attempt at a search for a learning rate: the engine's events and its answer become the search's row.

It is a job like a training: it waits in the same line, has the device for itself and is tried again after a
crash, from the beginning.
"""

import shutil
import time
from pathlib import Path
from typing import Final

import structlog

from backend.datasets.manifests import manifest
from backend.db.session import DATABASE_AWAY, Database, ReadSession, WriteSession
from backend.domain.events import Event, PhaseProgress
from backend.domain.ids import VersionId
from backend.domain.lr_finder import Curve, Finding
from backend.domain.manifest import Manifest
from backend.domain.training import TrainingConfig
from backend.ledger.job import Claim, Desired, Failure
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.tables.training import LearningRateFindRow
from backend.training.find import folder_to_start_from
from backend.training.lr_finds import record as progress
from backend.training.phases import phase_in_words
from worker.engine.order import StopSignal, TrainingOrder
from worker.recording import read_with_retry, recording, write_with_retry

log = structlog.get_logger()

_WRITE_EVERY_S: Final = 0.5


class FindRecorder:
    """Listens to one search and writes down how far it is, and what it found."""

    def __init__(self, database: Database, claim: Claim, stop: StopSignal) -> None:
        self._database, self._claim, self._stop = database, claim, stop
        self._phase: str | None = None
        self._progress = 0.0
        self._written_at = 0.0
        self.answer: tuple[Curve, Finding] | None = None

    def __call__(self, event: Event) -> None:
        """Take in an event.

        Raises:
            LostLease: another attempt has the job; nothing more must be done.
        """
        self._phase = phase_in_words(event) or self._phase
        if isinstance(event, PhaseProgress) and event.phase == "rate":
            self._progress = event.done / event.total
        if time.monotonic() - self._written_at >= _WRITE_EVERY_S:
            self._write()

    def finish(self) -> None:
        """The search is done.

        Raises:
            LostLease: another attempt has the job.
        """
        assert self.answer is not None, "the block of `recording` ends with an answer"
        curve, found = self.answer
        write_with_retry(
            self._database, lambda session: progress.finish(session, self._claim, curve, found), self._stop
        )

    def fail(self, failure: Failure) -> None:
        """The search can't be done.

        Raises:
            LostLease: another attempt has the job.
        """
        write_with_retry(self._database, lambda session: progress.fail(session, self._claim, failure), self._stop)

    def leave(self) -> None:
        """There is nothing to keep."""

    def wanted(self) -> Desired:
        """What its owner wants of the job."""
        with self._database.read() as session:
            return Jobs(session).wanted(self._claim)

    def rest_for_room(self, failure: Failure, needed_bytes: int) -> None:
        """It goes on once there is room on the disk."""

        def write(session: WriteSession) -> None:
            Ledger(session).pause_for_room(self._claim.job_id, self._claim.attempt, failure, needed_bytes)

        write_with_retry(self._database, write, self._stop)

    def _write(self) -> None:
        """Without waiting for a database that is away: there is another time."""
        self._written_at = time.monotonic()
        try:
            with self._database.write() as session:
                # The whole is shown only with its result.
                progress.show(session, self._claim, phase=self._phase, progress=min(self._progress, 0.99))
        except DATABASE_AWAY as error:
            log.warning("record_delayed", error=type(error).__name__)


def find_job(
    settings: Settings,
    database: Database,
    storage: LocalStorage,
    claim: Claim,
    find: LearningRateFindRow,
    stop: StopSignal,
) -> int:
    """Do the search that an attempt holds; the exit code."""
    recorder = FindRecorder(database, claim, stop)
    with recording(recorder) as code:
        write_with_retry(database, lambda session: progress.begin(session, claim), stop)
        order = _make_order(database, storage, settings, claim, find, stop)
        # Here: seconds of importing torch, in which the search is under way already.
        from worker.engine.recipe import find_learning_rate

        recorder.answer = find_learning_rate(order, on_event=recorder, stop=stop)
    return code.value


def _make_order(
    database: Database,
    storage: LocalStorage,
    settings: Settings,
    claim: Claim,
    find: LearningRateFindRow,
    stop: StopSignal,
) -> TrainingOrder:
    mine = _empty_folder(storage.folder("states", find.id) / f"attempt-{claim.attempt}")

    def ordered(session: ReadSession) -> tuple[Manifest, Path | None]:
        learnt_from = manifest(session, VersionId(find.version_id))
        return learnt_from, folder_to_start_from(session, storage, find.starts_from)

    learnt_from, starts_from = read_with_retry(database, ordered, stop)
    return TrainingOrder(
        manifest=learnt_from,
        config=TrainingConfig.model_validate(find.config),
        open_bytes=storage.read_blob,
        output_folder=mine / "stages",
        state_folder=mine,
        weights_folder=settings.weights_folder,
        device=settings.device,
        starts_from=starts_from,
        features_folder=settings.features_folder,
    )


def _empty_folder(folder: Path) -> Path:
    """An attempt's own folder; those of former attempts go."""
    for other in folder.parent.glob("attempt-*"):
        shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
