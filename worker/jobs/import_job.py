"""One attempt at an import: what was uploaded or is elsewhere, into its dataset."""

from backend.datasets.imports import ImportStopped, run_import
from backend.datasets.sources.opening import Elsewhere
from backend.db.session import Database, WriteSession
from backend.imaging.pool import allow_megapixels
from backend.ledger.celery_notifier import notifier_of
from backend.ledger.job import Claim
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import unit_of_work
from backend.settings import Settings
from backend.storage.local import LocalStorage
from worker import exits
from worker.engine.order import Stopped, StopSignal
from worker.jobs.recording import JobRecord, read_with_retry, recording, write_with_retry


def import_job(settings: Settings, job_id: str, attempt: int, stop: StopSignal) -> int:
    """Do the import that an attempt holds; the exit code."""
    database, storage = Database(settings.sql_url), LocalStorage(settings.storage_folder)
    try:
        claim = read_with_retry(database, lambda session: Jobs(session).claim_of(job_id, attempt), stop)
    except Stopped:
        return exits.YIELDED
    if claim is None:
        return exits.LOST
    allow_megapixels(settings.max_megapixels)
    notifier = notifier_of(settings.redis_url)
    record = ImportRecord(database, claim, stop)
    with recording(record) as code:
        write_with_retry(database, record.begin, stop)
        try:
            run_import(
                lambda: unit_of_work(database, notifier),
                storage,
                claim.subject_id,
                fence=record.fence,
                should_stop=stop.requested,
                on_progress=record.on_progress,
                elsewhere=Elsewhere.of(settings),
            )
        except ImportStopped as error:
            raise Stopped from error
    return code.value


class ImportRecord(JobRecord):
    """Writes down how an import ends; ``run_import`` itself keeps how far it is."""

    def __init__(self, database: Database, claim: Claim, stop: StopSignal) -> None:
        super().__init__(database, claim, stop)
        self._has_advanced = False

    def begin(self, session: WriteSession) -> None:
        """The attempt has begun."""
        Ledger(session).begin(self.claim.job_id, self.claim.attempt)

    def fence(self, session: WriteSession) -> None:
        """Take the fence for a transaction. A stored batch counts as progress, opening the archive doesn't."""
        ledger = Ledger(session)
        if self._has_advanced:
            ledger.progressed(self.claim.job_id, self.claim.attempt)
        else:
            ledger.progress_seen(self.claim.job_id, self.claim.attempt)

    def on_progress(self, _done: int, _total: int) -> None:
        """A batch is stored."""
        self._has_advanced = True
