"""What has become of a run's labels since: changes that it doesn't have, and runs that repeat it with them."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.datasets.labels.unfrozen import count_changes
from backend.domain.ids import RunId
from backend.interpretation.repository import OtherRun, StageRepository
from backend.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Corrections:
    """Corrected labels, before and after a run.

    Attributes:
        original: the run that this one repeats with corrected labels.
        retrained: the newest run that repeats this one.
        changes: labels that were changed since the version of ``retrained``, else of this run.
    """

    run: OtherRun
    original: OtherRun | None
    retrained: OtherRun | None
    changes: int

    @property
    def newest(self) -> OtherRun:
        """The run since which the changes are counted, and that is repeated with them."""
        return self.retrained or self.run


def corrections_of(session: Session, storage: Storage, run_id: RunId) -> Corrections | None:
    """What there is to say of corrected labels above a run's results; None where there is nothing."""
    runs = StageRepository(session)
    run = runs.run(run_id)
    if run is None:
        return None
    retrained = runs.retrained(run_id)
    original = runs.run(run.retrain_of) if run.retrain_of else None
    changes = count_changes(session, storage, (retrained or run).version_id)
    return Corrections(run, original, retrained, changes) if changes or original or retrained else None
