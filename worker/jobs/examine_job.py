"""One attempt at looking at a dataset's new pictures: their features, and what follows from these."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Final, TypedDict

import structlog

from backend.datasets.examine.compare import compare
from backend.datasets.examine.embeddings import Embeddings, write_embeddings
from backend.datasets.examine.measuring import fill_missing
from backend.datasets.examine.repository import ExaminationRepository
from backend.db.session import DATABASE_AWAY, Database, WriteSession
from backend.domain.ids import Digest, ImageId
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.pool import allow_megapixels, decoding_pool
from backend.ledger.job import Claim
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import NoNotifier, UnitOfWork, unit_of_work
from backend.settings import Settings
from backend.storage.local import LocalStorage
from worker import exits
from worker.engine.order import Stopped, StopSignal, TrainingOrder
from worker.jobs.recording import JobRecord, read_with_retry, recording, write_with_retry

if TYPE_CHECKING:  # it imports torch
    from worker.engine.embedding import Embedder, Kept

log = structlog.get_logger()

_WRITE_EVERY_S: Final = 1.0
_AT_ONCE: Final = 1_000
"""Pictures between two looks at what else has arrived."""
_ANY: Final = "any"
"""The label of every picture: the head that it makes is not used."""


def examine_job(settings: Settings, job_id: str, attempt: int, stop: StopSignal) -> int:
    """Do the examination that an attempt holds; the exit code."""
    database = Database(settings.sql_url)
    try:
        claim = read_with_retry(database, lambda session: Jobs(session).claim_of(job_id, attempt), stop)
    except Stopped:
        return exits.YIELDED
    if claim is None:
        return exits.LOST
    allow_megapixels(settings.max_megapixels)
    record = ExaminationRecord(database, claim, stop)
    with recording(record) as code:
        write_with_retry(database, record.begin, stop)
        _Examination(settings, record).run()
    return code.value


class ExaminationRecord(JobRecord):
    """Writes down how far an examination is, and that it has ended."""

    def __init__(self, database: Database, claim: Claim, stop: StopSignal) -> None:
        super().__init__(database, claim, stop)
        self._written_at = 0.0
        self.seen: str | None = None
        """The newest picture that this attempt knows of."""

    def begin(self, session: WriteSession) -> None:
        """The attempt has begun."""
        Ledger(session).begin(self.claim.job_id, self.claim.attempt)

    def fence(self, session: WriteSession) -> None:
        """Take the fence for a transaction in which something was found out."""
        Ledger(session).progressed(self.claim.job_id, self.claim.attempt)

    def images(self) -> list[tuple[str, Digest, str]]:
        """Id, digest and path of every picture that is there now."""
        found = read_with_retry(
            self.database, lambda session: ExaminationRepository(session).images(self.claim.subject_id), self.stop
        )
        self.seen = found[-1][0] if found else None
        return found

    def show(self, done: int, total: int, features: str | None, *, at_once: bool = False) -> None:
        """How many pictures are done; written now and then.

        Raises:
            LostLease: another attempt has the job.
        """
        if not at_once and time.monotonic() - self._written_at < _WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()

        def write(session: WriteSession) -> None:
            Ledger(session).progressed(self.claim.job_id, self.claim.attempt)
            ExaminationRepository(session).show(self.claim.subject_id, done, total, features)

        try:
            with self.database.write() as session:
                write(session)
        except DATABASE_AWAY as error:
            log.warning("record_delayed", error=type(error).__name__)

    def finish(self) -> None:
        """The job is done, unless pictures have arrived: then it goes back into the queue."""

        def write(session: WriteSession) -> bool:
            Ledger(session).progressed(self.claim.job_id, self.claim.attempt)
            if ExaminationRepository(session).newest_image(self.claim.subject_id) != self.seen:
                return False
            self.store_end(session)
            return True

        if not self.write(write):
            raise Stopped


class _Rules(TypedDict):
    """What every part of an examination keeps to."""

    fence: Callable[[WriteSession], None]
    should_stop: Callable[[], bool]


class _Examination:
    def __init__(self, settings: Settings, record: ExaminationRecord) -> None:
        self._settings, self._record = settings, record
        self._dataset_id = record.claim.subject_id
        self._storage = LocalStorage(settings.storage_folder)
        self._rules: _Rules = {"fence": record.fence, "should_stop": record.stop.requested}

    def _open_unit(self) -> AbstractContextManager[UnitOfWork]:
        return unit_of_work(self._record.database, NoNotifier())

    def run(self) -> None:
        """Look at every picture that is there, also at those that arrive meanwhile."""
        # Here: seconds of importing torch, in which the job is under way already.
        from worker.engine.embedding import Embedder

        looked_at: str | None = None
        while True:
            images = self._record.images()
            if self._record.seen == looked_at:
                return
            looked_at = self._record.seen
            fill_missing(self._open_unit, self._storage, decoding_pool(), self._dataset_id, **self._rules)
            embedder = Embedder(self._order(images), self._record.stop)
            self._compute(embedder)
            kept = embedder.embeddings([image.digest for image in embedder.images])
            embeddings = self._keep(images, kept)
            embedder.keep_export()
            compare(self._open_unit, self._storage, self._dataset_id, embeddings, **self._rules)
            if self._record.stop.requested():
                raise Stopped
            self._record.show(len(images), len(images), kept.group, at_once=True)
            log.info("pictures_examined", dataset_id=self._dataset_id, images=len(images))

    def _compute(self, embedder: "Embedder") -> None:
        """The features of those that have none, a part at a time: whoever looks at the store finds what is there."""
        known = embedder.known()
        missing = [image for image in embedder.images if image.digest not in known]
        total = len(embedder.images)
        done = total - len(missing)
        self._record.show(done, total, None, at_once=True)
        for start in range(0, len(missing), _AT_ONCE):
            part, before = missing[start : start + _AT_ONCE], done + start
            unreadable = embedder.compute(part, partial(self._show, before, total))
            for one in unreadable:
                log.warning("picture_unreadable", image_id=one.image.id, reason=one.reason)

    def _show(self, before: int, total: int, done: int) -> None:
        self._record.show(before + done, total, None)

    def _keep(self, images: Sequence[tuple[str, Digest, str]], kept: "Kept") -> Embeddings:
        """The embeddings of the pictures that could be read, for the pages."""
        row_of = {digest: row for row, digest in enumerate(kept.digests)}
        found = [(id, row_of[digest]) for id, digest, _ in images if digest in row_of]
        embeddings = Embeddings(tuple(id for id, _ in found), kept.embeddings[[row for _, row in found]])
        write_embeddings(self._settings.features_folder, self._dataset_id, embeddings)
        return embeddings

    def _order(self, images: Sequence[tuple[str, Digest, str]]) -> TrainingOrder:
        """With what ``recommended`` trains on these pictures; nothing is written but features."""
        shown = tuple(ManifestImage(ImageId(id), digest, path, _ANY, Split.TRAIN) for id, digest, path in images)
        nowhere = self._settings.features_folder / "nothing"
        return TrainingOrder(
            manifest=Manifest((_ANY,), shown),
            config=resolve(TrainingRequest()),
            open_bytes=self._storage.read_blob,
            output_folder=nowhere,
            state_folder=nowhere,
            weights_folder=self._settings.weights_folder,
            device=self._settings.device,
            features_folder=self._settings.features_folder,
        )
