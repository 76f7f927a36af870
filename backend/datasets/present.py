"""Which of the files that a client is about to send are there already, so that it sends only what is missing."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from backend.datasets.repository import DatasetRepository
from backend.domain.images import as_given


def present_files(session: Session, dataset_id: str, paths: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """For each path, the SHA-256 of the dataset's files with that path and size; none where there is no such file.

    A client compares the hash with its own file's: two pictures of one name and size may differ.

    Raises:
        DatasetNotFound
    """
    repository = DatasetRepository(session)
    repository.get(dataset_id)
    known = [as_given(path) for path in paths]
    found = repository.files_named(dataset_id, known)
    return [
        sorted(file.digest for file in found.get(path, ()) if file.bytes == size)
        for path, size in zip(known, sizes, strict=True)
    ]
