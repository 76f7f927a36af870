"""The bin: deleted pictures and datasets can be restored for seven days, then they are deleted for good.

All of it in short transactions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from backend.datasets.blobs import forget_blobs
from backend.datasets.deletion.bin_repository import BinKind, BinRepository
from backend.datasets.deletion.remove import delete_rows
from backend.datasets.deletion.repository import DatasetDeletion
from backend.datasets.errors import BinEntryNotFound, DatasetInUse
from backend.datasets.import_queue.examination import want_examination
from backend.datasets.repository import DatasetRepository
from backend.domain.ids import Digest
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage

_AT_ONCE: Final = 500
"""Pictures that are moved in one transaction: others can write in between."""


@dataclass(frozen=True, slots=True)
class Binned:
    """What one action put into the bin.

    Attributes:
        bin_id: of its entry, which brings all of it back; None where there was nothing to delete.
        images: pictures that left their dataset.
        kept: those of them that versions keep, whatever becomes of the bin.
        skipped: pictures that were asked for and aren't in the dataset (any more).
    """

    bin_id: str | None
    images: int
    kept: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: a dataset, or ``images`` of it."""

    kind: BinKind
    dataset_id: str
    dataset: str
    images: int


def bin_images(open_unit: OpenUnit, dataset_id: str, batches: Iterable[Sequence[str]]) -> Binned:
    """Put pictures into the bin, as one entry however many they are. Frozen versions stay as they are.

    Ids that the dataset doesn't have are passed over, so it may be repeated. One that is interrupted in the middle
    leaves an entry with what it had moved.

    Raises:
        DatasetNotFound
    """
    with open_unit() as unit:
        DatasetRepository(unit.session).get(dataset_id)
    bin_id: str | None = None
    images = kept = asked = 0
    for ids in (part for batch in batches for part in _parts(batch)):
        asked += len(ids)
        with open_unit() as unit:
            dataset = DatasetRepository(unit.session).lock(dataset_id)
            repository = BinRepository(unit.session)
            entry = repository.find(bin_id) or repository.add(dataset_id, BinKind.PICTURES)
            moved = repository.move_images(entry, dataset, ids)
            if moved.images:
                bin_id = entry.id
            elif entry.id != bin_id:
                repository.drop(entry.id)
        images, kept = images + moved.images, kept + moved.kept
    return Binned(bin_id, images, kept, asked - images)


def bin_dataset(open_unit: OpenUnit, dataset_id: str) -> str:
    """Put a dataset into the bin, with its versions and finished trainings: nobody sees it any more. Its entry's id.

    Raises:
        DatasetNotFound
        DatasetInUse: a training or an import is under way.
    """
    with open_unit() as unit:
        dataset = DatasetRepository(unit.session).lock(dataset_id)
        deletion = DatasetDeletion(unit.session, dataset_id)
        trainings, imports = deletion.open_trainings(), deletion.open_imports()
        if trainings or imports:
            raise DatasetInUse(trainings, imports)
        size = dataset.bytes + deletion.model_bytes()
        entry = BinRepository(unit.session).add(dataset_id, BinKind.DATASET, images=dataset.images, size=size)
        deletion.hide()
        if (job_id := deletion.examination()) is not None:
            Ledger(unit.session).cancel(job_id)
        return entry.id


def restore(open_unit: OpenUnit, bin_id: str) -> Restored:
    """Bring back what an entry has. One that is interrupted in the middle keeps the rest in the bin.

    Raises:
        BinEntryNotFound: it was restored or deleted for good.
    """
    with open_unit() as unit:
        repository = BinRepository(unit.session)
        entry = repository.get(bin_id)
        kind, dataset_id, images = BinKind(entry.row.kind), entry.row.dataset_id, entry.row.images
        if kind is BinKind.DATASET:
            repository.lock_dataset(dataset_id)
            # Somebody may have emptied the bin before the lock was ours.
            repository.get(bin_id)
            DatasetDeletion(unit.session, dataset_id).show()
            repository.drop(bin_id)
            # It was cancelled when the dataset was deleted; what it had found is kept.
            want_examination(unit, dataset_id)
            return Restored(kind, dataset_id, entry.dataset, images)
    restored = 0
    while count := _restore_some(open_unit, bin_id, dataset_id):
        restored += count
    return Restored(kind, dataset_id, entry.dataset, restored)


def _restore_some(open_unit: OpenUnit, bin_id: str, dataset_id: str) -> int:
    with open_unit() as unit:
        repository = BinRepository(unit.session)
        dataset, entry = repository.lock_dataset(dataset_id), repository.find(bin_id)
        if dataset is None or entry is None:
            return 0
        count = repository.restore_images(entry, dataset, _AT_ONCE)
        if count < _AT_ONCE:
            repository.drop(bin_id)
        return count


def mark_for_good(open_unit: OpenUnit, bin_id: str | None = None) -> int:
    """End the time of one entry, or of all: from now on they can't be restored. ``delete_expired`` does the work.

    Raises:
        BinEntryNotFound: the one that is named isn't there.
    """
    with open_unit() as unit:
        count = BinRepository(unit.session).expire(bin_id)
    if bin_id is not None and not count:
        raise BinEntryNotFound
    return count


def delete_expired(open_unit: OpenUnit, storage: Storage) -> int:
    """Delete for good what has been in the bin for seven days; how many entries. Safe to repeat and to interrupt."""
    with open_unit() as unit:
        expired = BinRepository(unit.session).expired()
    for bin_id, dataset_id, kind in expired:
        if kind is BinKind.DATASET:
            # Without its entry it is a deletion that is under way, which housekeeping finishes after a crash.
            with open_unit() as unit:
                BinRepository(unit.session).drop(bin_id)
            delete_rows(open_unit, storage, dataset_id)
        else:
            _delete_pictures(open_unit, storage, bin_id, dataset_id)
    return len(expired)


def _delete_pictures(open_unit: OpenUnit, storage: Storage, bin_id: str, dataset_id: str) -> None:
    digests: list[Digest] | None = []
    while digests is not None:
        with open_unit() as unit:
            repository = BinRepository(unit.session)
            repository.lock_dataset(dataset_id)
            digests = repository.delete_images(bin_id, _AT_ONCE)
            if digests is None:
                repository.drop(bin_id)
        forget_blobs(open_unit, storage, digests or [])


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
