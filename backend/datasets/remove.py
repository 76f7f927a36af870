"""Delete a dataset with all that hangs on it."""

from backend.datasets.blobs import forget_blobs
from backend.datasets.errors import DatasetInUse
from backend.datasets.repository import DatasetRepository, TrainingsOfDataset
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage


def remove_dataset(open_unit: OpenUnit, storage: Storage, dataset_id: str) -> None:
    """Delete a dataset, its versions and finished trainings; bytes go after the commit.

    Raises:
        DatasetNotFound
        DatasetInUse: a training or an import goes on.
    """
    with open_unit() as unit:
        repository = DatasetRepository(unit.session)
        repository.lock(dataset_id)
        trainings = TrainingsOfDataset(unit.session, dataset_id)
        users, imports = trainings.open_names(), repository.open_imports(dataset_id)
        if users or imports:
            raise DatasetInUse(users, imports)
        blobs = repository.blobs_of(dataset_id)
        folders = trainings.remove()
        repository.remove(dataset_id)
    for folder in folders:
        storage.delete_folder("checkpoints", folder)
    forget_blobs(open_unit, storage, blobs)
