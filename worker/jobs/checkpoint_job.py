"""One attempt at work with a finished model: its strangeness, the flips that chance makes, heat maps made ahead."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from backend.datasets.manifests import manifest
from backend.db.session import DATABASE_AWAY, Database, ReadSession, WriteSession
from backend.domain.chance import TRAININGS, disagreements
from backend.domain.events import Event
from backend.domain.ids import VersionId
from backend.domain.json import Json
from backend.domain.manifest import Manifest
from backend.domain.results import Evaluation
from backend.domain.training import TrainingConfig
from backend.imaging.pool import allow_megapixels, decoding_pool
from backend.ledger.job import Claim, JobKind
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.prediction.confidence.measuring import measure
from backend.prediction.heatmaps.ahead import make_worst_ahead
from backend.prediction.models import ModelCache
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.training.checkpoint_jobs import service
from backend.training.find import find_checkpoint, find_run, folder_to_start_from
from worker import exits
from worker.engine.order import Stopped, StopSignal, TrainingOrder
from worker.jobs.recording import JobRecord, read_with_retry, recording, write_with_retry

log = structlog.get_logger()

_WRITE_EVERY_S: Final = 1.0
_BEHIND: Final[Mapping[JobKind, int]] = {JobKind.HEATMAPS: 19, JobKind.STRANGENESS: 5, JobKind.FLIPS: 5}
"""How far it steps back for other processes (``nice``): for heat maps nobody waits."""


def checkpoint_job(settings: Settings, job_id: str, attempt: int, stop: StopSignal) -> int:
    """Do the work that an attempt holds; the exit code."""
    database = Database(settings.sql_url)
    try:
        claim = read_with_retry(database, lambda session: Jobs(session).claim_of(job_id, attempt), stop)
    except Stopped:
        return exits.YIELDED
    if claim is None:
        return exits.LOST
    step_back(claim.kind)
    allow_megapixels(settings.max_megapixels)
    record = CheckpointRecord(database, claim, stop)
    with recording(record) as code:
        write_with_retry(database, record.begin, stop)
        record.found = _WORK[claim.kind](settings, LocalStorage(settings.storage_folder), record)
    return code.value


def step_back(kind: JobKind) -> None:
    """Let uploads, imports, pages and trainings come first."""
    os.nice(_BEHIND[kind])


class CheckpointRecord(JobRecord):
    """Writes down how far the work is, and what it found."""

    def __init__(self, database: Database, claim: Claim, stop: StopSignal) -> None:
        super().__init__(database, claim, stop)
        self._written_at = 0.0
        self._at = (0, 0)
        self.found: Mapping[str, Json] | None = None

    def begin(self, session: WriteSession) -> None:
        """The attempt has begun."""
        Ledger(session).begin(self.claim.job_id, self.claim.attempt)

    def __call__(self, done: int, total: int) -> None:
        """So much is done; written now and then, without waiting for a database that is away.

        Raises:
            Stopped: a stop was requested.
            LostLease: another attempt has the job.
        """
        if self.stop.requested():
            raise Stopped
        self._at = (done, total)
        if done < total and time.monotonic() - self._written_at < _WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        try:
            with self.database.write() as session:
                service.show(session, self.claim, done, total)
        except DATABASE_AWAY as error:
            log.warning("record_delayed", error=type(error).__name__)

    def still(self, _event: Event) -> None:
        """The engine has reported something: a sign of progress."""
        self(*self._at)

    def store_end(self, session: WriteSession) -> None:
        """The job is done, and what it found is kept."""
        service.finish(session, self.claim, self.found)


def _strangeness(settings: Settings, storage: LocalStorage, record: CheckpointRecord) -> None:
    measure(record.database, storage, ModelCache(), decoding_pool(), record.claim.subject_id, record)


def _heatmaps(settings: Settings, storage: LocalStorage, record: CheckpointRecord) -> None:
    begun = time.monotonic()
    cache = ModelCache(capacity=1, threads=1)
    made = make_worst_ahead(record.database, storage, cache, decoding_pool(), record.claim.subject_id, record)
    log.info("heat_maps_made_ahead", made=made, seconds=round(time.monotonic() - begun, 1))


def _flips(settings: Settings, storage: LocalStorage, record: CheckpointRecord) -> Mapping[str, Json]:
    """What the head answers when it is trained with other seeds, where those trainings don't agree."""
    begun = time.monotonic()
    folder = storage.folder("states", record.claim.job_id)
    try:
        order = _order(settings, storage, record, folder)
        record(0, TRAININGS)
        # Here: seconds of importing torch, in which the job is under way already.
        from worker.engine.retrained_heads import retrained_heads

        seeds = [order.config.seed + number for number in range(1, TRAININGS + 1)]
        trained: list[Evaluation] = []
        for answered in retrained_heads(order, seeds, on_event=record.still, stop=record.stop):
            trained.append(answered)
            record(len(trained), TRAININGS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = disagreements(trained)
    seconds = round(time.monotonic() - begun, 1)
    log.info("flips_by_chance_counted", images=len(trained[0].image_ids), disagreeing=len(found), seconds=seconds)
    return {"seeds": seeds, "images": len(trained[0].image_ids), "disagreeing": found}


def _order(settings: Settings, storage: LocalStorage, record: CheckpointRecord, folder: Path) -> TrainingOrder:
    """The training of the model's run, in a folder of the job's own."""

    def ordered(session: ReadSession) -> tuple[TrainingConfig, Manifest, Path | None]:
        run = find_run(session, find_checkpoint(session, record.claim.subject_id).run_id)
        starts_from = folder_to_start_from(session, storage, run.starts_from)
        return TrainingConfig.model_validate(run.config), manifest(session, VersionId(run.version_id)), starts_from

    config, learnt_from, starts_from = read_with_retry(record.database, ordered, record.stop)
    return TrainingOrder(
        manifest=learnt_from,
        config=config,
        open_bytes=storage.read_blob,
        output_folder=folder / "stages",
        state_folder=folder,
        weights_folder=settings.weights_folder,
        device=settings.device,
        starts_from=starts_from,
        features_folder=settings.features_folder,
        compiles=False,
    )


_Work = Callable[[Settings, LocalStorage, CheckpointRecord], Mapping[str, Json] | None]
_WORK: Final[Mapping[JobKind, _Work]] = {
    JobKind.STRANGENESS: _strangeness,
    JobKind.FLIPS: _flips,
    JobKind.HEATMAPS: _heatmaps,
}
