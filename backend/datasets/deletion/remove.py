"""Delete datasets for good, in short transactions: others can write in between."""

from collections.abc import Callable
from typing import Final, TypeVar

from backend.datasets.blobs import forget_blobs
from backend.datasets.deletion.repository import DatasetDeletion, interrupted_deletions
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage

Answer = TypeVar("Answer")
_AT_ONCE: Final = 500
"""Pictures that are deleted in one transaction."""


def finish_deletions(open_unit: OpenUnit, storage: Storage) -> int:
    """Go on with deletions whose process ended in the middle; how many there were."""
    with open_unit() as unit:
        interrupted = interrupted_deletions(unit.session)
    for dataset_id in interrupted:
        delete_rows(open_unit, storage, dataset_id)
    return len(interrupted)


def delete_rows(open_unit: OpenUnit, storage: Storage, dataset_id: str) -> None:
    """Delete a hidden dataset with its versions, trainings and files, batch by batch; safe to repeat."""
    while (folders := _one(open_unit, dataset_id, DatasetDeletion.delete_training)) is not None:
        for folder in folders:
            storage.delete_folder("checkpoints", folder)
            storage.delete_folder("heatmaps", folder)
            storage.delete_folder("inside", folder)
    while (digests := _one(open_unit, dataset_id, lambda deletion: deletion.delete_images(_AT_ONCE))) is not None:
        forget_blobs(open_unit, storage, digests)
    while _one(open_unit, dataset_id, lambda deletion: deletion.delete_rejections(10 * _AT_ONCE)):
        pass
    forget_blobs(open_unit, storage, _one(open_unit, dataset_id, DatasetDeletion.finish))


def _one(open_unit: OpenUnit, dataset_id: str, step: Callable[[DatasetDeletion], Answer]) -> Answer:
    with open_unit() as unit:
        return step(DatasetDeletion(unit.session, dataset_id))
