"""Train with one press: the proposed labels are accepted as they are, and the preset that suits is started."""

from pathlib import Path

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.freeze import freeze
from backend.datasets.labels.proposal import Proposal, complete_proposal
from backend.datasets.versions import latest_version
from backend.db.session import Database
from backend.domain.errors import Conflict
from backend.domain.ids import RunId, VersionId
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow
from backend.training.form.presets import first_preset
from backend.training.repository import RunRepository
from backend.training.start import RunOrder, start


class LabelsUnclear(Conflict):
    """No proposed rule gives every picture a label."""

    code = "labels-unclear"

    def __init__(self) -> None:
        super().__init__(
            "It isn't clear yet what every picture shows.", advice="Go to Labels and choose how labels are read."
        )


def train_now(
    database: Database,
    open_unit: OpenUnit,
    storage: Storage,
    weights_folder: Path,
    dataset_id: str,
    *,
    run_id: RunId | None = None,
    asked_by: str | None = None,
) -> RunId:
    """Freeze the proposed labels, unless the newest version is just that, and start a training on them.

    ``run_id`` is the id that a form has given the run: a second press of its button starts no second one.

    Raises:
        DatasetNotFound
        LabelsUnclear: no proposed rule gives every picture a label.
        InvalidInput: see ``freeze`` and ``start``.
    """
    with database.read() as session:
        if run_id is not None and RunRepository(session).find(run_id) is not None:
            return run_id
        proposal = complete_proposal(DatasetContent.of(session, storage, dataset_id))
        if proposal is None:
            raise LabelsUnclear
        newest = latest_version(session, dataset_id)
    version = newest if newest and _is_the_same(newest, proposal) else None
    version = version or freeze(database, storage, dataset_id, proposal.rule, proposal.split)
    order = RunOrder(VersionId(version.id), first_preset(proposal.images).request, run_id=run_id, asked_by=asked_by)
    with open_unit() as unit:
        return RunId(start(unit, order, weights_folder).id)


def _is_the_same(version: VersionRow, proposal: Proposal) -> bool:
    images = sum(sum(sides.values()) for sides in version.counts.values())
    specs = (
        proposal.rule.model_dump(mode="json", exclude_none=True),
        proposal.split.model_dump(mode="json", exclude_none=True),
    )
    return images == proposal.images and (version.rule, version.split) == specs
