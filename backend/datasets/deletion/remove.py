"""Delete datasets and pictures, in short transactions: others can write in between."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from backend.datasets.blobs import forget_blobs
from backend.datasets.deletion.repository import DatasetDeletion, DeletedImages, delete_images, interrupted_deletions
from backend.datasets.errors import DatasetInUse
from backend.datasets.repository import DatasetRepository
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage

Answer = TypeVar("Answer")
_AT_ONCE: Final = 500
"""Pictures that are deleted in one transaction."""


def remove_dataset(open_unit: OpenUnit, storage: Storage, dataset_id: str) -> None:
    """Delete a dataset, its versions and finished trainings. From the first moment on nobody sees it any more.

    Raises:
        DatasetNotFound
        DatasetInUse: a training or an import is under way.
    """
    with open_unit() as unit:
        DatasetRepository(unit.session).lock(dataset_id)
        deletion = DatasetDeletion(unit.session, dataset_id)
        trainings, imports = deletion.open_trainings(), deletion.open_imports()
        if trainings or imports:
            raise DatasetInUse(trainings, imports)
        deletion.begin()
        if (job_id := deletion.examination()) is not None:
            Ledger(unit.session).cancel(job_id)
    _delete_rows(open_unit, storage, dataset_id)


def finish_deletions(open_unit: OpenUnit, storage: Storage) -> int:
    """Go on with deletions whose process ended in the middle; how many there were."""
    with open_unit() as unit:
        interrupted = interrupted_deletions(unit.session)
    for dataset_id in interrupted:
        _delete_rows(open_unit, storage, dataset_id)
    return len(interrupted)


def _delete_rows(open_unit: OpenUnit, storage: Storage, dataset_id: str) -> None:
    while (folders := _one(open_unit, dataset_id, DatasetDeletion.delete_training)) is not None:
        for folder in folders:
            storage.delete_folder("checkpoints", folder)
    while (digests := _one(open_unit, dataset_id, lambda deletion: deletion.delete_images(_AT_ONCE))) is not None:
        forget_blobs(open_unit, storage, digests)
    while _one(open_unit, dataset_id, lambda deletion: deletion.delete_rejections(10 * _AT_ONCE)):
        pass
    forget_blobs(open_unit, storage, _one(open_unit, dataset_id, DatasetDeletion.finish))


def _one(open_unit: OpenUnit, dataset_id: str, step: Callable[[DatasetDeletion], Answer]) -> Answer:
    with open_unit() as unit:
        return step(DatasetDeletion(unit.session, dataset_id))


def remove_images(open_unit: OpenUnit, storage: Storage, dataset_id: str, ids: Sequence[str]) -> DeletedImages:
    """Delete pictures from a dataset. Frozen versions stay as they are: what they contain is kept for them alone.

    Ids that the dataset doesn't have are passed over, so it may be repeated.

    Raises:
        DatasetNotFound
    """
    with open_unit() as unit:
        dataset = DatasetRepository(unit.session).lock(dataset_id)
        deleted = delete_images(unit.session, dataset, ids)
    forget_blobs(open_unit, storage, deleted.digests)
    return deleted
