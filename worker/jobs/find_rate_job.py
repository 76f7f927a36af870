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
from backend.domain.events import Event, Phase, PhaseProgress
from backend.domain.ids import VersionId
from backend.domain.lr_finder import Curve, Finding
from backend.domain.manifest import Manifest
from backend.domain.training import TrainingConfig
from backend.ledger.job import Claim, Failure
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.tables.training import LearningRateFindRow
from backend.training.find import folder_to_start_from
from backend.training.lr_finds import record
from backend.training.phases import phase_in_words
from worker.engine.order import StopSignal, TrainingOrder
from worker.jobs.recording import JobRecord, read_with_retry, recording, write_with_retry

log = structlog.get_logger()

_WRITE_EVERY_S: Final = 0.5


class FindRateRecorder(JobRecord):
    """Writes down how far a search is, and what it found."""

    def __init__(self, database: Database, claim: Claim, stop: StopSignal) -> None:
        super().__init__(database, claim, stop)
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
        if isinstance(event, PhaseProgress) and event.phase is Phase.RATE:
            self._progress = event.done / event.total
        if time.monotonic() - self._written_at >= _WRITE_EVERY_S:
            self._show()

    def store_end(self, session: WriteSession) -> None:
        """The search is done; the block of ``recording`` has ended with an answer."""
        assert self.answer is not None
        record.finish(session, self.claim, *self.answer)

    def store_failure(self, session: WriteSession, failure: Failure) -> None:
        """The search has failed."""
        record.fail(session, self.claim, failure)

    def _show(self) -> None:
        """Without waiting for a database that is away: there is another time."""
        self._written_at = time.monotonic()
        try:
            with self.database.write() as session:
                # The whole is shown only with its result.
                record.show(session, self.claim, phase=self._phase, progress=min(self._progress, 0.99))
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
    recorder = FindRateRecorder(database, claim, stop)
    with recording(recorder) as code:
        write_with_retry(database, lambda session: record.begin(session, claim), stop)
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
